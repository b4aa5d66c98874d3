"""Which commands bring units into their state, and when a mark is removed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api import StringCommand

from mailfleet.facts.services import PENDING
from mailfleet.host.observed import ServicesState
from mailfleet.host.plan.keys import not_signing, signing_keys, tables
from mailfleet.host.plan.services import plan_services
from mailfleet.host.signing import StreamSigner, WantedKey
from mailfleet.host.state import Action, Service
from mailfleet.operations.services import commands_of

pytestmark = pytest.mark.unit

ACTIONS = (Action("firewall", "ufw reload"), Action("sysctl", "sysctl --load"))
SERVICES = (
    Service("a.service"),
    Service("b@x.service", on_change="reload"),
    Service("clock.service", runs=False),
)
ORDERS = StreamSigner("orders", "shop.example", ("bounce.shop.example",), message_octets=10_240_000)
OTHER = WantedKey("news.example", "new", 2048)
UNITS = frozenset(service.unit for service in SERVICES)
GOOD = ServicesState(enabled=UNITS, active=frozenset({"a.service", "b@x.service"}), managed=UNITS)


def steps(
    services: tuple[Service, ...],
    actions: tuple[Action, ...],
    state: ServicesState,
    masked: tuple[str, ...] = (),
) -> Iterator[StringCommand]:
    return commands_of(plan_services(services, actions, masked, state), services, actions)


def commands(state: ServicesState) -> list[str]:
    return [command.get_raw_value() for command in steps(SERVICES, ACTIONS, state)]


def verbs(state: ServicesState) -> list[str]:
    """The commands in short: what is done to which unit, or an action's own command."""
    plain = [re.sub(r"systemctl reset-failed [^;]+ 2>/dev/null; ", "", t) for t in commands(state)]
    return [re.split(r" \|\||;", text.lstrip("{ "))[0] for text in plain]


def test_a_unit_that_was_started_often_is_reset_first() -> None:
    """Else systemd refuses: "start of the service was attempted too often"."""
    state = ServicesState(UNITS, frozenset({"a.service"}), frozenset(), UNITS)
    (start,) = commands(state)
    assert start.index("reset-failed b@x.service") < start.index("start b@x.service ")


def pending(*names: str) -> ServicesState:
    return ServicesState(GOOD.enabled, GOOD.active, frozenset(names), GOOD.managed)


def test_nothing_to_do() -> None:
    assert commands(GOOD) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.service",), ["systemctl restart a.service"]),
        (("b@x.service",), ["systemctl reload-or-restart b@x.service"]),
        (("firewall",), ["ufw reload"]),
        # Actions come first, in their order, whatever is pending.
        (
            ("a.service", "sysctl", "firewall"),
            ["ufw reload", "sysctl --load", "systemctl restart a.service"],
        ),
        # Only enabled, never run; and a mark of a unit that is no longer wanted.
        (("clock.service", "old.service"), []),
    ],
)
def test_what_a_changed_file_brings(names: tuple[str, ...], expected: list[str]) -> None:
    assert verbs(pending(*names)) == expected


def test_a_unit_that_is_down_is_started_not_reloaded() -> None:
    state = ServicesState(UNITS, frozenset({"a.service"}), frozenset({"b@x.service"}), UNITS)
    assert verbs(state) == ["systemctl start b@x.service"]


def test_a_fresh_host() -> None:
    assert commands(ServicesState())[0] == (
        "systemctl enable --quiet a.service b@x.service clock.service"
    )
    assert verbs(ServicesState())[1] == "systemctl start a.service b@x.service"
    assert commands(ServicesState())[2].startswith("printf '%s\\n' a.service b@x.service")
    assert len(commands(ServicesState())) == 3


def test_units_that_packages_bring_are_masked_once() -> None:
    (command,) = steps(SERVICES, ACTIONS, GOOD, masked=("x.timer", "y.service"))
    assert command.get_raw_value() == (
        "systemctl mask --quiet x.timer y.service && systemctl stop x.timer y.service && "
        "{ systemctl reset-failed x.timer y.service 2>/dev/null || true; }"
    )
    state = replace(GOOD, masked=frozenset({"x.timer"}))
    (command,) = steps(SERVICES, ACTIONS, state, masked=("x.timer", "y.service"))
    assert command.get_raw_value().startswith("systemctl mask --quiet y.service && ")
    state = replace(GOOD, masked=frozenset({"x.timer", "y.service"}))
    assert not list(steps(SERVICES, ACTIONS, state, masked=("x.timer", "y.service")))


def test_a_masked_unit_that_is_wanted_again_is_unmasked_before_it_is_enabled() -> None:
    state = replace(GOOD, enabled=UNITS - {"a.service"}, masked=frozenset({"a.service"}))
    assert commands(state) == [
        "systemctl unmask --quiet a.service",
        "systemctl enable --quiet a.service",
    ]


def started(services: tuple[Service, ...], state: ServicesState) -> list[str]:
    found = [command.get_raw_value() for command in steps(services, (), state)]
    texts = [text.partition(" || ")[0].rpartition("; ")[2] for text in found]
    return [text for text in texts if re.match("systemctl (re)?(start|load)", text)]


def test_services_start_together_but_for_those_that_others_wait_for() -> None:
    many = (
        Service("wall.service", alone=True),
        Service("names.service", alone=True),
        Service("clock.service", runs=False),
        *(Service(f"{n}.service") for n in "abc"),
        Service("logs.service", alone=True),
        Service("z.timer"),
    )
    assert started(many, ServicesState()) == [
        "systemctl start wall.service",
        "systemctl start names.service",
        "systemctl start a.service b.service c.service",
        "systemctl start logs.service",
        "systemctl start z.timer",
    ]
    marks = " ".join(f"{PENDING}/{n}.service" for n in "abc")
    texts = [command.get_raw_value() for command in steps(many, (), ServicesState())]
    assert texts[3].endswith(f"&& rm -f {marks}")


def test_what_is_started_and_what_is_told_anew_keep_their_order() -> None:
    many = tuple(Service(f"{n}.service") for n in "abcd")
    units = frozenset(service.unit for service in many)
    up = ServicesState(units, units - {"b.service"}, units - {"d.service"}, units)
    assert started(many, up) == [
        "systemctl restart a.service",
        "systemctl start b.service",
        "systemctl restart c.service",
    ]


def test_files_that_wait_go_live_between_what_is_asked_and_who_asks() -> None:
    """An upgrade: Postfix learns of new milters once they answer, and the old ones end after that."""
    services = (
        Service("signer@a.service"),
        Service("mail.service", on_change="reload", late=True),
        Service("logs.service"),
    )
    actions = (Action("units", "daemon-reload"), Action("stop-mail", "stop mail", late=True))
    units = frozenset(service.unit for service in services)
    up = units - {"signer@a.service"}
    pending = frozenset({"files", "units", "stop-mail", "mail.service", "signer@a.service"})
    state = ServicesState(units, up, pending, up | {"signer.service"})
    found = [c.get_raw_value() for c in steps(services, actions, state, ("signer.service",))]
    marks = (
        "daemon-reload",
        "start signer@a.service",
        "place all",
        "stop mail",
        "reload-or-restart mail.service",
        "disable --quiet --now signer.service",
        "mask --quiet signer.service",
        "  finish\n",
        "printf '%s",
    )
    assert len(found) == len(marks)
    for text, mark in zip(found, marks, strict=True):
        assert mark in text
    assert found[7].endswith(f" && rm -f {PENDING}/files")
    # Where no file waits, everything is told at once, as actions come first.
    state = replace(state, pending=pending - {"files"})
    found = [c.get_raw_value() for c in steps(services, actions, state, ("signer.service",))]
    assert [text for text in found if "place all" in text or "finish" in text] == []
    assert "stop mail" in found[1]


def test_only_a_unit_that_is_down_tells_its_last_words() -> None:
    """Of ten that start together, nine have nothing to say."""
    (text,) = commands(pending("a.service"))
    assert 'do systemctl is-active --quiet "$unit" || journalctl ' in text
    # A unit may stay active where its reload failed.
    (text,) = commands(pending("b@x.service"))
    assert "is-active" not in text


def test_a_unit_that_is_no_longer_wanted_is_stopped_and_forgotten() -> None:
    state = ServicesState(GOOD.enabled, GOOD.active, frozenset(), UNITS | {"old.service"})
    found = commands(state)
    assert found[0].startswith("systemctl disable --quiet --now old.service ")
    # A unit that was ours, and that a package brings too, is masked after it.
    masked = [
        c.get_raw_value() for c in steps(SERVICES, ACTIONS, state, ("old.service", "x.timer"))
    ]
    assert masked[0].startswith("systemctl mask --quiet x.timer && ")
    assert masked[1] == found[0]
    assert masked[2].startswith("systemctl mask --quiet old.service && ")
    # Its file may have been ours, and is gone: it must end all the same, and not start at boot.
    assert "systemctl stop old.service" in found[0]
    assert "rm -f /etc/systemd/system/*.wants/old.service" in found[0]
    assert found[0].endswith("! systemctl is-active --quiet old.service; }")
    assert len(found) == 2
    assert "old.service" not in found[1]
    # Forgotten last: a run that dies in between stops it again.
    assert found[1].startswith("printf")


def test_a_mark_goes_only_when_its_command_has_succeeded() -> None:
    for name, text in zip(
        ("firewall", "a.service"), commands(pending("firewall", "a.service")), strict=True
    ):
        assert text.endswith(f" && rm -f {PENDING}/{name}")
        shell = text.replace("ufw reload", "false").replace("systemctl", "false")
        shell = shell.replace("journalctl", ":").replace("rm -f", "echo removed")
        assert subprocess.run(["sh", "-c", shell], capture_output=True, check=False).stdout == b""
        shell = shell.replace("false ", "true ").replace("false;", "true;", 1)
        assert (
            b"removed"
            in subprocess.run(["sh", "-c", shell], capture_output=True, check=False).stdout
        )


KEY = WantedKey("shop.example", "new", 2048)


@pytest.mark.parametrize(
    ("visible", "signing", "old_signing", "expected"),
    [
        (True, False, True, "new"),
        (True, True, False, "new"),
        # It signs already: a name server that is down for a while changes nothing.
        (False, True, False, "new"),
        (False, False, True, "old"),
        (False, False, False, None),
        (None, True, False, "new"),
        (None, False, True, "old"),
    ],
)
def test_which_key_signs(
    visible: bool | None, signing: bool, old_signing: bool, expected: str | None
) -> None:
    row = {"domain": "shop.example", "p": "AA", "bits": 2048}
    keys = [
        {**row, "selector": "old", "visible": True, "signing": old_signing},
        {**row, "selector": "new", "visible": visible, "signing": signing},
        {**row, "domain": "other.example", "selector": "new", "visible": True, "signing": True},
    ]
    chosen = signing_keys((KEY,), keys)  # type: ignore[arg-type]
    assert [key.selector for key in chosen] == ([expected] if expected else [])
    assert {key.domain for key in chosen} <= {"shop.example"}


@pytest.mark.parametrize(
    ("visible", "why", "said"),
    [
        (
            False,
            "name server 192.0.2.53 has none",
            "is not in DNS (name server 192.0.2.53 has none)",
        ),
        (None, "its name servers cannot be found: timed out", "is not known: its name servers"),
    ],
)
def test_not_knowing_is_not_told_as_no(visible: bool | None, why: str, said: str) -> None:
    row: dict[str, Any] = {"domain": "shop.example", "selector": "new", "signing": False}
    text = not_signing(KEY, [{**row, "visible": visible, "why": why}])  # type: ignore[typeddict-item]
    assert said in text
    assert ("push DNS" in text) == (visible is False)
    assert "is not in DNS; push DNS" in not_signing(KEY, [])


def test_opendkims_tables() -> None:
    key_table, signing_table = tables([ORDERS], [KEY, OTHER])
    assert key_table.content == (
        "new._domainkey.shop.example shop.example:new:/etc/opendkim/keys/shop.example/new.private\n"
    )
    assert signing_table.content == (
        "*@shop.example new._domainkey.shop.example\n"
        "*@bounce.shop.example new._domainkey.shop.example\n"
        "* no-key-for-other-domains-than.shop.example\n"
    )
    assert (key_table.path, signing_table.path) == (ORDERS.key_table, ORDERS.signing_table)
    for file in (key_table, signing_table):
        assert (file.mode, file.owner, file.group) == (0o640, "root", "opendkim")
        assert file.affects == ("opendkim@orders.service",)


def test_mail_of_a_domain_without_a_signing_key_is_deferred() -> None:
    """Its row names a key that the key table lacks: OpenDKIM then answers with a temporary failure."""
    key_table, signing_table = tables([ORDERS], [OTHER], [KEY])
    assert key_table.content == ""
    assert signing_table.content.splitlines() == [
        "*@shop.example new._domainkey.shop.example",
        "*@bounce.shop.example new._domainkey.shop.example",
        "* no-key-for-other-domains-than.shop.example",
    ]


def test_a_streams_signer_knows_no_other_streams_key() -> None:
    news = StreamSigner("news", "news.example", message_octets=10_240_000)
    files = {file.path: file.content for file in tables([ORDERS, news], [KEY, OTHER])}
    assert "news.example" not in files[ORDERS.key_table] + files[ORDERS.signing_table]
    assert "shop.example" not in files[news.key_table] + files[news.signing_table]


def test_what_waits_for_its_next_start_is_not_waited_for() -> None:
    state = ServicesState(enabled=UNITS, waiting=frozenset({"a.service"}), managed=UNITS)
    assert verbs(state)[0] == "systemctl restart a.service"
