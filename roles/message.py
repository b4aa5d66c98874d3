"""The judge of each stream's messages: who they are from, and that nothing leaves unsigned.

It is `agent/message/main.py`, which Postfix asks before the signer and after it (decision 7).
"""

from __future__ import annotations

import json

from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.signing import StreamSigner, stream_signers
from mailfleet.host.state import Check, ConfigFile, Directory, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import agent, render

_LIBRARY = "/usr/local/lib/mailfleet"
_MODULES = (
    "__init__", "lib/__init__", "lib/author", "lib/encoded_words", "lib/milter", "lib/systemd",
    "message/__init__", "message/main", "message/mime", "message/transport",
)  # fmt: skip
_TEMPLATE = "etc/systemd/system/mailfleet-message@.service"


def desired(target: Target) -> HostState:
    """One unit for each stream; they share the program and the user."""
    signers = stream_signers(target.fleet, target.host)
    units = tuple(signer.judge for signer in signers)
    return HostState(
        packages=("python3",),
        directories=(Directory("/etc/mailfleet/streams"),),
        files=(
            *(
                ConfigFile(f"{_LIBRARY}/agent/{name}.py", agent(f"{name}.py"), affects=units)
                for name in _MODULES
            ),
            *(
                ConfigFile(signer.judge_config, config(signer), affects=(signer.judge,))
                for signer in signers
            ),
            ConfigFile(
                "/etc/sysusers.d/mailfleet-message.conf",
                'u mailfleet-message - "mailfleet judge of messages"\n',
            ),
            ConfigFile(
                f"/{_TEMPLATE}", render(_TEMPLATE, library=_LIBRARY), affects=(RELOAD, *units)
            ),
            *(
                drop_in(signer.judge, own=(f"MemoryMax={signer.judge_memory}M",))
                for signer in signers
            ),
        ),
        checks=(Check("judge of messages", _CHECK),),
        services=tuple(Service(unit) for unit in units),
    )


def config(signer: StreamSigner) -> str:
    """What the agent reads; see `agent.message.main.Stream`."""
    content = {
        "domains": signer.domains,
        "signing_domain": signer.domain,
        "message_octets": signer.message_octets,
    }
    return json.dumps(content, indent=2) + "\n"


# The program itself reads each stream's configuration.
_CHECK = """\
cd "$STAGE/usr/local/lib/mailfleet"
for config in "$STAGE"/etc/mailfleet/streams/*.json; do
  [ ! -e "$config" ] || python3 -B -c 'import sys
from agent.message.main import Stream
Stream.read(sys.argv[1])' "$config"
done
"""
