"""Templates: `templates/etc/postfix/main.cf.j2` is the text of /etc/postfix/main.cf.

A user's own templates, in a folder that mirrors ours, take the place of ours one by one. One that
only adds to ours begins with `{% include "mailfleet/etc/postfix/main.cf.j2" %}`.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta

from mailfleet.errors import ConfigurationError, Problem
from mailfleet.host import resources

PREFIX = "mailfleet"
"""An own template reaches ours as `mailfleet/PATH.j2`."""

_own: ContextVar[Path | None] = ContextVar("_own", default=None)
_record: ContextVar[dict[str, str] | None] = ContextVar("_record", default=None)


@contextmanager
def own_templates(folder: Path) -> Iterator[None]:
    """Look in a user's `folder` first; it need not exist."""
    # Of a checkout the folder is ours.
    is_own = folder.is_dir() and folder.resolve() != resources.TEMPLATES.resolve()
    token = _own.set(folder if is_own else None)
    try:
        yield
    finally:
        _own.reset(token)


@contextmanager
def recorded() -> Iterator[dict[str, str]]:
    """What is rendered meanwhile from an own template: each text, and how the template is called."""
    texts: dict[str, str] = {}
    token = _record.set(texts)
    try:
        yield texts
    finally:
        _record.reset(token)


def render(path: str, **values: Any) -> str:
    """The template of `path` with `values`; a name that is missing is an error, never empty.

    ConfigurationError where an own template fails.
    """
    name, folder = f"{path}.j2", _own.get()
    own = own_source(folder, name) if folder else None
    if folder is None or own is None:
        return environment(folder).get_template(name).render(values)
    shown = f"{folder.name}/{own}"
    try:
        text = environment(folder).get_template(name).render(values)
    except Exception as error:  # noqa: BLE001 - whatever a user's template may raise
        text = f"{fault_of(error)}; compare it with mailfleet's, {resources.TEMPLATES / own}"
        raise ConfigurationError([Problem(shown, _line(error), text)]) from None
    if (texts := _record.get()) is not None:
        texts[text] = shown
    return text


def own_source(folder: Path, name: str) -> str | None:
    """The own template that takes part in the template `name`: itself, or one that it includes."""
    left, known = [name], set()
    while left:
        current = left.pop()
        if current in known:
            continue
        known.add(current)
        if (folder / current).is_file():
            return current
        left += _our_references(current)
    return None


@cache
def _our_references(name: str) -> tuple[str, ...]:
    return references(resources.TEMPLATES / name)


def references(path: Path) -> tuple[str, ...]:
    """The templates that the one at `path` includes; none where it cannot be read or parsed."""
    try:
        tree = environment(None).parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, jinja2.TemplateError):
        return ()
    return tuple(name for name in meta.find_referenced_templates(tree) if name)


@cache
def environment(own: Path | None) -> jinja2.Environment:
    """Ours with the folder `own` before it."""
    ours = jinja2.FileSystemLoader(resources.TEMPLATES)
    loaders: list[jinja2.BaseLoader] = [ours, jinja2.PrefixLoader({PREFIX: ours})]
    if own is not None:
        loaders.insert(0, jinja2.FileSystemLoader(own))
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def fault_of(error: Exception) -> str:
    """What is wrong with a template, in words."""
    if isinstance(error, UnicodeError):
        return "is not UTF-8 text; save it as UTF-8"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"includes {error.name}, which is no template"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, jinja2.TemplateError):
        return str(error.message)
    return f"{type(error).__name__}: {error}"


def _line(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(".j2")]
    return f"line {lines[-1]}" if lines else ""
