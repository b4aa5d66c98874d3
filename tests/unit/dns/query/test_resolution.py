"""A resolver that does not answer is not asked thousands of times."""

from __future__ import annotations

import dns.exception
import dns.rcode
import pytest

from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.query.resolver import Resolver

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("rcode", "asked"), [(None, 1), (dns.rcode.NOERROR, 3)])
def test_a_dead_resolver_is_asked_once_and_a_live_one_for_each_name(
    monkeypatch: pytest.MonkeyPatch, rcode: dns.rcode.Rcode | None, asked: int
) -> None:
    resolver = Resolver(["192.0.2.53"], "the resolver")
    questions: list[str] = []

    def silent(name: str, *_: object, **__: object) -> None:
        questions.append(name)
        raise dns.exception.Timeout

    monkeypatch.setattr(resolver.dnspython, "resolve", silent)
    monkeypatch.setattr(resolver, "_rcode", lambda *_: rcode)
    for name in ("a.example", "b.example", "c.example"):
        with pytest.raises(
            LookupFailedError, match=f"{name} A cannot be looked up at the resolver"
        ):
            resolver(name, "A")
    assert len(questions) == asked
