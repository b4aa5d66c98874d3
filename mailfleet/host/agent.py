"""The programs that run on hosts, as one archive (zipapp) and as text: decision 14.

The archive has the same bytes wherever it is built: sorted names, one time, and nothing compressed or
compiled, which the next zlib or Python would do otherwise.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache

from agent.lib.version import status as code_status
from mailfleet.host import resources
from mailfleet.host.paths import PROGRAMS

ARCHIVE = f"{PROGRAMS}/agent.pyz"
COMMAND = f"/usr/bin/python3 -I {ARCHIVE}"
"""What a program's name and arguments follow. Nothing else than Debian's own modules can be imported (-I)."""
_TIME = (1980, 1, 1, 0, 0, 0)
_MAIN = "from agent.run import main\n\nraise SystemExit(main())\n"
# Modules without files: text, and whether it is a package's, by name.
_RUN = """\
import importlib.abc, importlib.util, sys

MODULES = {modules!r}


class Modules(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in MODULES else None

    def is_package(self, name):
        return MODULES[name][1]

    def get_source(self, name):
        return MODULES[name][0]


sys.meta_path.insert(0, Modules())
importlib.import_module({last!r}).main()
"""


@cache
def sources() -> dict[str, str]:
    """The text of every module of the agent, by its path below `agent/`, in order."""
    paths = sorted(path for path in resources.AGENT.rglob("*.py"))
    return {
        path.relative_to(resources.AGENT).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
    }


@cache
def archive() -> bytes:
    """The zipapp: `python3 agent.pyz PROGRAM CONFIG`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in _members().items():
            entry = zipfile.ZipInfo(name, _TIME)
            # Of its own a ZipInfo says on which system it was made.
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            file.writestr(entry, content)
    return buffer.getvalue()


@cache
def status(program: str) -> str:
    """What systemd knows of a unit (`StatusText`) while it runs this program of this archive."""
    return code_status(program, _members())


def script(*modules: str) -> str:
    """Python that runs `main` of the last of `modules` where nothing of ours is installed.

    They are paths below `agent/`. Of a package a module names, the `__init__.py` belongs to them.
    """
    texts = {
        _name(path): (sources()[path], path.endswith("__init__.py"))
        for path in ("__init__.py", *modules)
    }
    return _RUN.format(modules=texts, last=_name(modules[-1]))


def _members() -> dict[str, bytes]:
    texts = {"__main__.py": _MAIN, **{f"agent/{name}": text for name, text in sources().items()}}
    return {name: text.encode() for name, text in texts.items()}


def _name(path: str) -> str:
    return f"agent/{path}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")
