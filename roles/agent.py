"""The programs of ours that run on the host: one archive, replaced as a whole.

A run of a timer never sees half of two versions. What runs has read all its modules when it started, and
says which they were: a deploy restarts what runs other code (`mailfleet.host.agent.status`).
"""

from __future__ import annotations

from mailfleet.host import agent
from mailfleet.host.state import Check, ConfigFile, HostState
from mailfleet.host.target import Target


def desired(_target: Target) -> HostState:
    """The archive, and what it imports."""
    return HostState(
        packages=(
            "python3",
            "python3-cryptography",
            "python3-dkim",
            "python3-dnspython",
            "python3-nacl",
            "python3-spf",
        ),
        files=(ConfigFile(agent.ARCHIVE, "", binary=agent.archive()),),
        checks=(Check("agent", _CHECK),),
    )


# It imports all programs with the packages of this host, and reads what they are to read.
_CHECK = f"""\
set --
for config in "$STAGE"/etc/mailfleet/streams/*.json; do
  [ ! -e "$config" ] || set -- "$@" message "$config"
done
for config in "$STAGE"/etc/mailfleet/agent/*.json; do
  [ ! -e "$config" ] || {{ name=${{config##*/}}; set -- "$@" "${{name%.json}}" "$config"; }}
done
if [ -e "$STAGE/etc/mailfleet/certificate.json" ]; then
  set -- "$@" certificate "$STAGE/etc/mailfleet/certificate.json"
fi
python3 -I "$STAGE{agent.ARCHIVE}" check "$@"
"""
