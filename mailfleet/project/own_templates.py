"""A user's own templates: what the files alone can tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import jinja2

from mailfleet.errors import Problem
from mailfleet.host.resources import TEMPLATES
from mailfleet.host.templates import environment, fault_of, references


def own_template_problems(folder: Path) -> Iterator[Problem]:
    """What is wrong with the templates in `folder`: not parsable, or in the place of none of ours."""
    if not folder.is_dir() or folder.resolve() == TEMPLATES.resolve():
        return
    ours = _names(TEMPLATES)
    places = {name.partition("/")[0] for name in ours}
    own = _names(folder)
    included = {name for path in own.values() for name in references(path)}
    for name, path in sorted(own.items()):
        shown = f"{folder.name}/{name}"
        if fault := _fault(path):
            yield Problem(shown, *fault)
        elif name.partition("/")[0] in places and name not in ours and name not in included:
            yield Problem(shown, "", _takes_no_place(name, tuple(ours)))


def _names(folder: Path) -> dict[str, Path]:
    """Every template below `folder`, by its path from there; without what editors leave."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path
        for path in paths
        if not path.name.startswith((".", "#")) and not path.name.endswith("~")
    }


def _fault(path: Path) -> tuple[str, str] | None:
    """Key and text of what keeps a template from being used."""
    if path.suffix != ".j2":
        return None
    try:
        environment(None).parse(path.read_text(encoding="utf-8"))
    except jinja2.TemplateSyntaxError as error:
        return f"line {error.lineno}", f"is not valid Jinja: {fault_of(error)}"
    except (OSError, UnicodeError) as error:
        return "", fault_of(error)
    return None


def _takes_no_place(name: str, ours: tuple[str, ...]) -> str:
    text = "takes the place of no template of mailfleet, so nothing would come of it"
    close = get_close_matches(name if name.endswith(".j2") else f"{name}.j2", ours, n=1)
    return f"{text}; name it {close[0]}" if close else f"{text}; remove it"
