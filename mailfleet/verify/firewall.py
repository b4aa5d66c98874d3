"""The firewall: ufw's own view, and what the kernel really does, for IPv4 and IPv6."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from mailfleet.host import published
from mailfleet.host.state import Listener
from mailfleet.model import Address, Network

_ROW = re.compile(
    r"(?P<to>\S.*?)\s+(?P<action>(?:ALLOW|DENY|REJECT|LIMIT)(?: IN| OUT| FWD)?)\s+"
    r"(?P<source>\S.*?)(?:\s+#.*)?"
)
# What iptables-nft calls its tables, which iptables-save does show.
_COMPATIBLE = ("filter", "nat", "mangle", "raw", "security")
_POLICY = "Default: deny (incoming), allow (outgoing),"


def status_problems(listeners: Sequence[Listener], status: str) -> list[str]:
    """What `ufw status verbose` says beside the plan."""
    lines = status.splitlines()
    if "Status: active" not in lines:
        return [f"ufw is not active: {lines[0] if lines else 'it says nothing'}"]
    problems = []
    if not any(line.startswith(_POLICY) for line in lines):
        default = next((line for line in lines if line.startswith("Default:")), "no default")
        problems.append(f"ufw has '{default}', expected '{_POLICY} ...'")
    rows = [
        (match["to"], match["action"].removesuffix(" IN"), match["source"])
        for line in lines[lines.index("") if "" in lines else 0 :]
        if (match := _ROW.fullmatch(line.strip()))
    ]
    planned = [
        (
            f"{to} (v6)" if version == 6 and not address and not source else to,
            "ALLOW",
            _plain(source) or anywhere,
        )
        for version, anywhere in ((4, "Anywhere"), (6, "Anywhere (v6)"))
        for protocol, port, address, source in openings(listeners, version)
        for to in [f"{address} {port}/{protocol}" if address else f"{port}/{protocol}"]
    ]
    problems += [f"ufw lacks the rule: {_rule(row)}" for row in planned if row not in rows]
    problems += [
        f"ufw has a rule that is not planned: {_rule(r)}" for r in rows if r not in planned
    ]
    if not problems and len(rows) != len(planned):
        problems.append(f"ufw has {len(rows)} rules, expected {len(planned)}")
    return problems


def chain_problems(listeners: Sequence[Listener], version: int, saved: str) -> list[str]:
    """The kernel's ufw-user-input (ufw6-user-input) chain beside the plan, order included.

    `saved` is what `iptables-save` and `ip6tables-save` print.
    """
    chain, bits = ("ufw-user-input", 32) if version == 4 else ("ufw6-user-input", 128)
    planned = [
        f"-A {chain}{f' -s {source}' if source else ''}{f' -d {address}/{bits}' if address else ''} "
        f"-p {protocol} -m {protocol} --dport {port} -j ACCEPT"
        for protocol, port, address, source in openings(listeners, version)
    ]
    if not any(line.startswith(f":{chain} ") for line in saved.splitlines()):
        return [f"the kernel has no chain {chain}: IPv{version} is not filtered as planned"]
    rules = [line for line in saved.splitlines() if line.startswith(f"-A {chain} ")]
    return _differences(planned, rules)


def kernel_problems(planned: str, saved: str) -> list[str]:
    """All the kernel's rules beside those that the host's own rule files would load."""
    if "*filter" not in planned:
        last = planned.strip().splitlines()[-1:] or ["is ufw enabled?"]
        return [f"ufw's rule files load nothing to compare with: {last[0]}"]
    wanted, loaded = _normal(planned), _normal(saved)
    engines = [rule for rule in loaded if rule not in wanted and published.is_engines(rule)]
    return [
        *_differences(wanted, [rule for rule in loaded if rule not in engines]),
        *container_problems(engines),
    ]


def container_problems(rules: Sequence[str]) -> list[str]:
    """What the `rules` of a container engine open; each of them would say nothing to its reader."""
    if not rules:
        return []
    ports = published.published(rule.removeprefix("nat: ") for rule in rules)
    named = [f"{port.text}, past ufw: {published.REMEDY}" for port in dict.fromkeys(ports)]
    return [
        *named,
        f"a container engine has {len(rules)} rules of its own in the kernel, past ufw, by which containers "
        f'also reach port 25 of others: {published.REMEDY}; \'"iptables": false\' and \'"ip6tables": '
        "false' in /etc/docker/daemon.json and a reboot keep Docker from making them",
    ]


def table_problems(tables: str) -> list[str]:
    """Tables of nftables that neither ufw nor fail2ban has; `tables` is what `nft list tables` prints.

    iptables-save shows nothing of them.
    """
    known = {"inet f2b-table", *(f"{ip} {name}" for ip in ("ip", "ip6") for name in _COMPATIBLE)}
    loaded = [
        line.removeprefix("table ") for line in tables.splitlines() if line.startswith("table ")
    ]
    return [
        f"the kernel has a table that is not planned: {table}; 'nft list table {table}' shows what it does: "
        "take it out of what loads it, or list its ports as open_ports in the inventory"
        for table in loaded
        if table not in known
    ]


# Addresses that nobody has (RFC 5737, RFC 3849): whether a packet may leave is decided before it does.
_NOWHERE = {4: "192.0.2.25", 6: "2001:db8:c0::25"}
_TRY_OUT = f"""\
import socket
for address in {tuple(_NOWHERE.values())}:
    try:
        socket.create_connection((address, 25), 3).close()
        print(address, "connected")
    except OSError as error:
        print(address, error.strerror or error)
"""
EGRESS = "; ".join(
    f"echo user {user}; runuser -u {user} -- python3 -c {shlex.quote(_TRY_OUT)}"
    for user in ("root", "nobody")
)
"""The command that tries to leave, as root and as a service's user would."""


def egress_problems(addresses: Iterable[Address], output: str) -> list[str]:
    """Attempts to reach port 25 that the host itself did not refuse; `said` is of `EGRESS`."""
    versions = sorted({address.version for address in addresses})
    answers: dict[tuple[str, str], str] = {}
    user = ""
    for line in output.splitlines():
        first, _, rest = line.partition(" ")
        if first == "user":
            user = rest
        else:
            answers[user, first] = rest
    problems = []
    for user in ("root", "nobody"):
        for version in versions:
            answer = answers.get((user, _NOWHERE[version]), "nothing")
            if answer != "Connection refused":
                problems.append(
                    f"port 25 out over IPv{version} as {user}: {answer}, expected a refusal by the "
                    "host itself: only Postfix may send"
                )
    return problems


def openings(
    listeners: Sequence[Listener], version: int
) -> Sequence[tuple[str, int, Address | None, Network | None]]:
    """Protocol, port, address (None: any) and source (None: everybody) of all that is open."""
    rules = [
        (listener.protocol, listener.port, address, source)
        for listener in listeners
        if listener.public
        for address in (listener.addresses or (None,))
        for source in (listener.sources or (None,))
        if all(part is None or part.version == version for part in (address, source))
    ]
    return list(dict.fromkeys(rules))


def _plain(source: Network | None) -> str:
    """As ufw shows it: a single address without its prefix length."""
    if source is None:
        return ""
    return str(source.network_address if source.num_addresses == 1 else source)


def _rule(row: tuple[str, str, str]) -> str:
    return f"{row[0]} {row[1].lower()} from {row[2]}"


def _normal(saved: str) -> list[str]:
    """Rules and policies with their table, without comments and counters."""
    lines, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = "" if line == "*filter" else f"{line[1:]}: "
        # Other tables are empty unless somebody fills them; their policies are not worth a word.
        if line.startswith("-A ") or (line.startswith(":") and not table):
            lines.append(table + re.sub(r" \[\d+:\d+\]$", "", line))
    return lines


def _differences(planned: Sequence[str], loaded: Sequence[str]) -> list[str]:
    problems = [f"the kernel lacks the rule: {rule}" for rule in planned if rule not in loaded]
    problems += [
        f"the kernel has a rule that is not planned: {rule}"
        for rule in loaded
        if rule not in planned
    ]
    if not problems and list(planned) != list(loaded):
        problems.append("the kernel has the planned rules in another order or more than once")
    return problems
