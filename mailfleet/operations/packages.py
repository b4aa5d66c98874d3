"""Install Debian packages without starting the services that they bring."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.files import STATE
from mailfleet.facts.packages import GUARD, GUARD_MARK, Packages

# policy-rc.d (invoke-rc.d(8)) answers 101, "not allowed", while apt runs: a mail server with Debian's
# default configuration must not answer on port 25 for even a second. The trap removes it on any end
# but a power cut; then the next run finds it and comes here again.
_INSTALL = f"""\
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# One run at a time: apt of a run that lost its connection may still be at work.
mkdir -p {STATE}
exec 9> {STATE}/packages.lock
flock 9
# A guard that an operator put there comes back afterwards.
if [ -e {GUARD} ] && ! grep -qs '{GUARD_MARK}' {GUARD}; then mv {GUARD} {GUARD}.mailfleet-kept; fi
trap 'rm -f {GUARD}; [ ! -e {GUARD}.mailfleet-kept ] || mv {GUARD}.mailfleet-kept {GUARD}' EXIT
printf '#!/bin/sh\\n# {GUARD_MARK}\\nexit 101\\n' > {GUARD}
chmod 755 {GUARD}
apt() {{
  apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold --no-install-recommends "$@" </dev/null
}}
# After a power cut amid an install there are packages whose dependencies were not unpacked yet: then
# the first two steps may fail, and only --fix-broken helps.
dpkg --configure -a --force-confdef --force-confold || :
apt update
# Another mail server makes room for Postfix. Whatever else would have to go is not ours to remove.
if [ $# -gt 0 ]; then
  gone=$(apt -s install -- "$@" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p')
  for name in $gone; do
    case $(dpkg-query -W -f '${{Package}} ${{Provides}}' "$name") in
      exim4* | *mail-transport-agent*) ;;
      *)
        echo "apt would remove $name to install what this host needs (see apt-get -s install $*);" \
          "remove it yourself if you can do without it, and deploy again" >&2
        exit 1 ;;
    esac
  done
fi
if [ $# -eq 0 ] || ! apt install -- "$@"; then
  apt --fix-broken install
  [ $# -eq 0 ] || apt install -- "$@"
fi
"""


@operation()
def install(packages: tuple[str, ...]) -> Generator[StringCommand, None, None]:
    """Make sure that `packages` are installed; finish an install that was cut off."""
    state = host.get_fact(Packages, packages=packages)
    missing = [name for name in packages if name not in state.installed]
    if not missing and not state.interrupted:
        host.noop("all packages are installed")
        return
    yield StringCommand("sh", "-c", QuoteString(_INSTALL), "install", *map(QuoteString, missing))
