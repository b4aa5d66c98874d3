"""Which recipients a host takes, and where each one's mail ends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailfleet.errors import ConfigurationError
from mailfleet.host.mailboxes import Mailboxes, mailboxes
from mailfleet.model import Fleet
from tests.builders import ONE_STREAM, fleet_of

pytestmark = pytest.mark.unit

EU, US = "mta1.eu.shop.example", "mta1.us.shop.example"


def with_office(shop: dict[str, Any] | None = None, *, us_inbound: bool = True) -> Fleet:
    hosts = {
        EU: {"streams": {"orders": ["203.0.113.11"]}},
        US: {"streams": {"news": ["198.51.100.12"]}, "inbound": us_inbound},
    }
    news = {"streams": {"news": {"logins": ["newsletter"]}}}
    domains: dict[str, dict[str, Any]] = {
        "shop.example": {**ONE_STREAM, **(shop or {})},
        "other.example": {"mx": ["mx1.office.example"], **news},
        "parked.example": {"sends": False},
    }
    return fleet_of(hosts, domains)


def resolve(tables: Mailboxes, recipient: str, *, program: bool = False) -> str | None:
    """What Postfix does with a recipient: aliases until one stands for itself, then the maildir."""
    if program:
        recipient = next(
            (to for p, to in tables.programs if re.search(p, recipient, re.I)), recipient
        )
    for _ in range(5):
        known = (to for pattern, to in tables.aliases if re.search(pattern, recipient, re.I))
        recipient, before = next(known, recipient), recipient
        if recipient == before:
            break
    if recipient in tables.forwards:
        return recipient
    return next((d for p, d in tables.maildirs if re.search(p, recipient, re.I)), None)


@pytest.mark.parametrize(
    ("recipient", "maildir"),
    [
        ("orders@shop.example", "shop.example/"),
        ("bounce+1=a@bounce.shop.example", "bounce.shop.example/"),
        (f"postmaster@{EU}", "shop.example/"),
        (f"ABUSE@orders.{EU}", "shop.example/"),
        ("postmaster@bounce.other.example", "bounce.other.example/"),
        (f"root@{EU}", None),
        (f"www-data@orders.{EU}", None),
        (f"mailbox@{EU}", None),
        (f"postmaster@{US}", None),
        ("a@other.example", None),
        ("postmaster@parked.example", None),
        ("a%example.net@shop.example", None),
        ("example.net!a@shop.example", None),
        ("a@shop.example.net", None),
        ("a@shopxexample", None),
    ],
)
def test_recipients(recipient: str, maildir: str | None) -> None:
    fleet = with_office()
    assert resolve(mailboxes(fleet, fleet.host(EU)), recipient) == maildir


def test_every_address_of_a_domain_is_one_recipient_in_the_end() -> None:
    fleet = with_office()
    tables = mailboxes(fleet, fleet.host(EU))
    ends = {to for pattern, to in tables.aliases if "shop" in pattern}
    assert ends == {"mailbox@shop.example", "mailbox@bounce.shop.example"}


def test_a_host_without_port_25_is_served_by_the_others() -> None:
    fleet = with_office(us_inbound=False)
    tables = mailboxes(fleet, fleet.host(EU))
    assert resolve(tables, f"postmaster@{US}") == "shop.example/"
    assert resolve(tables, f"abuse@news.{US}") == "shop.example/"
    # Its own programs' mail stays on it.
    alone = mailboxes(fleet, fleet.host(US))
    assert alone.domains == ("shop.example", US)
    assert resolve(alone, f"root@{US}", program=True) == "shop.example/"


@pytest.mark.parametrize("user", ["root", "www-data", "postmaster", "nobody"])
@pytest.mark.parametrize("host", [EU, "localhost"])
def test_programs_write_to_people(user: str, host: str) -> None:
    fleet = with_office()
    tables = mailboxes(fleet, fleet.host(EU))
    assert resolve(tables, f"{user}@{host}", program=True) == "shop.example/"
    assert resolve(tables, f"{user}@{host}") == (
        "shop.example/" if (user, host) == ("postmaster", EU) else None
    )


def test_who_reads_it_may_be_elsewhere_or_in_a_domain_of_the_fleet() -> None:
    fleet = with_office({"postmaster": "it@office.example"})
    tables = mailboxes(fleet, fleet.host(EU))
    assert tables.forwards == ("it@office.example",)
    assert "office.example" not in tables.domains
    for recipient in (f"postmaster@{EU}", "abuse@shop.example", "abuse@bounce.shop.example"):
        assert resolve(tables, recipient) == "it@office.example"
    # All other mail, bounces above all, stays.
    assert resolve(tables, "bounce@bounce.shop.example") == "bounce.shop.example/"
    assert resolve(tables, "postmaster@bounce.other.example") == "bounce.other.example/"
    fleet = with_office({"postmaster": "it@shop.example"})
    tables = mailboxes(fleet, fleet.host(EU))
    assert tables.forwards == ()
    assert resolve(tables, "abuse@bounce.shop.example") == "shop.example/"


def test_postmaster_is_not_at_a_host() -> None:
    with pytest.raises(ConfigurationError) as error:
        with_office({"postmaster": f"root@{EU}"})
    assert f"postmaster: {EU} is a host's own name" in str(error.value)
