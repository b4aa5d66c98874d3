"""What a domain file says of an octoDNS provider class, and where its secrets come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from mailfleet.dns.providers.octodns.api import Arguments, arguments, provider_class
from mailfleet.dns.providers.octodns.errors import explained
from mailfleet.errors import ConfigurationError, MailfleetError
from mailfleet.model import HostEntry, OctodnsSettings, ProviderSettings, build_fleet
from mailfleet.model.options import ProviderClass
from mailfleet.model.options import provider_class as class_of_table
from mailfleet.secrets import Secret

pytestmark = pytest.mark.unit


def test_secrets_come_from_the_environment_or_our_file(monkeypatch: pytest.MonkeyPatch) -> None:
    options = (("token", "env/MAILFLEET_ACME_TOKEN"), ("hosts", ("a", "b")))
    given = ProviderClass("x.Y", options)
    with pytest.raises(MailfleetError, match="MAILFLEET_ACME_TOKEN is not set: the argument token"):
        arguments(given)
    monkeypatch.setenv("MAILFLEET_ACME_TOKEN", "sesame")
    found = arguments(given)
    assert found.secrets == {"token": Secret("sesame")}
    assert found.plain == {"hosts": ["a", "b"]}
    monkeypatch.delenv("OTHER", raising=False)
    other = ProviderClass("x.Y", (("token", "env/OTHER"),))
    with pytest.raises(MailfleetError, match=r"OTHER is not set.*\n.*export OTHER"):
        arguments(other)


@pytest.mark.parametrize("shown", [str, repr, quote, lambda text: text.splitlines()[1]])
def test_secrets_are_hidden_in_each_form(shown: Callable[[str], str]) -> None:
    secret = "-----BEGIN KEY-----\nQUJDREVGR0g/+=abc\n-----END KEY-----"
    given = Arguments("x.Y", {}, {"key": Secret(secret)})
    with pytest.raises(MailfleetError) as caught, explained(given, "read"):
        raise RuntimeError(f"401 for {shown(secret)}")
    assert "QUJD" not in str(caught.value)
    assert "401 for" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [("octodns_absent.Provider", "pip install octodns-absent"), ("octodns.record.Absent", "class")],
)
def test_a_missing_class_is_explained(path: str, said: str) -> None:
    pytest.importorskip("octodns")
    with pytest.raises(MailfleetError) as caught:
        provider_class(path)
    assert said in caught.value.hint


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "needs class"),
        ({"class": "Provider"}, "dotted path"),
        ({"class": "a.B", "token": "sesame"}, 'token = "env/NAME"'),
        ({"class": "a.B", "key_secret": 5}, 'key_secret = "env/NAME"'),
        ({"class": "a.B", "id": "x"}, "set by mailfleet"),
        ({"class": "a.B", "options": {"a": 1}}, "a table does not fit"),
        ({"class": "a.B", "hosts": [["a"]]}, "texts and numbers"),
        ({"class": "a.B", "not a name": "x"}, "no name"),
    ],
)
def test_what_may_stand_in_the_table(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        class_of_table(table)
    assert said in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_key_names_are_no_secrets() -> None:
    table = {"class": "a.B", "key_name": "k", "key_secret": "env/K", "hosts": ["a"], "port": 53}
    assert dict(class_of_table(table).arguments) == {
        **{name: value for name, value in table.items() if name != "class"},
        "hosts": ("a",),
    }


def settings_of(dns: dict[str, Any]) -> ProviderSettings | None:
    """What a fleet makes of the table `[dns]`."""
    table = {"dns": dns, "streams": {"orders": {"logins": ["app"]}}}
    hosts = [HostEntry("eu", "mta1.shop.example", {"streams": {"orders": ["203.0.113.1"]}})]
    files = {"shop.example": ("dns/shop.example.toml", table)}
    declared = {"domains": ["shop.example"]}
    return build_fleet("inventories/prod", hosts, declared, files, []).domains[0].dns


def test_a_domain_file_names_class_and_arguments() -> None:
    table = {"class": "octodns_bind.Rfc2136Provider", "hosts": ["192.0.2.53"]}
    found = settings_of({"provider": "octodns", "octodns": table})
    assert isinstance(found, OctodnsSettings)
    assert found.octodns == ProviderClass(str(table["class"]), (("hosts", ("192.0.2.53",)),))
    # Drivers are kept by their settings.
    assert hash(found) == hash(settings_of({"provider": "octodns", "octodns": table}))


@pytest.mark.parametrize(
    ("dns", "said"),
    [
        ({"provider": "octodns"}, "dns.octodns: is missing; add it, e.g. octodns = { class"),
        ({"provider": "octodns", "octodns": {}}, "dns.octodns: needs class"),
    ],
)
def test_a_domain_file_without_class(dns: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(dns)
    assert said in str(caught.value)
