"""A user's folder: where things stand from an inventory at `inventories/NAME`."""

from __future__ import annotations

from pathlib import Path


def dns_folder(inventory: str) -> Path:
    """Where the domain files are."""
    return _root(inventory) / "dns"


def templates_folder(inventory: str) -> Path:
    """Where the user's own templates are, if there are any."""
    return _root(inventory) / "templates"


def checks_folder(inventory: str) -> Path:
    """Where the user's own checks of hosts are, if there are any."""
    return _root(inventory) / "checks"


def _root(inventory: str) -> Path:
    return Path(inventory).resolve().parent.parent
