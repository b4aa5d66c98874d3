"""What is scanned where, how large the scanners may be, and that a host too small is told so."""

from __future__ import annotations

from typing import Any

import pytest

from mailfleet.errors import ConfigurationError, MailfleetError
from mailfleet.host.scanning import (
    FULL_DATABASE,
    Capacity,
    check_memory,
    inbound_milter,
    level,
    milters,
    needed,
    sizing,
    stream_milter,
)
from mailfleet.model import Fleet
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

NAME = "mta1.eu.shop.example"


def fleet(
    *,
    host: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **stream: Any,
) -> Fleet:
    data = {"streams": {"orders": ["192.0.2.11"], "news": ["192.0.2.12"]}, **(host or {})}
    streams = {
        "orders": {"logins": ["shop"]},
        "news": {"from_domain": "news.shop.example", "logins": ["newsletter"], **stream},
    }
    return fleet_of({NAME: data}, {"shop.example": {"streams": streams}}, **(options or {}))


def test_inbound_is_scanned_in_full_unless_somebody_says_otherwise() -> None:
    assert fleet().host(NAME).inbound_scan == "full"
    assert fleet(options={"inbound_scan": "none"}).host(NAME).inbound_scan == "none"
    own = fleet(options={"inbound_scan": "none"}, host={"inbound_scan": "virus"})
    assert own.host(NAME).inbound_scan == "virus"


def test_a_host_that_scans_nothing_needs_no_scanner() -> None:
    found = fleet(options={"inbound_scan": "none"})
    assert level(found, found.host(NAME)) == "none"
    assert milters(found, found.host(NAME)) == ()
    check_memory(found, found.host(NAME), Capacity(256, 1))


def test_each_way_to_scan_has_its_milter() -> None:
    found = fleet(scan="full", on_scanner_failure="pass")
    news = stream_milter(found.stream("news"))
    inbound = inbound_milter(found.host(NAME))
    assert stream_milter(found.stream("orders")) is None
    assert news is not None
    assert inbound is not None
    assert (news.name, news.banks, news.default_action) == (
        "pass", ("OUTBOUND", "FULL", "PASS"), "accept",
    )  # fmt: skip
    assert (inbound.banks, inbound.default_action) == (("INBOUND", "FULL"), "tempfail")
    assert {one.name for one in milters(found, found.host(NAME))} == {"inbound", "pass"}


@pytest.mark.parametrize(("failure", "action"), [("defer", "tempfail"), ("pass", "accept")])
def test_a_stream_that_asks_for_viruses_alone_goes_without_amavis(
    failure: str, action: str
) -> None:
    milter = stream_milter(fleet(scan="virus", on_scanner_failure=failure).stream("news"))
    assert milter is not None
    assert (milter.name, milter.by_amavis) == (f"virus-{failure}", False)
    assert milter.default_action == action


def test_without_inbound_only_streams_count() -> None:
    found = fleet(host={"inbound_scan": "none"}, scan="virus")
    assert level(found, found.host(NAME)) == "virus"
    assert [one.name for one in milters(found, found.host(NAME))] == ["virus-defer"]


def test_the_failure_of_what_is_not_scanned_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError) as error:
        fleet(on_scanner_failure="pass")
    assert "dns/shop.example.toml: streams.news" in str(error.value)
    assert 'add scan = "virus" or scan = "full", or remove it' in str(error.value)


@pytest.mark.parametrize("wanted", ["virus", "full"])
def test_sizes_follow_memory_and_cores(wanted: Any) -> None:
    least = needed(wanted, updates=True)
    assert least > FULL_DATABASE + 512
    small = sizing(wanted, Capacity(least, 8), updates=True)
    assert (small.processes, small.reloads_beside) == (2, False)
    large = sizing(wanted, Capacity(65_536, 8), updates=True)
    assert (large.processes, large.reloads_beside) == (16, True)
    assert sizing(wanted, Capacity(65_536, 64), updates=True).processes == 20
    for memory in range(least, 16_384, 97):
        found = sizing(wanted, Capacity(memory, 4), updates=True)
        assert 2 <= found.processes <= 8


def test_a_host_too_small_is_told_what_to_do() -> None:
    found = fleet(scan="virus")
    with pytest.raises(MailfleetError) as error:
        check_memory(found, found.host(NAME), Capacity(1967, 2))
    said = str(error.value)
    assert f"{NAME} has 1967 MB of memory, and scanning needs 2292 MB" in said
    assert "stream news and inbound mail" in said
    assert '"inbound_scan": "none"' in said
    check_memory(found, found.host(NAME), Capacity(3900, 2))
    # A lab's one signature fits anywhere.
    lab = fleet(scan="virus", options={"lab": "lab"})
    check_memory(lab, lab.host(NAME), Capacity(1967, 2))
