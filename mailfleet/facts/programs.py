"""Which Debian packages the processes belong to that stand in a deploy's way."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, QuoteString, StringCommand

_READ = """\
owner() {
  # Debian's merged /usr: dpkg may know the path by its old name.
  dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "${1#/usr}" 2>/dev/null
}
for pair in "$@"; do
  unit=${pair%%|*} program=${pair#*|}
  file=
  if [ -n "$unit" ]; then
    file=$(systemctl show -P SourcePath -- "$unit" 2>/dev/null)
    [ -n "$file" ] || file=$(systemctl show -P FragmentPath -- "$unit" 2>/dev/null)
  fi
  for path in "$file" "$program"; do
    [ -n "$path" ] || continue
    name=$(owner "$path" | sed -n '1s/[:,].*//p')
    [ -z "$name" ] || dpkg-query -W -f "$pair"'|${Package}|${Provides}\\n' "$name"
  done
done
true
"""


@dataclass(frozen=True)
class Owner:
    """A Debian package, and what it provides."""

    package: str
    provides: frozenset[str]


class Owners(FactBase[dict[tuple[str, str], list[Owner]]]):
    """The packages of units and programs, given and returned as pairs; that of the unit first."""

    def command(self, pairs: tuple[tuple[str, str], ...]) -> StringCommand:
        texts = [QuoteString(f"{unit}|{program}") for unit, program in pairs]
        return StringCommand("sh", "-c", QuoteString(_READ), "owners", *texts)

    @staticmethod
    def default() -> dict[tuple[str, str], list[Owner]]:
        return {}

    def process(self, output: list[str]) -> dict[tuple[str, str], list[Owner]]:
        owners: dict[tuple[str, str], list[Owner]] = {}
        for line in output:
            if line.count("|") == 3:
                unit, program, package, provides = line.split("|")
                names = frozenset(word.split()[0] for word in provides.split(",") if word.strip())
                owners.setdefault((unit, program), []).append(Owner(package, names))
        return owners
