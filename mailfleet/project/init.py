"""`mailfleet init`: the text of a user's own repository, and writing it whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jinja2

from mailfleet.errors import MailfleetError
from mailfleet.host import resources
from mailfleet.model import Address
from mailfleet.model.addresses import is_documentation

_SKELETON = resources.SKELETON
_PACKAGE = "mailfleet"
_ALLOWED = {".git"}
"""What a folder may hold that counts as empty: `git init` before us."""


@dataclass(frozen=True)
class NewHost:
    """A host as the inventory will name it."""

    name: str
    addresses: tuple[Address, ...]

    @property
    def quoted(self) -> str:
        return ", ".join(f'"{address}"' for address in self.addresses)


@dataclass(frozen=True)
class NewFleet:
    """What is known of a fleet before its files are written.

    Domain, regions and addresses are valid by themselves; whether they fit tells reading the files.
    """

    domain: str
    provider: str
    regions: Mapping[str, tuple[NewHost, ...]]
    server: str | None = None
    """Of provider rfc2136: the address of the primary server."""
    key: str | None = None
    """Of provider rfc2136: the name of the TSIG key."""

    @property
    def examples(self) -> tuple[str, ...]:
        """The hosts whose addresses are yet to be replaced."""
        hosts = (host for region in self.regions.values() for host in region)
        return tuple(host.name for host in hosts if any(map(is_documentation, host.addresses)))


def files_of(fleet: NewFleet, today: dt.date) -> dict[str, str]:
    """The text of each file by its path."""
    requirement, note = _requirement()
    values: dict[str, Any] = {
        "domain": fleet.domain,
        "provider": fleet.provider,
        "server": fleet.server,
        "key": fleet.key,
        "regions": fleet.regions,
        "examples": fleet.examples,
        "period": f"{today.year}q{(today.month + 2) // 3}",
        "requirement": requirement,
        "note": note,
    }
    texts = {_name(path, fleet): _text(path, values) for path in _tree(_SKELETON)}
    for path in _tree(resources.DEPLOYS):
        texts[f"deploys/{path.relative_to(resources.DEPLOYS)}"] = path.read_text(encoding="utf-8")
    texts["dns/push.py"] = resources.PUSH.read_text(encoding="utf-8")
    return texts


def check_empty(folder: Path) -> None:
    """MailfleetError where `folder` is neither new nor empty; changes nothing."""
    hint = "name a folder that is new or empty"
    try:
        if folder.is_symlink() and not folder.exists():
            raise MailfleetError(f"{folder} is a link that leads nowhere", hint)
        if folder.exists():
            if not folder.is_dir():
                raise MailfleetError(f"{folder} is a file", hint)
            if there := sorted(path.name for path in folder.iterdir() if path.name not in _ALLOWED):
                shown = ", ".join(there[:3]) + (" and more" if len(there) > 3 else "")
                raise MailfleetError(f"{folder} is not empty: it holds {shown}", hint)
        elif not folder.absolute().parent.is_dir():
            parent = folder.absolute().parent
            raise MailfleetError(f"{parent}, where {folder.name} should be, is no folder", hint)
    except OSError as error:
        raise MailfleetError(f"{folder} cannot be looked into: {error.strerror}", hint) from None


@contextmanager
def staged(folder: Path, texts: Mapping[str, str]) -> Iterator[Path]:
    """Write `texts` beside their place, for a look at them; they get there once the block has ended.

    Where the block or the writing fails, nothing is left. MailfleetError where it cannot be written.
    """
    is_new = not folder.exists()
    place = folder.absolute().parent if is_new else folder
    stage = place / f".{folder.name or 'mailfleet'}.{secrets.token_hex(4)}"
    try:
        for name, text in texts.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text, encoding="utf-8")
        yield stage
        if is_new:
            stage.rename(folder)
        else:
            _move(stage, folder)
    except OSError as error:
        problem = f"{folder} cannot be written: {error.strerror}"
        raise MailfleetError(problem, "nothing was written") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path) -> None:
    """Move what is in `stage` to `folder`, all of it or nothing."""
    moved = []
    try:
        for path in sorted(stage.iterdir()):
            target = folder / path.name
            path.rename(target)
            moved.append((target, path))
    except BaseException:
        for target, path in moved:
            target.rename(path)
        raise


def _tree(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )


def _name(path: Path, fleet: NewFleet) -> str:
    name = path.relative_to(_SKELETON).as_posix().removesuffix(".j2")
    # Tools would take the skeleton's own for theirs.
    names = {"gitignore": ".gitignore", "dns/domain.toml": f"dns/{fleet.domain}.toml"}
    return names.get(name, name)


def _text(path: Path, values: Mapping[str, Any]) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".j2":
        return text
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(text).render(values)


def _requirement() -> tuple[str, str]:
    """What pip installs this very mailfleet from, and what has to be done for it."""
    installed = distribution(_PACKAGE)
    pinned = f"{_PACKAGE}=={installed.version}"
    origin = installed.read_text("direct_url.json")
    return requirement(pinned, json.loads(origin) if origin else None)


def requirement(pinned: str, origin: Mapping[str, Any] | None) -> tuple[str, str]:
    """The line for pip, of what pip has kept (PEP 610), and a note; `pinned` from an index."""
    if origin is None:
        return pinned, ""
    url = str(origin.get("url", ""))
    if version_control := origin.get("vcs_info"):
        kind, commit = version_control["vcs"], version_control["commit_id"]
        return f"{_PACKAGE} @ {kind}+{url}@{commit}", ""
    if url.startswith("https://"):
        return f"{_PACKAGE} @ {url}", ""
    if url.endswith(".whl"):
        wheel = url.rpartition("/")[2]
        return f"./wheels/{wheel}", f"Put the wheel that you have installed there: wheels/{wheel}"
    return pinned, "Say where this version is to be had: an index, a wheel, or git+https://…"
