"""Templates: `templates/etc/postfix/main.cf.j2` is the text of /etc/postfix/main.cf."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2

from mailfleet.host import resources


def render(path: str, **values: Any) -> str:
    """The template of `path` with `values`; a name that is missing is an error, never empty."""
    return _environment().get_template(f"{path}.j2").render(values)


def agent(name: str) -> str:
    """The text of a program of ours that runs on the hosts."""
    return (resources.AGENT / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
