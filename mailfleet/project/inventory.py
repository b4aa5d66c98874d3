"""Reading inventories and domain files: the edge between files and the fleet model.

An inventory is a Python file without suffix that pyinfra executes. Its last line calls `declare`,
which validates the whole fleet, and the logins' hashes where hosts are configured, before pyinfra opens
the first connection:

    from mailfleet import inventory as _inventory

    eu = [("mta1.eu.shop.example", {"streams": {"orders": ["203.0.113.11"]}})]

    _inventory.declare(globals(), domains=["shop.example"])

`read` executes the same file for the `mailfleet` command. What ends pyinfra before `declare` is called, a
mistyped path as well, is told by `check_run`: the project's config.py calls it, which pyinfra reads first.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mailfleet.errors import ConfigurationError, MailfleetError, Problem
from mailfleet.model import Fleet, HostEntry, build_fleet
from mailfleet.model.checks import deploy_problems
from mailfleet.model.names import domain_name
from mailfleet.model.values import shown
from mailfleet.project.domain_files import read_domain_files
from mailfleet.project.encoding import NUMBER_FAULT, mark_fault
from mailfleet.project.environment import environment_of
from mailfleet.project.folder import dns_folder, templates_folder
from mailfleet.project.login_hashes import check_logins
from mailfleet.project.own_templates import own_template_problems


@dataclass
class _Run:
    """What this process has read.

    No ContextVar: pyinfra loads the deploy file in greenlets, each of which starts with an empty
    context, so that the fleet which the inventory declared would not be seen there.
    """

    fleet: Fleet | None = None
    reading: bool = False
    rehearsing: bool = False
    """Whether the file is only executed to see whether it can be."""
    entries: tuple[HostEntry, ...] = ()
    names: Mapping[str, Any] | None = None
    """The globals of the inventory that has declared the fleet."""


_run = _Run()


def declare(names: object = None, *more: object, **options: Any) -> None:
    """Declare the fleet; the last line of an inventory.

    `names` is the inventory's globals(): every public list in it is a region. `options` are the fields of
    `mailfleet.model.schema.InventoryTable`, of which `domains` is required. Adds the connection data
    that pyinfra needs to each host, where the inventory does not give it.

    Under pyinfra a mistake is printed and ends the run with exit code 2; `read` raises it instead.
    """
    if _run.rehearsing:
        return
    problems: list[Problem] = []
    if more or not isinstance(names, Mapping) or "__file__" not in names:
        # Before anything is known of the inventory but the file that calls.
        names = {"__file__": sys._getframe(1).f_code.co_filename}
        text = "call declare(globals(), domains=[...]): globals() first, all else by its name"
        problems.append(Problem(str(names["__file__"]), "declare", text))
    source = str(names["__file__"])
    entries = _entries(source, names, problems)
    if _run.names is names:
        text = "declares the fleet a second time; keep one call of declare, the last line"
        problems.append(Problem(source, "", text))
    _run.names = names
    if _run.reading:
        _run.fleet = _load(source, entries, options, problems)
        _run.entries = tuple(entries)
        return
    try:
        fleet = _load(source, entries, options, problems)
        real = _real(entries)
        if real:
            _check_deployable(fleet)
            if _configures_hosts():
                check_logins(fleet)
            environment_of(fleet).enter()
    except MailfleetError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    _add_connections(fleet, real)
    _run.fleet = fleet


def _configures_hosts() -> bool:
    """Whether this run of pyinfra has a deploy file that needs all hosts' secrets, not only those of DNS."""
    context = click.get_current_context(silent=True)
    if context is None or context.params.get("limit"):
        return False
    operations = context.params.get("operations") or ()
    return any(Path(str(name)).absolute().parent.name == "deploys" for name in operations)


def current() -> Fleet:
    """The fleet that the inventory of this run declared."""
    return _declared("the inventory")


def read(path: str | Path) -> Fleet:
    """The fleet that the inventory at `path` declares; ConfigurationError where it is wrong."""
    return _executed(path)[0]


def read_connections(path: str | Path) -> dict[str, dict[str, Any]]:
    """How pyinfra reaches each host of an inventory: its `ssh_*` and `_*` data, by host name.

    Complete as under pyinfra, so a lab must be up; ConfigurationError as in `read_for_deploy`.
    """
    fleet, entries = _executed(path)
    _check_deployable(fleet)
    real = _real(entries)
    _add_connections(fleet, real)
    return {domain_name(e.name): dict(e.data) for e in real if isinstance(e.data, dict)}


def _executed(path: str | Path) -> tuple[Fleet, tuple[HostEntry, ...]]:
    source = str(path)
    code = _source_code(source, Path(path))
    before = _run.fleet, _run.reading, _run.entries, _run.names
    _run.fleet, _run.reading, _run.entries, _run.names = None, True, (), None
    try:
        # What it prints must not get into a command's document.
        with contextlib.redirect_stdout(sys.stderr):
            names = _names(source, code)
        fleet = _declared(source)
        _check_whole(source, names)
        return fleet, _run.entries
    finally:
        _run.fleet, _run.reading, _run.entries, _run.names = before


def _names(source: str, code: Any) -> dict[str, Any]:
    """What the executed inventory defines; ConfigurationError, with the line, where it ends early."""
    names: dict[str, Any] = {"__file__": source, "__name__": "inventory"}
    try:
        exec(code, names)  # noqa: S102 - it is a program
    except MailfleetError:
        raise
    except SystemExit:
        text = "ends the program; remove the call of exit, an inventory only declares"
        raise ConfigurationError([Problem(source, _line(source), text)]) from None
    except Exception as error:  # noqa: BLE001 - whatever a user's program may raise
        text = f"cannot be executed: {type(error).__name__}: {error}"
        raise ConfigurationError([Problem(source, _line(source), text)]) from None
    return names


def check_run() -> None:
    """End a run of pyinfra whose inventory cannot be executed, or lacks what --limit names, with exit code 2.

    pyinfra itself would show a traceback, and do nothing with exit code 0 where the file is not there.
    The inventory is executed twice so; what it prints is seen once.
    """
    context = click.get_current_context(silent=True)
    path = str(context.params.get("inventory") or "") if context else ""
    # pyinfra takes host names and connectors as well.
    if "/" not in path or path.startswith("@") or "," in path:
        return
    _run.rehearsing = True
    try:
        code = _source_code(path, Path(path))
        nowhere = io.StringIO()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            names = _names(path, code)
        _check_limits(path, names, context.params.get("limit") or () if context else ())
    except MailfleetError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    finally:
        _run.rehearsing = False


def _check_limits(source: str, names: Mapping[str, Any], limits: Iterable[str]) -> None:
    """ConfigurationError for a --limit that matches nobody: pyinfra goes on with no host."""
    entries = _entries(source, names, [])
    known = sorted({entry.name for entry in entries} | {entry.region for entry in entries})
    every = (*known, "all", Path(source).stem)
    problems = [
        Problem(source, "--limit", f"{limit} is no host or region; there are {', '.join(known)}")
        for limit in limits
        if not any(fnmatch.fnmatch(name, limit) for name in every)
    ]
    if problems and entries:
        raise ConfigurationError(problems)


def _real(entries: Iterable[HostEntry]) -> list[HostEntry]:
    """Without those of pyinfra's @fake connector, which reach no address of the fleet."""
    return [entry for entry in entries if not entry.name.startswith("@")]


def _check_whole(source: str, names: Mapping[str, Any]) -> None:
    """ConfigurationError where hosts were added after `declare`, which does not know them."""
    if len(_entries(source, names, [])) != len(_run.entries):
        text = (
            "hosts stand below the call of declare, which does not know them; make it the last line"
        )
        raise ConfigurationError([Problem(source, "", text)])


def read_for_deploy(path: str | Path) -> Fleet:
    """Like `read`, for commands that connect.

    ConfigurationError also for example addresses outside a lab, which only forbid to connect.
    """
    fleet = read(path)
    _check_deployable(fleet)
    return fleet


def _check_deployable(fleet: Fleet) -> None:
    if problems := deploy_problems(fleet):
        raise ConfigurationError(problems)


def _declared(source: str) -> Fleet:
    if _run.fleet is None:
        text = "declares no fleet; end it with: _inventory.declare(globals(), domains=[...])"
        raise ConfigurationError([Problem(source, "", text)])
    return _run.fleet


def _source_code(source: str, file: Path) -> Any:
    key, text = "", ""
    if file.suffix == ".toml":
        text = "is a domain file; name an inventory that lists the domain, such as inventories/prod"
        raise ConfigurationError([Problem(source, "", text)])
    try:
        content = file.read_bytes()
        # Python would read over the mark, and pyinfra fail at it.
        if fault := mark_fault(content):
            raise ConfigurationError([Problem(source, "line 1", fault)])
        return compile(content, source, "exec", dont_inherit=True)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        what = "is a folder" if file.is_dir() else "does not exist"
        known = sorted(p.name for p in file.parent.glob("*") if p.is_file())
        text = f"{what}; name an inventory file"
        text += f"; inventories there: {', '.join(known)}" if known else ""
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
    except SyntaxError as error:
        key = f"line {error.lineno}" if error.lineno else ""
        text = f"is not valid Python: {error.msg}"
        if "Exceeds the limit" in str(error.msg):
            text = NUMBER_FAULT
    except ValueError as error:  # a null byte, before Python 3.12
        text = f"is not valid Python: {error}"
    raise ConfigurationError([Problem(source, key, text)])


def _line(source: str) -> str:
    """Where in the inventory the exception that is being handled came from."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    lines = [frame.lineno for frame in frames if frame.filename == source]
    return f"line {lines[-1]}" if lines else ""


def _load(
    source: str, entries: list[HostEntry], options: Mapping[str, Any], problems: list[Problem]
) -> Fleet:
    problems += own_template_problems(templates_folder(source))
    files = read_domain_files(source, dns_folder(source), options.get("domains"), problems)
    return build_fleet(source, entries, options, files, problems)


def _entries(source: str, names: Mapping[str, Any], problems: list[Problem]) -> list[HostEntry]:
    entries = []
    for region, hosts in names.items():
        if region.startswith("_"):
            continue
        if isinstance(hosts, dict) and any("." in str(name) for name in hosts):
            text = (
                'is a table; a region is a list: [("mta1.eu.example.com", {...})], or begins with _'
            )
            problems.append(Problem(source, region, text))
        if not isinstance(hosts, (list, tuple)):
            continue
        if fault := _region_fault(region, hosts):
            problems.append(Problem(source, region, fault))
            continue
        for host in hosts:
            name, data = host if isinstance(host, tuple) and len(host) == 2 else (host, {})
            if isinstance(host, str):
                text = f'{shown(host)} has no data; write ("{host}", {{"streams": {{...}}}})'
                text += ", or begin the list's name with _ where it is no region"
                problems.append(Problem(source, region, text))
            elif isinstance(name, str):
                entries.append(HostEntry(region, name, data))
            else:
                text = f'{shown(name)} is not a host; write ("mta1.{region}.example.com", {{...}})'
                problems.append(Problem(source, region, f"{text}, or begin the list's name with _"))
    return entries


def _region_fault(region: str, hosts: object) -> str:
    if isinstance(hosts, tuple):
        return (
            "is a tuple; a region is a list of hosts, anything else has a name that begins with _"
        )
    if fault := region_fault(region):
        return fault
    return "" if hosts else "has no hosts; add one, or remove the region"


def region_fault(region: str) -> str:
    """Why a region cannot be called so; empty if it can."""
    # The name becomes part of endpoint names, and pyinfra's `all` means every host.
    if not (region.isascii() and region.isalnum() and region == region.lower()):
        return "is no region name; use small letters and digits, e.g. eu1, or begin it with _"
    if region == "all" or len(region) > 20:
        return "is no region name; use up to 20 small letters and digits other than all"
    return ""


def _add_connections(fleet: Fleet, entries: list[HostEntry]) -> None:
    """Connect to addresses: the hosts' names may not be published yet."""
    extra = environment_of(fleet).connection()
    for entry in entries:
        if not isinstance(entry.data, dict):
            continue  # such an entry does not load
        address = str(fleet.host(domain_name(entry.name)).addresses[0])
        # The very dict that pyinfra reads after the inventory has run.
        for key, value in {"ssh_hostname": address, **extra}.items():
            entry.data.setdefault(key, value)
