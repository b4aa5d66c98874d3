"""A run of the certificate agent, with a certbot that is told what to answer."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from agent import certificate, certificate_reach
from agent import certificate_files as files
from agent.certificate_order import Certificate, Config, Lineage

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
    monkeypatch.setattr(certificate_reach, "problems", lambda *_, **__: [])
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

    monkeypatch.setattr(certificate_reach, "problems", problems)
    certbot.answers = [(0, "")]
    expected = certificate.GOOD if enough else certificate.WAITING
    assert certificate.run(CONFIG, "x") == expected
    assert certbot.calls == int(enough)
