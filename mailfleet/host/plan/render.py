"""A host's plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mailfleet.host.plan.files import FileChange, FilesPlan
from mailfleet.host.plan.host import HostPlan
from mailfleet.host.plan.services import ServicesPlan, Verb

_SIGNS = {"create": "+", "change": "~", "remove": "-"}
_DONE: dict[Verb, str] = {
    "run": "run", "mask": "masked", "unmask": "unmasked", "enable": "enabled", "start": "started",
    "restart": "restarted", "reload": "reloaded", "end": "ended",
}  # fmt: skip
# The other steps are how files get into their places and lists are kept.
_RECORD = "the list of units that mailfleet has started is written anew"


def summary(plan: HostPlan) -> str:
    """One phrase, e.g. "2 files to change, 1 unit to be reloaded"."""
    if plan.is_empty:
        return "no changes"
    parts = []
    if plan.packages.install:
        parts.append(_counted(len(plan.packages.install), "package", "to install"))
    changes = [change for part in plan.files for change in part.changes]
    for action in _SIGNS:
        if count := sum(change.action == action for change in changes):
            parts.append(_counted(count, "file", f"to {action}"))
    counts: dict[str, int] = {}
    for verb, _ in _units(plan.services):
        if verb != "run":
            counts[_DONE[verb]] = counts.get(_DONE[verb], 0) + 1
    parts += [_counted(count, "unit", f"to be {done}") for done, count in counts.items()]
    return ", ".join(parts) or "changes beside files and units"


def _counted(count: int, noun: str, rest: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'} {rest}"


def lines(plan: HostPlan) -> Iterator[str]:
    """What a deploy does, in its order; a line's first character tells what happens.

    `+` comes, `-` goes, `~` changes, `!` starts, reloads or runs. Lines of diffs are indented. The texts
    of new files are left out where the whole host is new: `mailfleet render` shows them.
    """
    packages = plan.packages
    if packages.finish:
        yield "~ packages: an earlier install was cut off, and is finished"
    yield from (f"- package of another mail server: {name}" for name in packages.make_room)
    yield from (f"+ package {name}" for name in packages.install)
    yield from (f"- package {name}" for name in packages.remove)
    yield from (f"- failed unit without its package: {name}" for name in packages.forget)
    if plan.certificate.replace:
        yield f"+ certificate that the host signs itself: {plan.certificate.replace}"
    for key in plan.keys.create:
        yield f"+ DKIM key {key.selector} of {key.domain}, {key.bits} bits"
    for file in plan.keys.guard:
        yield f"~ {file.path}: {file.access} becomes 600 opendkim opendkim"
    for part in plan.files:
        yield from _files(part, with_new=not plan.is_new)
    yield from _services(plan.services)
    if plan.certificate.order:
        yield f"! certificate ordered from the authority: {plan.certificate.order}"


def _files(plan: FilesPlan, *, with_new: bool) -> Iterator[str]:
    if plan.finish:
        yield f"~ files ({plan.tree}): an earlier deploy was cut off, and is finished"
    for change in plan.changes:
        yield f"{_SIGNS[change.action]} {change.path}{_detail(change)}"
        if change.action != "create" or with_new:
            # The first two lines only repeat the path.
            yield from (f"    {line}" for line in change.diff[2:])


def _detail(change: FileChange) -> str:
    texts = []
    if change.access_differs and change.before and change.after:
        texts.append(f"{change.before.access} becomes {change.after.access}")
    if change.note:
        texts.append(change.note)
    return f": {'; '.join(texts)}" if texts else ""


def _services(plan: ServicesPlan) -> Iterator[str]:
    for verb, name in _units(plan):
        reasons = ", ".join(plan.reasons.get(name, ()))
        what = f"run {name}" if verb == "run" else f"{name} is {_DONE[verb]}"
        yield f"! {what}{f': {reasons}' if reasons else ''}"
    if any(step.verb == "record" for step in plan.steps):
        yield f"~ {_RECORD}"


def _units(plan: ServicesPlan) -> Iterator[tuple[Verb, str]]:
    return ((step.verb, name) for step in plan.steps if step.verb in _DONE for name in step.names)


def as_json(plan: HostPlan) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "pending": not plan.is_empty,
        "packages": asdict(plan.packages),
        "certificate": asdict(plan.certificate),
        "keys": {
            "create": [asdict(key) for key in plan.keys.create],
            "guard": [asdict(file) for file in plan.keys.guard],
        },
        "files": [_file_as_json(change) for part in plan.files for change in part.changes],
        "files_to_finish": [part.tree for part in plan.files if part.finish],
        "units": [
            {"action": verb, "name": name, "reasons": list(plan.services.reasons.get(name, ()))}
            for verb, name in _units(plan.services)
        ],
    }


def _file_as_json(change: FileChange) -> dict[str, Any]:
    return {
        "action": change.action,
        "path": change.path,
        "before": change.before.access if change.before else None,
        "after": change.after.access if change.after else None,
        "secret": change.secret,
        "diff": list(change.diff),
        "note": change.note,
        "affects": list(change.affects),
    }
