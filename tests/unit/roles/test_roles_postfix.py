"""Postfix's files: addresses, tables and limits of each instance."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from roles import desired
from tests.builders import fleet_around

pytestmark = pytest.mark.unit

NAME = "mta1.eu.shop.example"
BOTH = {
    "addresses": ["192.0.2.10", "2001:db8::10"],
    "streams": {"orders": ["192.0.2.11", "2001:db8::11"], "news": "orders"},
}
IPV4 = {"streams": {"orders": ["192.0.2.11"], "news": ["192.0.2.12"]}}
IPV6 = {"streams": {"orders": ["2001:db8::11"], "news": ["2001:db8::12"]}}
MIXED = {
    "addresses": ["192.0.2.10"],
    "streams": {"orders": ["192.0.2.11", "2001:db8::11"], "news": ["2001:db8::12"]},
}
SHOP = {
    "streams": {
        "orders": {"logins": ["shop", "accounts"]},
        "news": {
            "from_domain": "news.shop.example",
            "logins": ["newsletter"],
            "tls_port": 2465,
            "starttls_port": 2587,
            "kind": "marketing",
            "limits": {"messages_per_minute": 3000, "recipients_per_message": 1},
            "retry": {"give_up_hours": 6},
        },
    }
}


def state_of(data: dict[str, Any], **domain: Any) -> HostState:
    fleet = fleet_around(NAME, data, {**SHOP, **domain})
    logins = dict.fromkeys(("shop", "accounts", "newsletter"), "$6$x$y")
    return desired(Target(fleet, fleet.host(NAME), "bookworm", logins))


def text(state: HostState, path: str) -> str:
    (file,) = (file for file in state.files if file.path == path)
    return file.content


def parameters(state: HostState, instance: str) -> dict[str, str]:
    """main.cf as Postfix reads it; a parameter that is set twice is a mistake of ours."""
    found: dict[str, str] = {}
    lines = text(state, f"/etc/{instance}/main.cf").splitlines()
    logical: list[str] = []
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            logical[-1] += " " + line.strip()
        else:
            logical.append(line)
    for line in logical:
        name, _, value = line.partition("=")
        assert name.strip() not in found
        found[name.strip()] = value.strip()
    return found


def listens(state: HostState, instance: str) -> list[str]:
    rows = text(state, f"/etc/{instance}/master.cf").splitlines()
    return [row.split()[0] for row in rows if " inet " in row and ":1400" not in row]


@pytest.mark.parametrize(
    ("data", "instance", "protocols", "ipv4", "ipv6"),
    [
        (BOTH, "postfix-orders", "ipv4, ipv6", "192.0.2.11", "2001:db8::11"),
        (BOTH, "postfix-news", "ipv4, ipv6", "192.0.2.11", "2001:db8::11"),
        (BOTH, "postfix", "ipv4, ipv6", "192.0.2.10", "2001:db8::10"),
        (IPV4, "postfix-orders", "ipv4", "192.0.2.11", None),
        (IPV4, "postfix", "ipv4", "192.0.2.11", None),
        (IPV6, "postfix-news", "ipv6", None, "2001:db8::12"),
        (IPV6, "postfix", "ipv6", None, "2001:db8::11"),
        (MIXED, "postfix-orders", "ipv4, ipv6", "192.0.2.11", "2001:db8::11"),
        (MIXED, "postfix-news", "ipv6", None, "2001:db8::12"),
        (MIXED, "postfix", "ipv4", "192.0.2.10", None),
    ],
)
def test_an_instance_uses_its_own_addresses_only(
    data: dict[str, Any], instance: str, protocols: str, ipv4: str | None, ipv6: str | None
) -> None:
    found = parameters(state_of(data), instance)
    assert found["inet_protocols"] == protocols
    assert found.get("smtp_bind_address") == ipv4
    assert found.get("smtp_bind_address6") == ipv6
    assert found["inet_interfaces"] == "loopback-only"
    if instance != "postfix":
        assert found["smtp_bind_address_enforce"] == "yes"
        assert ("smtp_balance_inet_protocols" in found) == (protocols == "ipv4, ipv6")


@pytest.mark.parametrize(
    ("data", "instance", "expected"),
    [
        (
            BOTH,
            "postfix-orders",
            ["192.0.2.11:465", "192.0.2.11:587", "[2001:db8::11]:465", "[2001:db8::11]:587"],
        ),
        (
            BOTH,
            "postfix-news",
            ["192.0.2.11:2465", "192.0.2.11:2587", "[2001:db8::11]:2465", "[2001:db8::11]:2587"],
        ),
        (BOTH, "postfix", ["192.0.2.10:25", "[2001:db8::10]:25"]),
        (IPV4, "postfix-orders", ["192.0.2.11:465", "192.0.2.11:587"]),
        (IPV6, "postfix", ["[2001:db8::11]:25"]),
        ({**IPV4, "inbound": False}, "postfix", []),
    ],
)
def test_an_instance_listens_on_its_own_addresses_only(
    data: dict[str, Any], instance: str, expected: list[str]
) -> None:
    assert listens(state_of(data), instance) == expected


def test_streams_say_who_they_are() -> None:
    state = state_of(BOTH)
    orders, news = parameters(state, "postfix-orders"), parameters(state, "postfix-news")
    assert (orders["myhostname"], orders["myorigin"]) == (f"orders.{NAME}", "shop.example")
    # The shared address has one PTR record, so both streams greet with its name.
    assert (news["myhostname"], news["myorigin"]) == (f"orders.{NAME}", "news.shop.example")
    for name, found in (("orders", orders), ("news", news)):
        assert found["queue_directory"] == f"/var/spool/postfix-{name}"
        assert found["data_directory"] == f"/var/lib/postfix-{name}"
        assert found["multi_instance_name"] == f"postfix-{name}"
    inbound = parameters(state, "postfix")
    assert inbound["multi_instance_directories"] == "/etc/postfix-orders /etc/postfix-news"


def test_limits_come_from_the_domain_file() -> None:
    news = parameters(state_of(BOTH), "postfix-news")
    assert news["smtpd_client_message_rate_limit"] == "3000"
    assert news["smtpd_recipient_limit"] == "1"
    orders = parameters(state_of(BOTH), "postfix-orders")
    assert orders["smtpd_client_message_rate_limit"] == "6000"
    assert orders["smtpd_recipient_limit"] == "1000"
    assert orders["anvil_rate_time_unit"] == "60s"
    # The firewall counts connections, and no right login is counted.
    for name in ("connection_rate", "connection_count", "auth_rate"):
        assert orders[f"smtpd_client_{name}_limit"] == "0"


def test_mail_that_people_wait_for_is_tried_again_sooner() -> None:
    orders = parameters(state_of(BOTH), "postfix-orders")
    assert (orders["minimal_backoff_time"], orders["maximal_backoff_time"]) == ("60s", "3600s")
    assert orders["queue_run_delay"] == "20s"
    news = parameters(state_of(BOTH), "postfix-news")
    assert (news["minimal_backoff_time"], news["maximal_backoff_time"]) == ("300s", "4000s")
    assert (news["maximal_queue_lifetime"], news["bounce_queue_lifetime"]) == ("6h", "6h")


def test_twelve_clients_with_all_connections_that_they_may_have_find_a_process() -> None:
    state = state_of(BOTH)
    rows = text(state, "/etc/postfix-orders/master.cf").splitlines()
    # Each of two addresses: two ports, and the two where connections above the limit wait. All that
    # both streams have together has to fit into what the scanner leaves of 4 GB of memory.
    numbers = [row.split()[6] for row in rows if row.endswith(" smtpd")]
    assert numbers == ["53", "53", "8", "8"] * 2
    assert parameters(state, "postfix")["postscreen_post_queue_limit"] == "76"


def test_a_stream_takes_mail_only_inside_tls_and_with_a_login() -> None:
    found = parameters(state_of(BOTH), "postfix-orders")
    assert found["smtpd_tls_security_level"] == "encrypt"
    assert found["smtpd_tls_auth_only"] == "yes"
    assert found["smtpd_relay_restrictions"] == "permit_sasl_authenticated, reject"
    assert found["smtpd_client_restrictions"] == "permit_sasl_authenticated, reject"
    assert found["mynetworks"] == ""
    assert "reject_authenticated_sender_login_mismatch" in found["smtpd_sender_restrictions"]
    assert found["milter_default_action"] == "tempfail"


def test_postmasters_mail_is_passed_on_where_the_file_says() -> None:
    found = parameters(state_of(BOTH, postmaster="it@office.example"), "postfix")
    assert found["transport_maps"] == "inline:{ { it@office.example = smtp: } }"
    # Nothing else leaves from here.
    assert found["default_transport"].startswith("error:5.7.1 ")
    assert "transport_maps" not in parameters(state_of(BOTH), "postfix")


def test_inbound_takes_out_what_strangers_say_in_its_name() -> None:
    dropped = parameters(state_of(BOTH), "postfix")["message_drop_headers"]
    names = {name.strip() for name in dropped.split(",")}
    # Postfix's own default must not get lost: a Return-Path is its own to write.
    assert names >= {"bcc", "content-length", "resent-bcc", "return-path"}
    assert names >= {"authentication-results", "arc-authentication-results", "received-spf"}
    assert names >= {"delivered-to", "x-virus-scanned", "x-spam-flag", "x-spam-status"}
    # What submits says of itself is the application's business.
    assert "message_drop_headers" not in parameters(state_of(BOTH), "postfix-orders")


def test_inbound_takes_return_paths_and_relays_nothing() -> None:
    found = parameters(state_of(BOTH), "postfix")
    domains = ["bounce.shop.example", "bounce.news.shop.example"]
    names = [NAME, f"orders.{NAME}"]
    assert found["virtual_mailbox_domains"].split() == [
        *domains, "shop.example", "news.shop.example", *names,
    ]  # fmt: skip
    assert found["mydestination"] == ""
    assert found["smtpd_relay_restrictions"] == "permit_mynetworks, reject_unauth_destination"
    foreign = parameters(state_of(BOTH, mx=["mx.office.example"]), "postfix")
    assert foreign["virtual_mailbox_domains"].split() == [*domains, *names]
    silent = parameters(state_of({**IPV4, "inbound": False}), "postfix")
    # For what its own programs write.
    assert silent["virtual_mailbox_domains"].split() == ["shop.example", NAME]


def rules(table: str) -> list[tuple[re.Pattern[str], str]]:
    """A regexp table's simple rows, as Postfix reads them: extended, without regard to case."""
    rows = re.findall(r"^/(.*)/ (.*)$", table, re.M)
    return [(re.compile(pattern, re.I), result) for pattern, result in rows]


def lookup(table: str, key: str) -> str | None:
    return next((result for pattern, result in rules(table) if pattern.search(key)), None)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a@shop.example", "shop, accounts"),
        ("A@Shop.Example", "shop, accounts"),
        ("x+y=z@bounce.shop.example", "shop, accounts"),
        ("a@news.shop.example", None),
        ("a@shopXexample", None),
        ("a@bounce-shop.example", None),
        ("a@shop.example.evil.example", None),
        ("a@evil.example@shop.example", None),
        ("@shop.example", None),
        ("", None),
    ],
)
def test_who_may_use_which_sender(key: str, expected: str | None) -> None:
    table = text(state_of(BOTH), "/etc/postfix-orders/sender_logins")
    assert len(rules(table)) == 2
    assert lookup(table, key) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("any+thing@bounce.shop.example", "bounce.shop.example/"),
        ("ABUSE@SHOP.EXAMPLE", "shop.example/"),
        ("x@bounce.news.shop.example", "bounce.news.shop.example/"),
        ("x@bounceXshop.example", None),
        ("x@bounce.shop.example.evil.example", None),
        ("x@other.shop.example", None),
    ],
)
def test_which_mailbox_an_address_has(key: str, expected: str | None) -> None:
    state = state_of(BOTH)
    stands_for = lookup(text(state, "/etc/postfix/aliases"), key)
    maildirs = text(state, "/etc/postfix/mailboxes")
    assert len(rules(maildirs)) == 4
    assert (lookup(maildirs, stands_for) if stands_for else None) == expected
