"""For any zone and any fleet: a push leaves an empty plan, and what is foreign as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailfleet.dns.providers.cloudflare.convert import fields_of, value_of
from mailfleet.dns.rrset import RRset, octets, rrset, txt
from tests.fakes.cloudflare.account import RefusedError
from tests.fakes.cloudflare.setting import ZONE, Setting, setting

pytestmark = pytest.mark.unit

names = st.sampled_from([ZONE, f"a.{ZONE}", f"b.{ZONE}", f"_dmarc.{ZONE}", f"k._domainkey.{ZONE}"])
addresses = st.integers(1, 6).map(lambda n: f"203.0.113.{n}")
texts = st.one_of(
    st.binary(min_size=1, max_size=600).map(txt),
    st.sampled_from(["v=spf1 -all", "v=spf1 include:esp.example ~all", "v=DMARC1; p=none"]).map(
        txt
    ),
)
mx_hosts = st.sampled_from([f"10 mx1.{ZONE}.", f"20 mx1.{ZONE}.", "0 ."])
tlsa = st.binary(min_size=32, max_size=32).map(lambda raw: f"3 1 1 {raw.hex()}")
issuers = st.sampled_from(['0 issue "ca.example"', '0 issue ";"', '128 iodef "mailto:a@b.example"'])
ttls = st.sampled_from([60, 300, 3600])


def _sets(types: Iterable[tuple[str, st.SearchStrategy[str]]]) -> st.SearchStrategy[list[RRset]]:
    one = st.one_of(
        *(
            st.builds(
                lambda name, ttl, values, rtype=rtype: rrset(name, rtype, ttl, *values),
                names,
                ttls,
                st.lists(value, min_size=1, max_size=3),
            )
            for rtype, value in types
        )
    )
    return st.lists(one, max_size=6, unique_by=lambda record: record.key)


ours = _sets([("A", addresses), ("TXT", texts), ("MX", mx_hosts), ("TLSA", tlsa)])

# Records of others, as other programs write them: texts without quotes, any comment, the proxy on.
raw_texts = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=40)
theirs = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("A"), "content": addresses, "proxied": st.booleans()}
        ),
        st.fixed_dictionaries({"type": st.just("TXT"), "content": texts | raw_texts}),
        st.fixed_dictionaries(
            {"type": st.just("CNAME"), "content": st.just("cdn.example"), "proxied": st.booleans()}
        ),
        st.fixed_dictionaries(
            {"type": st.just("LOC"), "content": st.just("51 30 12 N 0 7 39 W 0m")}
        ),
        issuers.map(lambda value: {"type": "CAA", **fields_of("CAA", value)}),
    ).flatmap(
        lambda fields: st.fixed_dictionaries(
            {
                **{key: st.just(value) for key, value in fields.items()},
                "name": names,
                "ttl": st.sampled_from([1, 60, 300]),
                "comment": st.sampled_from(["", "by hand", "mailfleet:staging"]),
            }
        )
    ),
    max_size=6,
)


@pytest.fixture(scope="module", name="shared")
def _shared() -> Iterator[Setting]:
    with setting(validate=False) as found:
        driver = found.driver()
        # Making a client for each example would take most of the time.
        found.driver = lambda *_, **__: driver  # type: ignore[method-assign]
        yield found


def fill(at: Setting, records: list[dict[str, Any]]) -> None:
    at.zone.records.clear()
    for record in records:
        # Some zones cannot come about, e.g. an address beside a CNAME.
        with contextlib.suppress(RefusedError):
            at.zone.create(record)


def foreign(at: Setting) -> list[dict[str, Any]]:
    found = at.zone.records.values()
    return [r for r in found if r.get("comment", "").split()[:1] != ["mailfleet:prod"]]


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(theirs, ours, ours)
def test_push_then_plan_is_empty(
    shared: Setting, others: list[dict[str, Any]], first: list[RRset], second: list[RRset]
) -> None:
    fill(shared, others)
    before = foreign(shared)
    for wanted in (first, second, []):
        driver = shared.driver()
        made = shared.plan(wanted, driver)
        if not driver.audit(made, shared.snapshot):
            driver.apply(made, shared.snapshot)
            assert shared.plan(wanted).is_empty
        assert foreign(shared) == before
    assert list(shared.zone.records.values()) == before


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(min_size=1, max_size=1500))
def test_texts_survive_any_bytes(shared: Setting, content: bytes) -> None:
    shared.zone.records.clear()
    wanted = [rrset(f"a.{ZONE}", "TXT", 300, txt(content))]
    shared.push(wanted)
    [record] = shared.driver().read(ZONE).records
    assert octets(record.values[0]) == content
    assert shared.plan(wanted).is_empty


@given(st.text(min_size=1, max_size=300))
def test_any_text_of_others_can_be_read(content: str) -> None:
    value = value_of({"type": "TXT", "content": content})
    assert txt(octets(value)) == value


@given(st.sampled_from(["A", "LOC", "CAA", "SRV", "HTTPS", "FOO"]), st.text(max_size=40))
def test_any_record_of_others_can_be_read(rtype: str, content: str) -> None:
    assert isinstance(value_of({"type": rtype, "content": content}), str)
