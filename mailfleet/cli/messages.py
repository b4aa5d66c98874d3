"""What commands say on stderr, beside their result."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click


def step(text: str) -> None:
    """Tell what is only worth telling to somebody who waits at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"  {text} ...", err=True)


def tell(word: str, colour: str, texts: Iterable[str]) -> None:
    """One line for each text, after a word in a colour, e.g. "problem"."""
    for text in texts:
        click.echo(f"{click.style(word, fg=colour)}: {text}", err=True)
