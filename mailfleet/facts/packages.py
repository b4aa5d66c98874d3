"""Which of the wanted Debian packages are missing, and whether an earlier install was cut off."""

from __future__ import annotations

from pyinfra.api import FactBase, QuoteString, StringCommand

from mailfleet.host.observed import PackageState

GUARD = "/usr/sbin/policy-rc.d"
GUARD_MARK = "mailfleet: services start only once they are configured"


class Packages(FactBase[PackageState]):
    """State of the named packages."""

    def command(self, packages: tuple[str, ...]) -> StringCommand:
        names = [QuoteString(name) for name in packages]
        return StringCommand(
            "dpkg-query", "-W", "-f", QuoteString("${Package} ${db:Status-Abbrev}\\n"), *names,
            "2>/dev/null;",
            "{ grep -qs", QuoteString(GUARD_MARK), GUARD, "|| test -n", '"$(dpkg --audit)"; }',
            "&& echo interrupted; true",
        )  # fmt: skip

    @staticmethod
    def default() -> PackageState:
        return PackageState(frozenset(), interrupted=False)

    def process(self, output: list[str]) -> PackageState:
        rows = [line.split() for line in output]
        # "ii" is installed; "hi" is installed and held by the administrator.
        names = frozenset(row[0] for row in rows if len(row) == 2 and row[1] in ("ii", "hi"))
        return PackageState(names, interrupted=["interrupted"] in rows)
