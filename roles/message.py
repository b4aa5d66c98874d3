"""The judge of each stream's messages: who they are from, and that nothing leaves unsigned.

It is `agent/message/main.py`, which Postfix asks before the signer and after it (decision 7).
"""

from __future__ import annotations

from agent.lib.configuration import dump
from agent.message.config import Config
from mailfleet.host import agent
from mailfleet.host.sandbox import RELOAD, drop_in
from mailfleet.host.signing import StreamSigner, stream_signers
from mailfleet.host.state import ConfigFile, Directory, HostState, Service
from mailfleet.host.target import Target
from mailfleet.host.templates import render

_TEMPLATE = "etc/systemd/system/mailfleet-message@.service"


def desired(target: Target) -> HostState:
    """One unit for each stream; they share the program and the user."""
    signers = stream_signers(target.fleet, target.host)
    units = tuple(signer.judge for signer in signers)
    unit = render(_TEMPLATE, command=agent.COMMAND)
    return HostState(
        directories=(Directory("/etc/mailfleet/streams"),),
        files=(
            *(
                ConfigFile(signer.judge_config, config(signer), affects=(signer.judge,))
                for signer in signers
            ),
            ConfigFile(
                "/etc/sysusers.d/mailfleet-message.conf",
                'u mailfleet-message - "mailfleet judge of messages"\n',
            ),
            ConfigFile(f"/{_TEMPLATE}", unit, affects=(RELOAD, *units)),
            *(
                drop_in(signer.judge, own=(f"MemoryMax={signer.judge_memory}M",))
                for signer in signers
            ),
        ),
        services=tuple(Service(unit, status=agent.status("message")) for unit in units),
    )


def config(signer: StreamSigner) -> str:
    """What the judge of a stream reads."""
    return dump(Config(frozenset(signer.domains), signer.domain, signer.message_octets))
