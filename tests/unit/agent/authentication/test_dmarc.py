"""agent/authentication/dmarc.py: organizational domains, alignment and verdicts (RFC 9989)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.authentication import dmarc
from agent.authentication.dmarc import Identifier, Record, TemporaryError

pytestmark = pytest.mark.unit

ZONE = {
    "_dmarc.shop.example": ["v=DMARC1; p=reject"],
    "_dmarc.strict.example": ["v=DMARC1; p=reject; adkim=s; aspf=s"],
    "_dmarc.own.shop.example": ["v=DMARC1; p=none; psd=n"],
    "_dmarc.bank": ["v=DMARC1; p=reject; psd=y"],
    "_dmarc.twice.example": ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
    "_dmarc.empty.example": ["v=DMARC1"],
    "_dmarc.reports.example": ["v=DMARC1; p=wrong; rua=mailto:a@reports.example"],
    "_dmarc.other.example": ["v=DMARC1; p=none"],
}


def lookup(name: str) -> Sequence[str]:
    if "broken" in name:
        raise TemporaryError(name)
    return ZONE.get(name, [])


def verdict(author: str, *identifiers: tuple[str, str, str]) -> str:
    return dmarc.evaluate(author, [Identifier(*one) for one in identifiers], lookup)


def test_a_walk_asks_for_eight_names_at_most() -> None:
    """The example of RFC 9989, section 4.10."""
    assert list(dmarc.names("a.b.c.d.e.f.g.h.i.j.mail.example.com")) == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert list(dmarc.names("mail.example.com")) == ["mail.example.com", "example.com", "com"]


@pytest.mark.parametrize(
    ("domain", "organization"),
    [
        ("shop.example", "shop.example"),
        ("a.b.shop.example", "shop.example"),
        ("own.shop.example", "own.shop.example"),
        ("x.own.shop.example", "own.shop.example"),
        ("mail.giant.bank", "giant.bank"),
        ("bank", "bank"),
        ("a.unknown.example", "a.unknown.example"),
        ("broken-not.twice.example", "broken-not.twice.example"),
    ],
)
def test_organizational_domains(domain: str, organization: str) -> None:
    found = dmarc.walk(domain, lambda name: ZONE.get(name, []))
    assert dmarc.organizational(domain, found) == organization


@pytest.mark.parametrize(
    ("author", "identifiers", "result"),
    [
        ("shop.example", [("dkim", "shop.example", "pass")], "pass"),
        ("shop.example", [("spf", "bounce.shop.example", "pass")], "pass"),
        ("news.shop.example", [("dkim", "shop.example", "pass")], "pass"),
        ("shop.example", [("dkim", "other.example", "pass")], "fail"),
        ("shop.example", [("dkim", "evilshop.example", "pass")], "fail"),
        ("shop.example", [("dkim", "own.shop.example", "pass")], "fail"),
        ("shop.example", [("dkim", "example", "pass")], "fail"),
        ("shop.example", [("dkim", "shop.example", "fail"), ("spf", "shop.example", "softfail")], "fail"),
        ("shop.example", [], "fail"),
        ("strict.example", [("dkim", "a.strict.example", "pass")], "fail"),
        ("strict.example", [("spf", "a.strict.example", "pass")], "fail"),
        ("strict.example", [("spf", "strict.example", "pass")], "pass"),
        ("mail.giant.bank", [("dkim", "giant.bank", "pass")], "pass"),
        ("mail.giant.bank", [("dkim", "dwarf.bank", "pass")], "fail"),
        # Not knowing is never a pass, nor is it a no.
        ("shop.example", [("dkim", "shop.example", "temperror")], "temperror"),
        ("shop.example", [("dkim", "broken.shop.example", "pass")], "temperror"),
        ("shop.example", [("dkim", "other.example", "temperror")], "fail"),
        ("shop.example", [("dkim", "shop.example", "temperror"), ("spf", "shop.example", "pass")], "pass"),
        ("broken.example", [("dkim", "broken.example", "pass")], "temperror"),
        # No policy.
        ("unknown.example", [("dkim", "unknown.example", "pass")], "none"),
        ("twice.example", [("dkim", "twice.example", "pass")], "none"),
        ("empty.example", [("dkim", "empty.example", "pass")], "none"),
        ("reports.example", [("dkim", "reports.example", "pass")], "pass"),
    ],
)  # fmt: skip
def test_verdicts(author: str, identifiers: list[tuple[str, str, str]], result: str) -> None:
    assert verdict(author, *identifiers) == result


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=DMARC1;p=none", Record()),
        ("v = DMARC1 ; adkim = S ; p = Reject", Record(strict_dkim=True)),
        ("v=DMARC1; p=none; p=x; psd=Y", Record(public_suffix="y")),
        ("v=DMARC1", Record(applies=False)),
        ("v=DMARC10; p=none", None),
        ("p=none; v=DMARC1", None),
        (" v=DMARC1; p=none", None),
        ("v=spf1 -all", None),
        ("", None),
    ],
)
def test_records(text: str, record: Record | None) -> None:
    assert dmarc.parse(text) == record


@given(st.text(), st.text(max_size=80))
def test_nothing_that_strangers_publish_is_an_error(text: str, domain: str) -> None:
    found = dmarc.evaluate(domain, [Identifier("dkim", f"a.{domain}", "pass")], lambda _: [text])
    assert found in ("pass", "fail", "none")
