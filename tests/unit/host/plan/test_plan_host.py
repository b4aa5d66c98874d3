"""A host's plan: what was just applied leaves nothing to do, whatever the host was like before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.host.observed import (
    DkimKeyReport,
    FileState,
    Observed,
    PackageState,
    ServicesState,
    TreeState,
)
from mailfleet.host.plan.host import HostPlan, files_of, plan_host, with_contents
from mailfleet.host.plan.render import as_json, lines, summary
from mailfleet.host.plan.report import HostReport, dump, load
from mailfleet.host.plan.services import FILES
from mailfleet.host.signing import StreamSigner, WantedKey
from mailfleet.host.state import Action, ConfigFile, Directory, HostState, Service

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
UNITS = tuple(f"{name}.service" for name in "abcde")
ACTIONS = ("load", "stop")
NAMES = (*UNITS, *ACTIONS)
PATHS = tuple(f"/etc/{name}" for name in "pqrstu")
STATUSES = ("", "code new", "code old")
PACKAGES = ("postfix", "ufw", "exim4-base")
SIGNER = StreamSigner("orders", "shop.example", message_octets=10_240_000)


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


def names(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values))


@st.composite
def wanted(draw: st.DrawFn) -> HostState:
    units = draw(some(UNITS))
    late = draw(st.integers(0, len(units)))
    services = tuple(
        Service(
            unit,
            draw(st.sampled_from(["reload", "restart"])),
            runs=draw(st.booleans()),
            alone=draw(st.booleans()),
            late=at >= late,
            status=draw(st.sampled_from(STATUSES)),
        )
        for at, unit in enumerate(units)
    )
    actions = tuple(
        Action(name, f"run {name}", late=name == "stop") for name in draw(some(ACTIONS))
    )
    known = (*units, *(action.name for action in actions))
    files = tuple(
        ConfigFile(
            path,
            draw(st.text(max_size=5)),
            draw(st.sampled_from([0o644, 0o600])),
            affects=draw(some(known)) if known else (),
            secret=draw(st.booleans()),
        )
        for path in draw(some(PATHS[:4]))
    )
    keys = (WantedKey("shop.example", "new", 2048),) if draw(st.booleans()) else ()
    return HostState(
        packages=draw(some(PACKAGES[:2])),
        keys=keys,
        signers=(SIGNER,) if SIGNER.unit in known else (),
        directories=tuple(Directory(path, 0o750) for path in draw(some(PATHS[4:]))),
        files=files,
        actions=actions,
        services=services,
        masked=tuple(unit for unit in UNITS if unit not in units),
    )


@st.composite
def tree(draw: st.DrawFn) -> TreeState:
    state = st.builds(
        FileState,
        st.sampled_from(["regular file", "directory", "symbolic link"]),
        st.sampled_from([0o644, 0o600, 0o750]),
        st.sampled_from(["root", "postfix"]),
        st.just("root"),
        st.sampled_from(["", "ab" * 32]),
    )
    paths = draw(st.dictionaries(st.sampled_from(PATHS), state))
    return TreeState(paths, draw(names((*PATHS, "/etc/old"))), draw(st.booleans()))


@st.composite
def observed(draw: st.DrawFn) -> Observed:
    active = draw(names((*UNITS, "old.service")))
    services = ServicesState(
        draw(names(UNITS)),
        active,
        draw(names((*NAMES, FILES, "old.service"))),
        draw(names((*UNITS, "old.service"))),
        draw(names(UNITS)) - active,
        draw(names(UNITS)),
        draw(st.dictionaries(st.sampled_from(UNITS), st.sampled_from(STATUSES))),
    )
    key: DkimKeyReport = {
        "domain": "shop.example", "selector": draw(st.sampled_from(["old", "new"])), "p": "AA",
        "bits": 2048, "visible": draw(st.sampled_from([True, False, None])), "why": "",
        "owner": draw(st.sampled_from(["600 opendkim opendkim", "644 root root"])),
        "signing": draw(st.booleans()),
    }  # fmt: skip
    return Observed(
        PackageState(draw(names(PACKAGES)), draw(st.booleans())),
        draw(names(("gone.service",))),
        draw(some(("exim4-daemon-light",))),
        keys=draw(st.sampled_from([(), (key,)])),
        trees={"host": draw(tree()), "dkim": draw(tree())},
        services=services,
    )


def applied(state: HostState, before: Observed, plan: HostPlan) -> Observed:
    """What the operations make of a host: it does what the plan says, and nothing else."""
    files = files_of(state, before)
    trees = {}
    marks: set[str] = set(before.services.pending) | set(plan.keys.affected)
    for part in plan.files:
        tree = before.trees[part.tree]
        paths = dict(tree.paths)
        for change in part.changes:
            if change.after is None:
                paths.pop(change.path, None)
            else:
                paths[change.path] = change.after
        managed = tree.managed if part.is_empty else frozenset(f.path for f in files[part.tree])
        trees[part.tree] = TreeState(paths, managed, tree.unfinished and not part.finish)
        marks |= set(part.affected)
    keys = [{**key, "owner": "600 opendkim opendkim"} for key in before.keys]
    keys += [
        {"domain": key.domain, "selector": key.selector, "p": "AA", "bits": key.bits, "visible": None,
         "why": "", "owner": "600 opendkim opendkim", "signing": False}
        for key in plan.keys.create
    ]  # fmt: skip
    packages = before.packages.installed | {*plan.packages.install}
    return Observed(
        PackageState(packages - {*plan.packages.remove}, interrupted=False),
        keys=tuple(keys),  # type: ignore[arg-type]
        trees=trees,
        services=_served(state, replace(before.services, pending=frozenset(marks)), plan),
    )


def _served(state: HostState, before: ServicesState, plan: HostPlan) -> ServicesState:
    found = {key: set(value) for key, value in vars(before).items() if key != "statuses"}
    statuses = {**before.statuses}
    says = {service.unit: service.status for service in state.services}
    for step in plan.services.steps:
        units = set(step.names)
        match step.verb:
            case "run":
                found["pending"] -= units
            case "start" | "restart" | "reload":
                found["pending"] -= units
                found["waiting"] -= units
                found["active"] |= units
                if step.verb != "reload":
                    statuses.update({unit: says[unit] for unit in units})
            case "enable":
                found["enabled"] |= units
            case "unmask":
                found["masked"] -= units
            case "mask" | "end":
                found["masked"] |= units if step.verb == "mask" else set()
                found["active"] -= units
            case "finish":
                found["pending"] -= {FILES}
            case "record":
                found["managed"] = {service.unit for service in state.services}
    sets = {key: frozenset(value) for key, value in found.items()}
    return ServicesState(**sets, statuses=statuses)


@settings(max_examples=40)
@given(wanted(), observed())
def test_what_was_just_applied_leaves_nothing_to_do(state: HostState, before: Observed) -> None:
    plan = plan_host(state, before, NOW)
    after = applied(state, before, plan)
    again = plan_host(state, after, NOW)
    assert again.is_empty, list(lines(again))
    assert summary(again) == "no changes"
    assert list(lines(again)) == []


@settings(max_examples=40)
@given(wanted(), observed())
def test_an_empty_plan_says_nothing_and_one_that_is_not_says_something(
    state: HostState, before: Observed
) -> None:
    plan = plan_host(state, before, NOW)
    assert as_json(plan)["pending"] == (not plan.is_empty)
    assert bool(list(lines(plan))) == (not plan.is_empty)


@settings(max_examples=40)
@given(wanted(), observed())
def test_the_services_plan_is_the_one_that_the_host_will_ask_for(
    state: HostState, before: Observed
) -> None:
    """Once the files are in place, marks say what the plan knew in advance."""
    plan = plan_host(state, before, NOW)
    marks = {name for part in plan.files for name in part.affected} | {*plan.keys.affected}
    waits = any(step.verb == "go live" for step in plan.services.steps)
    pending = before.services.pending | marks | ({FILES} if waits else set())
    later = replace(before, services=replace(before.services, pending=pending))
    assert plan_host(state, later, NOW).services.steps == plan.services.steps


@settings(max_examples=40)
@given(wanted(), observed(), st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=20)))
def test_a_report_arrives_as_it_was_sent(
    state: HostState, before: Observed, contents: Mapping[str, bytes]
) -> None:
    plan = with_contents(plan_host(state, before, NOW), state, before, contents)
    report = HostReport(
        "mta1.eu.shop.example", plan, ("a",), ("b",), {"dkim": [], "certificates": []}
    )
    assert load(dump(report)) == report


SECRET = ConfigFile("/etc/logins", "shop:hash-of-the-login\n", 0o640, secret=True)
PLAIN = ConfigFile("/etc/plain", "a = 1\nb = 2\n", affects=("a.service",))
UNIT = frozenset({"a.service"})
THERE = FileState("regular file", 0o644, "root", "root", "ab" * 32)


ARCHIVE = ConfigFile("/usr/agent.pyz", "", binary=b"PK\x03\x04\xff\0")


def plan_of(
    *files: ConfigFile, contents: Mapping[str, bytes] = {}, status: str = "", says: str = ""
) -> HostPlan:
    state = HostState(files=files, services=(Service("a.service", "reload", status=status),))
    paths = {file.path: THERE for file in files}
    before = Observed(
        trees={"host": TreeState(paths, frozenset(paths)), "dkim": TreeState({}, frozenset())},
        services=ServicesState(UNIT, UNIT, managed=UNIT, statuses={"a.service": says}),
    )
    return with_contents(plan_host(state, before, NOW), state, before, contents)


def test_a_file_changed_by_hand_is_shown_as_a_diff_with_who_reads_it() -> None:
    plan = plan_of(PLAIN, contents={"/etc/plain": b"a = 1\nb = 3\n"})
    assert list(lines(plan)) == [
        "~ /etc/plain",
        "    @@ -1,2 +1,2 @@",
        "     a = 1",
        "    -b = 3",
        "    +b = 2",
        "! a.service is reloaded: /etc/plain",
    ]
    assert summary(plan) == "1 file to change, 1 unit to be reloaded"


def test_a_secret_file_is_neither_read_nor_shown() -> None:
    plan = plan_of(SECRET)
    assert plan.comparable == ()
    assert list(lines(plan)) == [
        "~ /etc/logins: 0644 root:root becomes 0640 root:root; its content is a secret, and not shown"
    ]
    sent = dump(HostReport("h", plan)).decode()
    assert "hash-of-the-login" not in sent + repr(plan) + str(as_json(plan))


def test_what_cannot_be_read_is_told_as_such() -> None:
    (line, *_) = lines(plan_of(PLAIN))
    assert line == "~ /etc/plain: what is there is too large to be shown, or went meanwhile"


def test_a_file_that_is_no_text_is_neither_read_nor_shown() -> None:
    plan = plan_of(ARCHIVE)
    assert plan.comparable == ()
    assert list(lines(plan)) == ["~ /usr/agent.pyz: binary, 6 octets"]
    (change,) = as_json(plan)["files"]
    assert (change["diff"], change["note"]) == ([], "binary, 6 octets")


@pytest.mark.parametrize("says", ["", "code old", "code unknown"])
def test_a_unit_that_runs_other_code_is_restarted(says: str) -> None:
    """Whatever the archive was when it started, and whatever became of the deploy since."""
    plan = plan_of(status="code new", says=says)
    assert list(lines(plan)) == ["! a.service is restarted: it runs other code"]
    assert plan_of(status="code new", says="code new").is_empty
    assert plan_of(says=says).is_empty
    # A reload would not do.
    plan = plan_of(PLAIN, status="code new", says=says)
    assert list(lines(plan))[1:] == ["! a.service is restarted: /etc/plain, it runs other code"]
