"""Reading inventories and domain files: the edge between files and the fleet model.

An inventory is a Python file without suffix that pyinfra executes. Its last line calls `declare`,
which validates the whole fleet before pyinfra opens the first connection:

    from mailfleet import inventory as _inventory

    eu = [("mta1.eu.shop.example", {"streams": {"orders": ["203.0.113.11"]}})]

    _inventory.declare(globals(), domains=["shop.example"])

`read` executes the same file for the `mailfleet` command.
"""

from __future__ import annotations

import sys
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mailfleet.errors import ConfigurationError, MailfleetError, Problem
from mailfleet.model import Fleet, HostEntry, build_fleet
from mailfleet.model.checks import deploy_problems
from mailfleet.model.names import domain_name

# Not a plain global: a test may read several inventories in one process.
_current: ContextVar[Fleet | None] = ContextVar("fleet", default=None)
_reading: ContextVar[bool] = ContextVar("reading", default=False)

Group = list[tuple[str, dict[str, Any]]]


def declare(names: dict[str, Any], **options: Any) -> None:
    """Declare the fleet; the last line of an inventory.

    `names` is the inventory's globals(): every public list in it is a region. `options` are
    `domains`, `reverse_dns` and `lab` (see `mailfleet.model.schema.InventoryTable`). Adds the
    connection data that pyinfra needs to each host, where the inventory does not give it.

    Under pyinfra a mistake is printed and ends the run with exit code 2; `read` raises it instead.
    """
    source = str(names["__file__"])
    groups = {name: value for name, value in names.items() if _is_group(name, value)}
    if _reading.get():
        _current.set(_load(source, groups, options))
        return
    try:
        fleet = _load(source, groups, options)
        real = not any(entry.name.startswith("@") for entry in _entries(groups))
        if real and (problems := deploy_problems(fleet)):
            raise ConfigurationError(problems)
        if real and fleet.lab is not None:
            from mailfleet.lab import enter

            enter(fleet.lab)
    except MailfleetError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    _add_connections(fleet, groups)
    _current.set(fleet)


def current() -> Fleet:
    """The fleet that the inventory of this run declared."""
    fleet = _current.get()
    if fleet is None:
        raise MailfleetError(
            "the inventory declares no fleet",
            "end it with: _inventory.declare(globals(), domains=[...])",
        )
    return fleet


def read(path: str | Path) -> Fleet:
    """The fleet that the inventory at `path` declares; ConfigurationError where it is wrong."""
    source = str(path)
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        known = sorted(p.name for p in file.parent.glob("*") if p.is_file())
        hint = f"; inventories there: {', '.join(known)}" if known else ""
        raise ConfigurationError([Problem(source, "", f"{what}; name an inventory file{hint}")])
    reading, before = _reading.set(True), _current.set(None)
    try:
        code = compile(file.read_text(encoding="utf-8"), source, "exec")
        exec(code, {"__file__": source, "__name__": "inventory"})  # an inventory is a program
        return current()
    except ConfigurationError:
        raise
    except SyntaxError as error:
        text = f"line {error.lineno}: {error.msg}"
        raise ConfigurationError([Problem(source, "", text)]) from None
    except MailfleetError:
        raise
    except Exception as error:
        text = f"cannot be executed: {type(error).__name__}: {error}"
        raise ConfigurationError([Problem(source, "", text)]) from None
    finally:
        _reading.reset(reading)
        _current.reset(before)


def read_for_deploy(path: str | Path) -> Fleet:
    """Like `read`, for commands that connect: example addresses are refused outside a lab."""
    fleet = read(path)
    if problems := deploy_problems(fleet):
        raise ConfigurationError(problems)
    return fleet


def _load(source: str, groups: dict[str, Group], options: dict[str, Any]) -> Fleet:
    problems: list[Problem] = []
    files: dict[str, tuple[str, dict[str, Any]]] = {}
    folder = Path(source).resolve().parent.parent / "dns"
    declared = options.get("domains", ())
    for text in declared if isinstance(declared, (list, tuple)) else ():
        try:
            name = domain_name(str(text))
        except ValueError:
            continue  # the inventory's own table reports it
        if name in files:
            problems.append(Problem(source, "domains", f"{name} is listed twice; remove one"))
        content = _domain_file(source, folder, name, problems)
        if content is not None:
            files[name] = content
    return build_fleet(source, _entries(groups), options, files, problems)


def _domain_file(
    source: str, folder: Path, name: str, problems: list[Problem]
) -> tuple[str, dict[str, Any]] | None:
    path = f"{folder.name}/{name}.toml"
    try:
        return path, tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        text = f"{path} does not exist; write it, or remove {name} from domains"
        problems.append(Problem(source, "domains", text))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(path, "", f"is not valid TOML: {error}"))
    except UnicodeDecodeError:
        problems.append(Problem(path, "", "is not UTF-8 text; save it as UTF-8"))
    return None


def _is_group(name: str, value: object) -> bool:
    return not name.startswith("_") and isinstance(value, (list, tuple))


def _entries(groups: dict[str, Group]) -> list[HostEntry]:
    entries = []
    for region, hosts in groups.items():
        for host in hosts:
            name, data = host if isinstance(host, tuple) and len(host) == 2 else (host, {})
            entries.append(HostEntry(region, str(name), data if isinstance(data, dict) else {}))
    return entries


def _add_connections(fleet: Fleet, groups: dict[str, Group]) -> None:
    """Connect to addresses: the hosts' names may not be published yet."""
    extra: dict[str, Any] = {}
    if fleet.lab is not None:
        from mailfleet.lab import files

        lab = files(fleet.lab)
        extra = {
            "ssh_user": "root",
            "ssh_key": str(lab.ssh_key),
            "ssh_known_hosts_file": str(lab.known_hosts),
        }
    for hosts in groups.values():
        for name, data in hosts:
            if not name.startswith("@"):
                host = fleet.host(domain_name(name))
                data.setdefault("ssh_hostname", str(host.addresses[0]))
                for key, value in extra.items():
                    data.setdefault(key, value)


