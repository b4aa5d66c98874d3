"""A run of the certificate agent, with a certbot that is told what to answer."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.certificate import files
from agent.certificate import main as certificate
from agent.certificate import order as certificate_order
from agent.certificate.config import Config, Lineage
from agent.certificate.order import Certificate
from agent.lib.configuration import dump

pytestmark = pytest.mark.unit

NAME = "mta1.shop.example"
CONFIG = Config(
    names=(NAME,),
    lineages=(Lineage(NAME, "ecdsa"),),
    directory="https://ca.example/dir",
    contact=None,
    addresses=("192.0.2.10",),
    units=("nginx.service",),
)
UNKNOWN = "urn:ietf:params:acme:error:accountDoesNotExist\n"


class Certbot:
    """Answers each call with the next of `answers`, and writes `logged` to its log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.answers: list[tuple[int, str]] = []
        self.logged = "an order\n"
        self.rotates = False
        self.calls = 0

    def __call__(self, *_: object) -> tuple[int, str]:
        self.calls += 1
        with self.log.open("w" if self.rotates else "a") as log:
            log.write(self.logged)
        return self.answers.pop(0)


@pytest.fixture
def certbot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certbot:
    """A host below a folder that has no certificate, and whose names all lead to it."""
    fake = Certbot(tmp_path / "letsencrypt.log")
    monkeypatch.setattr(certificate, "_certbot", fake)
    monkeypatch.setattr(certificate, "_LOG", str(fake.log))
    monkeypatch.setattr(certificate, "FOLDER", str(tmp_path / "state"))
    monkeypatch.setattr(certificate, "METRICS", str(tmp_path / "metrics"))
    monkeypatch.setattr(certificate, "install", lambda _: None)
    monkeypatch.setattr(certificate, "problems", lambda *_, **__: [])
    monkeypatch.setattr(files, "CERTBOT", str(tmp_path / "letsencrypt"))
    for name in ("CHAIN", "WEB_CHAIN", "KEY"):
        monkeypatch.setattr(files, name, str(tmp_path / name))
    monkeypatch.setattr(os, "chown", lambda *_: None)
    return fake


@pytest.fixture
def account(tmp_path: Path, certbot: Certbot) -> Path:
    """The account that the host has with its authority."""
    file = tmp_path / "letsencrypt/accounts/ca.example/dir/1/regr.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    return file


@pytest.mark.parametrize("rotates", [False, True])
def test_an_account_that_the_authority_forgot_is_made_anew(
    certbot: Certbot, account: Path, rotates: bool
) -> None:
    certbot.log.write_text("old lines\n" * 100)
    certbot.rotates = rotates
    # What the authority tells need not be ASCII.
    certbot.logged = f"Straße\n{UNKNOWN}"
    certbot.answers = [(1, "no account"), (0, "")]
    assert certificate.run(CONFIG, "x") == certificate.GOOD
    assert not account.exists()


def test_an_old_line_of_the_log_costs_no_account(certbot: Certbot, account: Path) -> None:
    """Debian's certbot appends to one log for a week."""
    certbot.log.write_text(UNKNOWN)
    certbot.answers = [(1, "no route")]
    assert certificate.run(CONFIG, "x") == certificate.FAILED
    assert certbot.calls == 1
    assert account.exists()


@pytest.mark.parametrize(
    ("left", "issued", "enough"),
    [(20, True, False), (9, True, True), (-1, True, True), (9, False, False)],
    ids=["due", "pressing", "ended", "its own"],
)
def test_a_dead_peer_stops_no_renewal_to_the_day_of_expiry(
    certbot: Certbot, monkeypatch: pytest.MonkeyPatch, left: int, issued: bool, enough: bool
) -> None:
    ends = certificate._now() + dt.timedelta(days=left)
    held = Certificate(frozenset(CONFIG.names), ends - dt.timedelta(days=90), ends, issued)
    monkeypatch.setattr(files, "lineage", lambda _: files.Material("key", "chain"))
    monkeypatch.setattr(files, "described", lambda *_: held)

    def problems(*_: object, one_address: bool, **__: Any) -> list[str]:
        return [] if one_address else ["a peer does not answer"]

    monkeypatch.setattr(certificate, "problems", problems)
    certbot.answers = [(0, "")]
    expected = certificate.GOOD if enough else certificate.WAITING
    assert certificate.run(CONFIG, "x") == expected
    assert certbot.calls == int(enough)


START = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def every_half_hour(certbot: Certbot, monkeypatch: pytest.MonkeyPatch, hours: float) -> list[float]:
    """Let the timer look for so long while each order fails; after how many hours there was one."""
    found: list[float] = []
    for half in range(int(hours * 2)):
        now = START + dt.timedelta(minutes=30 * half)
        monkeypatch.setattr(certificate, "_now", lambda now=now: now)
        certbot.answers = [(1, f"failure {len(found) + 1}")]
        assert certificate.run(CONFIG, "x", timer=True) == certificate.FAILED
        if not certbot.answers:
            found.append(half / 2)
    return found


def test_the_timer_asks_the_more_rarely_the_more_orders_failed(
    certbot: Certbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = every_half_hour(certbot, monkeypatch, 24 * 4)
    assert made == [0, 0.5, 1, 2, 3, 4, 10, 16, 22, 46, 70, 94]
    kept = json.loads(Path(certificate.FOLDER, "state.json").read_text())
    assert kept["result"] == "failed", "mailfleet verify goes by it"
    assert kept["reason"] == (
        "too many orders failed (12 in a row): the next one is made after 2026-05-06 10:00 UTC; the last"
        " one: https://ca.example/dir gave no certificate: failure 12; once that is mended, this orders"
        f" sooner: python3 -I {Path(certificate.__file__).parents[2]} certificate run"
    )


@pytest.mark.parametrize("forced", [False, True], ids=["deploy", "renew"])
def test_a_person_who_mended_the_cause_waits_for_no_timer(
    certbot: Certbot, monkeypatch: pytest.MonkeyPatch, forced: bool
) -> None:
    every_half_hour(certbot, monkeypatch, 23)
    assert certificate.run(CONFIG, "x", timer=True) == certificate.FAILED
    certbot.answers = [(0, "")]
    assert certificate.run(CONFIG, "x", forced=forced) == certificate.GOOD
    kept = json.loads(Path(certificate.FOLDER, "state.json").read_text())
    assert (kept["failures"], kept["failure"], kept["result"]) == ([], "", "good")


def test_a_person_makes_three_failed_orders_an_hour(certbot: Certbot) -> None:
    certbot.answers = [(1, "no luck")] * 9
    for _ in range(5):
        assert certificate.run(CONFIG, "x", forced=True) == certificate.FAILED
    assert certbot.calls == 3
    reason = json.loads(Path(certificate.FOLDER, "state.json").read_text())["reason"]
    assert reason.endswith("gave no certificate: no luck; mend that and try again then"), (
        "told once, not once more at each run"
    )


def test_a_good_certificate_forgives_no_failed_order(
    certbot: Certbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `renew` after each look would be free."""
    certbot.answers = [(1, "no luck")]
    certificate.run(CONFIG, "x", forced=True)
    monkeypatch.setattr(certificate_order, "need", lambda *_, **__: "")
    assert certificate.run(CONFIG, "x") == certificate.GOOD
    assert len(certificate._read_state().failures) == 1


def test_the_state_of_an_older_version_is_read(certbot: Certbot) -> None:
    old = {"result": "failed", "reason": "no luck", "attempt": 5.0, "success": 4.0, "failures": [5]}
    Path(certificate.FOLDER).mkdir()
    Path(certificate.FOLDER, "state.json").write_text(json.dumps(old))
    assert vars(certificate._read_state()) == {**old, "failure": ""}
    certbot.answers = [(1, "no luck")]
    certificate.run(CONFIG, "x", timer=True)
    assert len(certificate._read_state().failures) == 2


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("timer", {"forced": False, "timer": True}),
        ("run", {"forced": False, "timer": False}),
        ("renew", {"forced": True, "timer": False}),
    ],
)
def test_only_the_timers_verb_means_the_timers_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, asked: dict[str, bool]
) -> None:
    given: list[dict[str, bool]] = []
    monkeypatch.setattr(certificate, "CONFIG", str(tmp_path / "config.json"))
    Path(certificate.CONFIG).write_text(dump(CONFIG))

    def run(*_: object, **how: bool) -> int:
        given.append(how)
        return certificate.GOOD

    monkeypatch.setattr(certificate, "run", run)
    assert certificate.main([verb]) == 0
    assert given == [asked]


def test_the_timers_unit_uses_the_timers_verb() -> None:
    root = Path(__file__).resolve().parents[4]
    unit = root / "templates/etc/systemd/system/mailfleet-certificate.service.j2"
    assert "ExecStart={{ command }} certificate timer\n" in unit.read_text()
