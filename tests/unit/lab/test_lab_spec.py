"""Lab specs: which are refused, with which words, and that they survive being written down."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.lab import LabError, LabSpec, LabUsageError, Machine, addresses
from mailfleet.lab.lifecycle import find_host
from mailfleet.lab.spec import check_name, check_spec, hosts_of, spec_from_json, spec_to_json

pytestmark = pytest.mark.unit

EU = Machine(
    "mta1.eu.shop.test",
    "bookworm",
    "eu",
    (ip_address("198.51.100.10"), ip_address("2001:db8:e0::10")),
)
US = Machine("mta1.us.shop.test", "trixie", "us", (ip_address("203.0.113.10"),))
SPEC = LabSpec((EU, US), ("shop.test", "news.test"))


@pytest.mark.parametrize("name", ["lab", "a", "lab-2", "x" * 20])
def test_a_lab_name_is_accepted(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "Lab", "a.b", "../x", "-a", "a-", "x" * 21, "lab\n"])
def test_a_lab_name_that_could_be_something_else_is_refused(name: str) -> None:
    with pytest.raises(LabUsageError, match="cannot be the name of a lab"):
        check_name(name)


def test_a_spec_survives_being_written_down() -> None:
    check_spec(SPEC)
    assert spec_from_json(spec_to_json(SPEC)) == SPEC


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine("MTA.test", "bookworm", "eu", EU.addresses), "not a full host name"),
        (Machine("../etc.test", "bookworm", "eu", EU.addresses), "not a full host name"),
        (Machine("a.test", "sid", "eu", EU.addresses), "suite 'sid'"),
        (Machine("a.test", "trixie", "core", EU.addresses), "neither eu nor us"),
        (Machine("a.test", "trixie", "us", EU.addresses), "198.51.100.10 is no host address of us"),
        (Machine("a.test", "trixie", "eu", (addresses.EU.v4[1],)), "no host address of eu"),
        (Machine("a.test", "trixie", "eu", ()), "has no address"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(machine: Machine, words: str) -> None:
    with pytest.raises(LabUsageError, match=words):
        check_spec(LabSpec((machine,), ()))


def test_all_faults_of_a_spec_are_told_at_once() -> None:
    twin = Machine("mta2.eu.shop.test", "bookworm", "eu", EU.addresses)
    with pytest.raises(LabUsageError) as refusal:
        check_spec(LabSpec((EU, twin, US, US), ("inbox.test", "Shop.test")))
    for words in (
        "198.51.100.10 is used 2 times",
        "mta1.us.shop.test is there 2 times",
        "zone inbox.test belongs to the lab",
        "zone 'Shop.test' is not a domain name",
    ):
        assert words in str(refusal.value)


def test_every_lab_has_a_name_server_and_a_receiver() -> None:
    assert [host.name for host in hosts_of(LabSpec((), ()))] == ["ns", "receiver"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("ns", "ns"),
        ("ns.core.test", "ns"),
        ("receiver", "receiver"),
        ("mta1.eu", "mta1.eu.shop.test"),
        ("mta1.us.shop.test", "mta1.us.shop.test"),
    ],
)
def test_a_host_is_found_by_its_name_or_the_beginning_of_it(wanted: str, found: str) -> None:
    assert find_host(SPEC, wanted).name == found


def test_a_beginning_that_two_hosts_share_is_refused_with_both() -> None:
    with pytest.raises(LabError, match=r"(?s)more than one.*mta1\.eu\.shop\.test, mta1\.us"):
        find_host(SPEC, "mta1")


def test_an_unknown_host_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LabError, match=r"(?s)no host 'web'.*ns, receiver, mta1\.eu"):
        find_host(SPEC, "web")
