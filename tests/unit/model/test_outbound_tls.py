"""What the fleet demands of TLS towards single domains: what may be said, and what Postfix reads."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.errors import ConfigurationError
from mailfleet.host.releases import release_of
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from mailfleet.host.tls_guideline import SUITES, server_tls
from mailfleet.model import Fleet
from roles import desired
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

NAME = "mta1.eu.shop.example"


def demanding(outbound_tls: Any) -> Fleet:
    return fleet_of({NAME: {"streams": {"orders": ["203.0.113.10"]}}}, outbound_tls=outbound_tls)


def state_of(outbound_tls: Any = (), suite: str = "bookworm") -> HostState:
    fleet = demanding(dict(outbound_tls))
    return desired(Target(fleet, fleet.host(NAME), suite, {"shop": "$6$x$y"}))


def text(state: HostState, path: str) -> str:
    (file,) = (file for file in state.files if file.path == path)
    return file.content


@pytest.mark.parametrize(
    ("destination", "demand", "line"),
    [
        ("bank.example", "encrypt", "bank.example encrypt"),
        ("bank.example", "may", "bank.example may"),
        ("Bank.Example", "dane-only", "bank.example dane-only"),
        (".bank.example", "encrypt", ".bank.example encrypt"),
        ("bank.example", "verify", "bank.example verify match=hostname servername=hostname"),
        (
            "bank.example",
            "secure",
            "bank.example secure match=nexthop:dot-nexthop servername=hostname",
        ),
        (
            "bücher.example",
            {"level": "secure", "names": ["mx.host.example", ".bank.example"]},
            "xn--bcher-kva.example secure match=mx.host.example:.bank.example servername=hostname",
        ),
    ],
)
def test_what_postfix_reads(destination: str, demand: Any, line: str) -> None:
    table = text(state_of({destination: demand}), "/etc/postfix-orders/tls_policy")
    assert [row for row in table.splitlines() if not row.startswith("#")] == [line]


@pytest.mark.parametrize(
    ("outbound_tls", "key", "words"),
    [
        ({"bank.example": "strict"}, "outbound_tls.bank.example.level", "'secure'"),
        ({"bank.example": True}, "outbound_tls.bank.example", "table"),
        ({"bank.example": {"names": ["a.example"]}}, "outbound_tls.bank.example.level", "missing"),
        (
            {"bank.example": {"level": "encrypt", "names": ["a.example"]}},
            "outbound_tls.bank.example",
            'names are for level "secure" only; "encrypt" has none',
        ),
        (
            {"bank.example": {"level": "secure", "names": []}},
            "outbound_tls.bank.example.names",
            "is empty; give at least one",
        ),
        (
            {"Bank.example": "secure", "bank.example.": "may"},
            "outbound_tls",
            "'Bank.example' and 'bank.example.' are the same name; keep one",
        ),
        ({"bank": "encrypt"}, "outbound_tls.bank", "'bank' is not fully qualified"),
        ({"192.0.2.1": "encrypt"}, "outbound_tls.192.0.2.1", "ends in a number"),
        ({"bank.example": {"level": "secure", "name": "x"}}, "outbound_tls.bank.example.name", ""),
    ],
)
def test_what_is_refused(outbound_tls: Any, key: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        demanding(outbound_tls)
    (problem,) = error.value.problems
    assert problem.file == "inventories/prod"
    assert problem.key.startswith(key)
    assert words in str(problem)


def test_demands_come_before_what_receivers_ask_for() -> None:
    main_cf = text(state_of(), "/etc/postfix-orders/main.cf")
    maps = main_cf.index("smtp_tls_policy_maps =")
    assert (
        maps < main_cf.index("texthash:$config_directory/tls_policy") < main_cf.index("socketmap:")
    )
    assert "\nsmtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\n" in main_cf


@pytest.mark.parametrize(
    ("suite", "curves", "ffdhe"),
    [
        ("bookworm", "X25519 prime256v1 secp384r1", False),
        ("noble", "X25519 prime256v1 secp384r1", True),
        ("trixie", "X25519MLKEM768 X25519 prime256v1 secp384r1", True),
    ],
)
@pytest.mark.parametrize("instance", ["postfix", "postfix-orders"])
def test_the_guideline_in_each_releases_words(
    suite: str, curves: str, ffdhe: bool, instance: str
) -> None:
    lines = text(state_of(suite=suite), f"/etc/{instance}/main.cf").splitlines()
    assert f"tls_medium_cipherlist = {':'.join(SUITES)}" in lines
    assert f"tls_eecdh_auto_curves = {curves}" in lines
    # Postfix 3.7 does not know the parameter, and an unknown one is an error of ours.
    assert ("tls_ffdhe_auto_groups =" in lines) == ffdhe
    for name in ("smtpd_tls_protocols", "smtpd_tls_mandatory_protocols"):
        assert f"{name} = >=TLSv1.2" in lines


def test_the_guidelines_suites_are_six_with_forward_secrecy() -> None:
    assert len(SUITES) == 6
    assert all(suite.startswith("ECDHE-") for suite in SUITES)
    assert not [suite for suite in SUITES if "GCM" not in suite and "CHACHA20" not in suite]
    assert server_tls(release_of("trixie")).curves.startswith("X25519MLKEM768 ")
