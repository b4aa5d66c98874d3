"""A provider that cannot be opened or asked stops its own zones, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.dns.providers.base import Provider
from mailfleet.dns.publish.prepare import PublishError, prepare, publish
from mailfleet.errors import MailfleetError
from mailfleet.model import Address, Fleet, HostEntry, ProviderSettings, build_fleet
from tests.unit.dns.publish.test_publishing import DNS, EU, KEYS, US, Memory

pytestmark = pytest.mark.unit

HETZNER = {"provider": "hetzner"}
OCTODNS = {"provider": "octodns", "octodns": {"class": "octodns_x.Provider"}}
REVERSE = "113.0.203.in-addr.arpa"


class Providers:
    """One provider in memory for each kind; those in `closed` cannot be opened."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.opened: list[str] = []
        self.memory = {kind: Memory() for kind in ("rfc2136", "hetzner", "octodns")}

    def open(self, settings: ProviderSettings, _: Fleet) -> Provider:
        self.opened.append(settings.provider)
        if settings.provider in self.closed:
            raise MailfleetError(f"the token of {settings.provider} is not set", "export it")
        return Provider(self.memory[settings.provider])


@pytest.fixture(name="providers")
def _providers(monkeypatch: pytest.MonkeyPatch) -> Providers:
    found = Providers()
    monkeypatch.setattr("mailfleet.dns.publish.providers.open_provider", found.open)
    return found


def fleet(reverse: dict[str, Any] | None = DNS) -> Fleet:
    """Three domains at two providers, and reverse zones at `reverse`."""
    hosts = [
        HostEntry("eu", EU, {"streams": {"orders": ["203.0.113.1"]}}),
        HostEntry("us", US, {"streams": {"orders": ["203.0.113.2"]}}),
    ]
    parked = {"sends": False, "dns": HETZNER}
    tables: dict[str, dict[str, Any]] = {
        "shop.example": {"dns": DNS, "streams": {"orders": {"logins": ["app"]}}},
        "one.example": parked,
        "two.example": parked,
    }
    files = {name: (f"dns/{name}.toml", table) for name, table in tables.items()}
    declared = {"domains": list(files)} | ({"reverse_dns": reverse} if reverse else {})
    return build_fleet("inventories/prod", hosts, declared, files, [])


def test_a_missing_token_stops_its_own_zones(providers: Providers) -> None:
    providers.closed = {"hetzner"}
    publication = prepare(fleet(), KEYS)
    text = "the token of hetzner is not set\n  hint: export it"
    assert publication.problems == (f"one.example: {text}", f"two.example: {text}")
    assert {one.label for one in publication.unread} == {"hetzner"}
    with pytest.raises(PublishError, match=r"one\.example: the token of hetzner is not set"):
        publish(publication)
    assert set(providers.memory["rfc2136"].zones) == {"shop.example", REVERSE}
    assert all(providers.memory["rfc2136"].zones.values())


def test_a_provider_is_opened_once_also_where_it_fails(providers: Providers) -> None:
    providers.closed = {"hetzner"}
    prepare(fleet(), KEYS)
    assert sorted(providers.opened) == ["hetzner", "rfc2136"]


@pytest.mark.parametrize(
    ("reverse", "label"), [(HETZNER, "hetzner"), (OCTODNS, "octodns octodns_x.Provider")]
)
def test_a_reverse_provider_that_cannot_be_opened_stops_no_domain(
    providers: Providers, reverse: dict[str, Any], label: str
) -> None:
    providers.closed = {str(reverse["provider"])}
    publication = prepare(fleet(reverse=reverse), KEYS)
    assert [one.zone for one in publication.unread][-1] == f"reverse zones at {label}"
    with pytest.raises(PublishError, match=f"reverse zones at {label}: the token of"):
        publish(publication)
    assert providers.memory["rfc2136"].zones["shop.example"]


def test_a_reverse_server_that_is_down_stops_no_domain_and_no_pointer_is_lost(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = fleet(reverse=OCTODNS)
    publish(prepare(one, KEYS))

    def silent(_: object) -> dict[Address, str]:
        raise MailfleetError("the server does not answer")

    reverse = providers.memory["octodns"]
    monkeypatch.setattr(reverse, "reverse_zones", silent)
    before = dict(reverse.zones[REVERSE])
    publication = prepare(one, KEYS)
    # A plan with the first pointer alone would delete the second.
    assert publication.problems == (
        "reverse zones at octodns octodns_x.Provider: the server does not answer",
    )
    assert publication.is_empty
    with pytest.raises(MailfleetError, match="nothing was published"):
        publish(publication)
    assert reverse.zones[REVERSE] == before


def test_an_audit_that_fails_stops_its_zone_alone(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*_: object) -> tuple[str, ...]:
        raise MailfleetError("whether the token may write is not known")

    monkeypatch.setattr(providers.memory["hetzner"], "audit", unanswered)
    publication = prepare(fleet(), KEYS)
    assert {one.zone for one in publication.unread} == {"one.example", "two.example"}
    assert {entry.plan.zone for entry in publication.zones} == {"shop.example", REVERSE}


def test_a_provider_that_nothing_is_asked_of_is_not_opened(providers: Providers) -> None:
    providers.closed = {"hetzner", "octodns"}
    publication = prepare(fleet(reverse=OCTODNS), KEYS, domain="one.example")
    assert providers.opened == ["hetzner"]
    assert [one.zone for one in publication.unread] == ["one.example"]
