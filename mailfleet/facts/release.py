"""Which release of which distribution a host runs: never changes within a run."""

from __future__ import annotations

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError


class Codename(FactBase[str]):
    """The release's code name, e.g. `bookworm`."""

    def command(self) -> str:
        return ". /etc/os-release && echo $VERSION_CODENAME"

    def process(self, output: list[str]) -> str:
        if not output or not output[-1].strip():
            raise FactProcessError("/etc/os-release names no VERSION_CODENAME")
        return output[-1].strip()
