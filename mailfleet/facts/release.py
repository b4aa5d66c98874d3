"""What a host is: its release, memory and cores. None of them changes within a run."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from mailfleet.host.scanning import Capacity


@dataclass(frozen=True)
class Machine:
    """`suite` is the release's code name, e.g. `bookworm`."""

    suite: str
    capacity: Capacity


class Release(FactBase[Machine]):
    """The release with the memory and the cores that the host may use."""

    def command(self) -> str:
        return (
            ". /etc/os-release && echo $VERSION_CODENAME && nproc"
            " && sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"
        )

    def process(self, output: list[str]) -> Machine:
        try:
            suite, cores, memory = (line.strip() for line in output[-3:])
            capacity = Capacity(int(memory) // 1024, int(cores))
        except ValueError:
            suite, capacity = "", Capacity(0, 0)
        if not suite:
            raise FactProcessError(
                "the host tells no VERSION_CODENAME, number of cores and MemTotal: "
                f"{' '.join(output[-3:]) or 'nothing'}"
            )
        return Machine(suite, capacity)
