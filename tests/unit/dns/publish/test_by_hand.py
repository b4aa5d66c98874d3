"""Domains whose DNS is kept by hand: what is to be entered, and what their name servers say of it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.zone
import pytest
from click.testing import CliRunner, Result

from mailfleet.cli import cli
from mailfleet.deploy.dns import _report
from mailfleet.dns.publish.apply import publish
from mailfleet.dns.publish.by_hand import ByHand, planned
from mailfleet.dns.publish.plan import Publication
from mailfleet.dns.publish.prepare import prepare
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import DkimPublicKey, HostDkimKeys
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING, ConfigurationError, MailfleetError
from mailfleet.model import Fleet, HostEntry, build_fleet

pytestmark = pytest.mark.unit

ZONE = "shop.example"
HOST = "mta1.eu.shop.example"
# Long enough for two strings of a TXT record.
KEYS = {HOST: HostDkimKeys((DkimPublicKey(ZONE, "mta1-eu-1", "QUJD" * 100),), True)}
commands = importlib.import_module("mailfleet.cli.dns")


def fleet(**tables: Any) -> Fleet:
    """One host and one domain, whose file has these tables beside its stream."""
    content = {"streams": {"orders": {"logins": ["app"]}}, **tables}
    return build_fleet(
        "inventories/prod",
        [HostEntry("eu", HOST, {"streams": {"orders": ["193.0.6.139"]}})],
        {"domains": [ZONE]},
        {ZONE: (f"dns/{ZONE}.toml", content)},
        [],
    )


def wanted() -> tuple[RRset, ...]:
    return records(fleet(), KEYS[HOST].keys)[ZONE]


def holding(held: Sequence[RRset]) -> Callable[[str, Sequence[RRset]], tuple[RRset, ...]]:
    """Name servers that hold these records."""
    known = {record.key: record for record in held}
    return lambda _, asked: tuple(known[one.key] for one in asked if one.key in known)


def silent(zone: str, asked: Sequence[RRset]) -> tuple[RRset, ...]:
    raise MailfleetError("its name servers cannot be found: NXDOMAIN")


def prepared(
    answers: Callable[[str, Sequence[RRset]], tuple[RRset, ...]], **tables: Any
) -> Publication:
    return prepare(fleet(**tables), KEYS, answers=answers)


def run(monkeypatch: pytest.MonkeyPatch, publication: Publication, *arguments: str) -> Result:
    monkeypatch.setattr(commands, "_prepare", lambda *_, **__: publication)
    return CliRunner().invoke(cli, ["dns", *arguments])


@pytest.mark.parametrize("tables", [{}, {"dns": {"provider": "manual"}}])
def test_everything_is_to_be_entered_at_first(
    monkeypatch: pytest.MonkeyPatch, tables: dict[str, Any]
) -> None:
    found = run(monkeypatch, prepared(holding(()), **tables), "plan", "inventories/prod")
    assert found.exit_code == 0
    assert f"{ZONE} is kept by hand: {len(wanted())} to create, to be entered there" in found.output
    # Another reader of zone files finds exactly the records of the fleet in what is printed.
    lines = [line.strip() for line in found.output.splitlines()]
    zone = dns.zone.from_text(
        "\n".join(line.removeprefix("+ ") for line in lines if line.startswith("+ ")),
        origin=f"{ZONE}.",
        relativize=False,
        check_origin=False,
    )
    entered = {
        rrset(name.to_text(), dns.rdatatype.to_text(rdataset.rdtype), rdataset.ttl,
              *(rdata.to_text() for rdata in rdataset))
        for name, node in zone.nodes.items()
        for rdataset in node
    }  # fmt: skip
    assert entered == set(wanted())


def test_what_is_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = prepared(holding(wanted()))
    assert done.is_empty
    found = run(monkeypatch, done, "plan", "inventories/prod", "--expect-no-changes")
    assert found.exit_code == 0
    assert f"{ZONE} is kept by hand: its name servers answer what they should" in found.output


def test_pending_while_something_is_missing_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [one for one in wanted() if one.type != "MX"]
    for record in (*held, rrset(ZONE, "TXT", 60, txt("v=spf1 ?all"))):
        pending = prepared(holding([one for one in wanted() if one.key != record.key]))
        found = run(monkeypatch, pending, "plan", "inventories/prod", "--expect-no-changes")
        assert found.exit_code == EXIT_PENDING


def test_a_wrong_value_is_to_be_taken_out_and_neighbours_stay() -> None:
    others = [txt("google-site-verification=x"), txt("v=spf1 include:old.example -all")]
    held = [one for one in wanted() if one.key != (ZONE, "TXT")]
    entry = planned(ZONE, wanted(), holding([*held, rrset(ZONE, "TXT", 60, *others)]))
    [change] = entry.plan.changes
    assert change.removed == {others[1]}
    assert [value for value in change.added if "v=spf1 ip4:193.0.6.139" in value]


def test_more_addresses_than_ours_may_stay() -> None:
    more = [
        rrset(one.name, "A", 60, *one.values, "192.0.2.99") if one.type == "A" else one
        for one in wanted()
    ]
    assert planned(ZONE, wanted(), holding(more)).plan.is_empty


def test_what_nobody_could_say_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    publication = prepared(silent)
    found = run(monkeypatch, publication, "plan", "inventories/prod")
    assert found.exit_code == 0
    said = f"{ZONE}: not known whether its records are there: its name servers cannot be found"
    assert said in found.output
    assert f"its {len(wanted())} record sets, to enter what is missing" in found.output
    found = run(monkeypatch, publication, "plan", "inventories/prod", "--expect-no-changes")
    assert found.exit_code == EXIT_FAILED
    assert said in found.output
    assert any(said in line for line in _report(publication))


def test_the_document_has_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch, prepared(holding(())), "plan", "inventories/prod", "--json")
    document = json.loads(found.stdout)
    [zone] = document["zones"]
    assert document["pending"] is True
    assert (zone["by_hand"], zone["unknown"]) == (True, "")
    assert f"+ {HOST}. 3600 IN A 193.0.6.139" in zone["zone_file"]
    unknown = json.loads(run(monkeypatch, prepared(silent), "plan", "x", "--json").stdout)
    assert unknown["pending"] is False
    assert len(unknown["unknown"]) == 1


def test_a_push_says_what_it_leaves_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    [outcome] = publish(prepared(holding(())), said.append)
    assert outcome.state == "by hand"
    assert said == [
        f"{ZONE}: kept by hand: enter the {len(wanted())} record sets that the plan lists"
    ]
    [outcome] = publish(prepared(holding(wanted())), said.append)
    assert outcome.state == "unchanged"


def test_pyinfra_shows_whole_values() -> None:
    shown = [line for line in _report(prepared(holding(()))) if "_domainkey" in line]
    [key] = shown
    assert "QUJD" * 40 in key
    assert "..." not in key


def test_nothing_is_written_by_hand() -> None:
    entry = planned(ZONE, wanted(), holding(()))
    with pytest.raises(MailfleetError, match="is kept by hand"):
        ByHand(wanted(), silent).apply(entry.plan, entry.snapshot)


def test_a_domain_within_the_zone_of_another_has_to_say_where_it_is() -> None:
    tables: dict[str, Any] = {
        ZONE: {"dns": {"provider": "hetzner"}, "streams": {"orders": {"logins": ["app"]}}},
        "news.shop.example": {"streams": {"news": {"logins": ["n"]}}},
    }
    with pytest.raises(ConfigurationError) as error:
        build_fleet(
            "inventories/prod",
            [
                HostEntry(
                    "eu", HOST, {"streams": {"orders": ["193.0.6.139"], "news": ["193.0.6.140"]}}
                )
            ],
            {"domains": list(tables)},
            {name: (f"dns/{name}.toml", table) for name, table in tables.items()},
            [],
        )
    assert str(error.value) == (
        "dns/news.shop.example.toml: dns: is missing, and the domain lies in the zone shop.example: "
        'add the [dns] of shop.example with zone = "shop.example"; or provider = "manual", if it is '
        "a zone of its own that is kept by hand"
    )


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"provider": "hetzner", "server": "192.0.2.53"},
            "dns.server: is for provider rfc2136, and hetzner does not read it; remove it",
        ),
        (
            {"provider": "manual", "key": "k"},
            "dns.key: is for provider rfc2136, and manual does not read it; remove it",
        ),
        (
            {"provider": "rfc2136", "server": "192.0.2.53", "key": "k", "proxied": ["a.example"]},
            "dns.proxied: is for provider cloudflare, and rfc2136 does not read it; remove it",
        ),
    ],
)
def test_keys_that_the_provider_does_not_read(table: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        fleet(dns=table)
    assert str(error.value) == f"dns/{ZONE}.toml: {expected}"
