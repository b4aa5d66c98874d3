"""What belongs to mailfleet beside its library: roles, templates, agent, deploys.

In a checkout these folders stand beside `mailfleet/`. The wheel carries them in `mailfleet/_bundled/`
(pyproject.toml), so that nothing but `mailfleet` gets into site-packages: decision 10. No other module
knows either place. Standard library only: a lab's hosts import this package without any other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_LIBRARY = Path(__file__).parents[1]
_BUNDLED = _LIBRARY / "_bundled"

ROOT = _BUNDLED if _BUNDLED.is_dir() else _LIBRARY.parent
TEMPLATES = ROOT / "templates"
AGENT = ROOT / "agent"
DEPLOYS = ROOT / "deploys"
PUSH = ROOT / "dns" / "push.py"
SKELETON = _LIBRARY / "project" / "skeleton"
"""What `mailfleet init` makes a user's repository of."""

PACKAGES = ("roles", "agent")
"""The packages below ROOT that are imported by their own names."""


class _Finder(MetaPathFinder):
    """Finds `roles` and `agent` below ROOT, whatever folders of these names a user has."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """The package of `name`, where it is one of ours; what is inside it Python finds itself."""
        return PathFinder.find_spec(name, [str(ROOT)], target) if name in PACKAGES else None


def make_importable() -> None:
    """Let `import roles` and `import agent` mean ours in this process, installed or not."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
