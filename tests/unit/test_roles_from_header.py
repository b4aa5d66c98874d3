"""The rule for From headers: one address of the stream's domain, however it is written.

The pattern is an extended regular expression of POSIX; only what Python's `re` means the same by it is
used, but for `[[:space:]]`, which is translated here.
"""

from __future__ import annotations

import re

import pytest

from mailfleet.model import HostEntry, build_fleet
from mailfleet.target import Target
from roles import desired

pytestmark = pytest.mark.unit

NAME = "mta1.eu.shop.example"


def instance_file(name: str) -> str:
    fleet = build_fleet(
        "inventories/prod",
        [HostEntry("eu", NAME, {"streams": {"orders": ["192.0.2.11"]}})],
        {"domains": ["shop.example"]},
        {"shop.example": ("dns/shop.example.toml", {"streams": {"orders": {"logins": ["shop"]}}})},
        [],
    )
    state = desired(Target(fleet, fleet.host(NAME), "bookworm", {"shop": "$6$x$y"}))
    (file,) = (file for file in state.files if file.path == f"/etc/postfix-orders/{name}")
    return file.content


def verdict(header: str) -> str:
    """What Postfix does with a header; regexp tables see a folded one with its line breaks."""
    lines = [row for row in instance_file("header_checks").splitlines() if row[0] != "#"]
    condition, rule, end = lines
    assert end == "endif"
    start = re.fullmatch("if /(.*)/", condition)
    row = re.fullmatch("!/(.*)/ (REJECT 5.7.1 .*)", rule)
    assert start
    assert row
    if not re.search(start[1], header, re.I):
        return ""
    # The same in Python's words: a bracket keeps its backslash, and $ is the end of all lines.
    pattern = row[1].replace("[:space:]", r"\s").replace(r'[^"\]', r'[^"\\]')
    return "" if re.search(pattern.removesuffix("$") + r"\Z", header, re.I) else row[2]


@pytest.mark.parametrize(
    "header",
    [
        "From: a@shop.example",
        "From:a@shop.example",
        "FROM: A <a@SHOP.Example> ",
        "From: <a@shop.example>",
        "From: A very long name\n <a@shop.example>",
        "From:\n\tA very long name\n\t<a@shop.example>",
        'From: "sales@shop" <a@shop.example>',
        'From: "Shop <info@shop.example>" <info@shop.example>',
        r'From: "say \"hi\", all" <a@shop.example>',
        "From: =?utf-8?q?J=C3=BCrgen?= <a@shop.example>",
        "From: Shop (EU) <a@shop.example>",
        "From: a@shop.example (Shop)",
        "From: O'Neil & Co. <a+b=c@shop.example>",
        # Other headers are not this rule's business.
        "Subject: a@evil.example",
        "Resent-From: a@evil.example",
        "X-From: a@evil.example",
        "From-Line: a@evil.example",
    ],
)
def test_accepted(header: str) -> None:
    assert verdict(header) == ""


@pytest.mark.parametrize(
    "header",
    [
        "From: a@evil.example",
        "from: a@evil.example",
        "From: <a@shop.example.evil.example>",
        "From: <a@news.shop.example>",
        "From: <a@xshop.example>",
        "From: <a@shopXexample>",
        "From: a@shop.example.",
        # More than one address, or none.
        "From: A <a@shop.example>, B <b@shop.example>",
        "From: A <a@shop.example>,\n B <b@evil.example>",
        "From: a@evil.example, b@shop.example",
        "From: postmaster, a@shop.example",
        'From: "a@evil.example", <a@shop.example>',
        "From: a@evil.example <a@shop.example>",
        "From: a@evil.example\n <a@shop.example>",
        "From: <postmaster> a@shop.example",
        "From: a@shop.example> <evil",
        "From:",
        "From: @shop.example",
        "From: Shop",
        # Group syntax (RFC 6854), routes, and our domain in a place that is no address.
        "From: Team: a@shop.example;",
        "From: undisclosed:;",
        "From: <@evil.example:a@shop.example>",
        "From: a@evil.example (a@shop.example)",
        "From: a@evil.example (@shop.example)",
        'From: a@evil.example "@shop.example"',
        'From: "x <a@shop.example>',
    ],
)
def test_refused(header: str) -> None:
    assert verdict(header) == "REJECT 5.7.1 From must be an address at shop.example"


def test_only_submitted_mail_is_checked() -> None:
    # A bounce is from MAILER-DAEMON: refused, it would never leave, and the dead address be tried
    # again and again.
    main, master = instance_file("main.cf"), instance_file("master.cf")
    for name in ("header_checks", "mime_header_checks", "nested_header_checks"):
        assert re.search(rf"^{name} =$", main, re.M)
    services: dict[str, str] = {}
    for row in master.splitlines():
        if row.startswith("    -o "):
            services[name] += row
        elif not row.startswith("#"):
            name = row.split()[0]
            services[name] = row
    checked = [name for name, row in services.items() if "header_checks=regexp:" in row]
    assert checked == ["submitted"]
    entries = [name for name, row in services.items() if "cleanup_service_name=submitted" in row]
    assert entries == ["192.0.2.11:465", "192.0.2.11:587", "pickup"]
    assert services["cleanup"].split()[-1] == "cleanup"
