"""`mailfleet dns` as a user meets it: exit codes, one JSON document, old and new side by side."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mailfleet.cli import cli
from mailfleet.dns.plan.ownership import slots_of
from mailfleet.dns.plan.zone import Plan, Zone, plan
from mailfleet.dns.publish.apply import PublishError, ZoneOutcome
from mailfleet.dns.publish.plan import Publication, UnreadZone, ZonePlan
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.errors import EXIT_FAILED, EXIT_PENDING, EXIT_USAGE, MailfleetError

pytestmark = pytest.mark.unit

# The package's attribute of that name is the command group.
commands = importlib.import_module("mailfleet.cli.dns")
ZONE = "shop.example"
OLD = rrset(ZONE, "TXT", 300, txt("v=spf1 ip4:203.0.113.1 -all"))
NEW = rrset(ZONE, "TXT", 300, txt("v=spf1 ip4:203.0.113.1 ip4:203.0.113.7 -all"))
KEY = rrset(f"k._domainkey.{ZONE}", "TXT", 300, txt("v=DKIM1; p=QQ=="))


class Stand:
    """A driver that is only named."""

    label = "stand-in"


def publication(*wanted: RRset, problems: tuple[str, ...] = ()) -> Publication:
    owned = slots_of([OLD])
    made: Plan = plan(Zone(ZONE, (OLD,), owned), wanted)
    return Publication((ZonePlan(Stand(), made, None, problems),))  # type: ignore[arg-type]


def run(
    monkeypatch: pytest.MonkeyPatch, prepared: Publication, *arguments: str, outcome: Any = ()
) -> Result:
    def carried_out(*_: object) -> Any:
        if isinstance(outcome, MailfleetError):
            raise outcome
        return outcome

    monkeypatch.setattr(commands, "_prepare", lambda *_, **__: prepared)
    monkeypatch.setattr(commands, "publish", carried_out)
    return CliRunner().invoke(cli, ["dns", *arguments])


@pytest.mark.parametrize(
    ("wanted", "problems", "options", "code"),
    [
        ([OLD], (), [], 0),
        ([OLD], (), ["--expect-no-changes"], 0),
        ([NEW], (), [], 0),
        ([NEW], (), ["--expect-no-changes"], EXIT_PENDING),
        ([NEW], ("conflict: x",), ["--expect-no-changes"], EXIT_FAILED),
    ],
)
def test_plan_ends_with_a_code_that_tells(
    monkeypatch: pytest.MonkeyPatch,
    wanted: list[RRset],
    problems: tuple[str, ...],
    options: list[str],
    code: int,
) -> None:
    prepared = publication(*wanted, problems=problems)
    assert run(monkeypatch, prepared, "plan", "inventories/prod", *options).exit_code == code


def test_old_and_new_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(monkeypatch, publication(NEW, KEY), "plan", "inventories/prod").output
    assert "~ shop.example TXT (TTL 300)" in shown
    pairs = [line[4:].partition(" + ") for line in shown.splitlines() if line.startswith("    ")]
    old = " ".join(left.removeprefix("-").strip() for left, _, _ in pairs).split()
    new = " ".join(right for _, _, right in pairs).split()
    assert [old, new] == [OLD.values[0].split(), NEW.values[0].split()]
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert f"+ k._domainkey.{ZONE} 300 TXT" in shown


def test_json_is_one_document_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch, publication(NEW), "plan", "inventories/prod", "--json")
    document = json.loads(found.stdout)
    assert document["pending"] is True
    [change] = document["zones"][0]["changes"]
    assert (change["action"], change["old"]["values"]) == ("update", list(OLD.values))


def test_a_push_that_fails_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = publication(NEW, KEY)
    first, second = prepared.zones[0].plan.changes
    half = ZoneOutcome(ZONE, "stand-in", "failed", "the connection was lost", (first,), (second,))
    failure = PublishError((half,))
    found = run(monkeypatch, prepared, "push", "inventories/prod", "--json", outcome=failure)
    assert found.exit_code == EXIT_FAILED
    [zone] = json.loads(found.stdout)["outcome"]
    assert [change["name"] for change in zone["applied"]] == [KEY.name]
    assert [change["name"] for change in zone["missing"]] == [ZONE]
    found = run(monkeypatch, prepared, "push", "inventories/prod", outcome=failure)
    assert isinstance(found.exception, PublishError)
    assert "applied: create k._domainkey.shop.example TXT" in str(found.exception)


def test_a_zone_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Publication((), (), (UnreadZone(ZONE, "stand-in", "does not serve it"),))
    found = run(monkeypatch, prepared, "plan", "inventories/prod")
    assert found.exit_code == EXIT_FAILED
    assert "problem: shop.example: does not serve it" in found.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "inventories/prod", "--adopt", "shop.example"],
        ["check", "inventories/prod", "--resolver", "dns.example"],
        ["check", "inventories/prod", "--resolver"],
        ["push"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["dns", *arguments]).exit_code == EXIT_USAGE
