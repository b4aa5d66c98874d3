"""agent/authentication/body_hash.py against dkimpy's canonical forms, however the body is cut into pieces."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from agent.authentication.body_hash import BodyHash

pytestmark = pytest.mark.unit

FORMS = {"simple": Simple, "relaxed": Relaxed}
WORDS = [b"", b" ", b"\t ", b"a", b" a", b"a ", b"a \t b", b"\r", b" \r", b"\n", b"\xff"]
LINES = st.lists(st.sampled_from(WORDS))


def hashed(form: str, *pieces: bytes) -> tuple[bytes, int]:
    body = BodyHash(form)
    for piece in pieces:
        body.update(piece)
    return body.digest(), body.octets


def expected(form: str, body: bytes) -> tuple[bytes, int]:
    canonical = FORMS[form].canonicalize_body(body)
    return hashlib.sha256(canonical).digest(), len(canonical)


@pytest.mark.parametrize("form", FORMS)
@given(lines=LINES, cuts=st.sets(st.integers(0, 60)))
def test_the_hash_is_that_of_the_whole_body(form: str, lines: list[bytes], cuts: set[int]) -> None:
    body = b"".join(line + b"\r\n" for line in lines)
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(places)]
    assert hashed(form, *pieces) == expected(form, body)


@pytest.mark.parametrize("form", FORMS)
def test_many_empty_lines_are_not_kept_in_memory(form: str) -> None:
    body = b"\r\n" * 50_000 + b"x\r\n"
    assert hashed(form, *[b"\r\n" * 10_000] * 5, b"x\r\n") == expected(form, body)
    assert hashed(form, b"x\r\n", *[b"\r\n" * 10_000] * 5) == expected(form, b"x\r\n")


@pytest.mark.parametrize(("form", "octets"), [("simple", 2), ("relaxed", 0)])
def test_an_empty_body(form: str, octets: int) -> None:
    """RFC 6376, sections 3.4.3 and 3.4.4."""
    assert hashed(form)[1] == octets
