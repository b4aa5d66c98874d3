"""Everything that checks need to know of a host, read in one remote command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api.facts import FactBase

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.files import Tree
from mailfleet.facts.packages import Packages
from mailfleet.facts.services import Services
from mailfleet.facts.sshd import EXCEPTIONS
from mailfleet.facts.tls import STATE as ORDER_STATE
from mailfleet.facts.tls import Tls
from mailfleet.host import paths
from mailfleet.host.observed import DkimKeyReport, PackageState, ServicesState, TlsState, TreeState
from mailfleet.host.state import HostState
from mailfleet.host.target import POLICY_SOCKET
from mailfleet.verify import capacity, inbound, local_sockets, postfix, resolver, signatures
from mailfleet.verify.firewall import EGRESS

_MARK = "=== mailfleet verify: "
# What the rule files on the host would load, as the kernel itself writes it: in a network of its own
# that ends with the command.
_PLANNED_KERNEL = (
    "unshare --net sh -c '/usr/lib/ufw/ufw-init start >/dev/null; iptables-save; ip6tables-save'"
)
_POLICIES = f"socketmap:unix:{POLICY_SOCKET}:postfix"
_UFW_FILES = ("before.rules", "before6.rules", "after.rules", "after6.rules")


@dataclass(frozen=True)
class Reading:
    """What a host is. `texts` holds the output of each command in `_commands`."""

    packages: PackageState
    services: ServicesState
    tree: TreeState
    tls: TlsState
    keys: list[DkimKeyReport]
    texts: Mapping[str, str]
    start: float
    end: float
    """When reading began and ended by this machine's clock, in seconds since 1970."""


def read(
    run: Callable[[str], str],
    state: HostState,
    *,
    paths: Sequence[str],
    chain: str,
    key: str,
    instances: Sequence[str],
    more: Mapping[str, str],
) -> Reading:
    """Read a host with one call of `run`, which runs a shell command there and returns its output.

    `paths` are files and folders to look at besides those of `state`, `chain` and `key` are the
    certificate's and its key's files and `instances` are the Postfix instances. `more` are further
    commands by name, whose output `texts` then has.
    """
    every = (*(f.path for f in state.files), *(d.path for d in state.directories), *paths)
    facts: dict[str, tuple[FactBase[Any], dict[str, Any]]] = {
        "packages": (Packages(), {"packages": state.packages}),
        "services": (Services(), {"units": state.units}),
        "tree": (Tree(), {"tree": "host", "paths": tuple(dict.fromkeys(every))}),
        "tls": (Tls(), {"chain": chain, "key": key}),
        "keys": (DkimKeys(), {}),
    }
    commands = {name: _text(fact, given) for name, (fact, given) in facts.items()}
    start = time.time()
    output = run(_script({**commands, **_commands(instances), **more}))
    end = time.time()
    texts = _sections(output)
    values = {name: fact.process(texts[name].splitlines()) for name, (fact, _) in facts.items()}
    return Reading(texts=texts, start=start, end=end, **values)


_SSHD_FILES = (
    f"exceptions {paths.SSHD_CONFIG} $(ls {paths.SSHD_DROP_INS}/*.conf) | sed 's/^/exception /'"
)


def _commands(instances: Sequence[str]) -> dict[str, str]:
    commands = {
        "resolver": resolver.COMMAND,
        "space": capacity.SPACE,
        "clock": capacity.CLOCK,
        "failed units": "systemctl list-units --state=failed --plain --no-legend",
        "sockets": "ss -H -l -n -t -u -p",
        "local sockets": local_sockets.COMMAND,
        "addresses": "ip -o addr show scope global",
        "hostname": "hostname",
        "ufw": "LC_ALL=C ufw status verbose",
        "kernel": "iptables-save; ip6tables-save",
        "tables": "nft list tables",
        "egress": EGRESS,
        "sshd": f"sshd -T; {EXCEPTIONS}\n{_SSHD_FILES}",
        "planned kernel": _PLANNED_KERNEL,
        "ufw files": "; ".join(
            f"cmp -s /etc/ufw/{name} /usr/share/ufw/iptables/{name} || echo /etc/ufw/{name}"
            for name in _UFW_FILES
        ),
        "opendkim": f"for file in {paths.OPENDKIM}/*.conf; do opendkim -n -x $file; done",
        "postmulti": "postmulti -l",
        "signatures": signatures.COMMAND,
        "room": inbound.COMMAND,
        "certificate orders": f"cat {ORDER_STATE}",
        # Exit code 1: there is no policy, as for every name below "invalid" (RFC 6761).
        "tls policies": f"timeout 60 runuser -u postfix -- postmap -q verify.invalid {_POLICIES} || "
        '{ code=$?; [ "$code" = 1 ] || echo "postmap ends with $code"; }',
    }
    for instance in instances:
        folder = shlex.quote(paths.configuration(instance))
        commands[f"main.cf {instance}"] = f"postconf -c {folder} -n"
        commands[f"master.cf {instance}"] = f"postconf -c {folder} -M"
        queues = shlex.quote(paths.queue(instance))
        commands[f"hold {instance}"] = postfix.HELD.format(folder=queues)
        commands[f"names {instance}"] = (
            f"postconf -c {folder} -x -h myhostname smtp_helo_name smtp_bind_address smtp_bind_address6"
        )
    return commands


def _text(fact: FactBase[Any], given: Mapping[str, Any]) -> str:
    command = fact.command(**given)
    return command if isinstance(command, str) else str(command.get_raw_value())


def _script(commands: Mapping[str, str]) -> str:
    """Run all, each under its own heading, whether the others succeed or not."""
    return "\n".join(
        f"echo {shlex.quote(_MARK + name)}\n{{ {command}\n}} 2>&1 </dev/null"
        for name, command in {**commands, "end": "true"}.items()
    )


def _sections(output: str) -> dict[str, str]:
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in output.splitlines():
        name = line.removeprefix(_MARK)
        if name != line:
            section = sections.setdefault(name, [])
        else:
            section.append(line)
    return {name: "\n".join(lines) for name, lines in sections.items()}
