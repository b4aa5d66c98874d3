"""ufw rules on a host that this deploy removes, because no role and no `open_ports` wants them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from mailfleet.host.paths import UFW_RULES, UFW_RULES_IPV6
from mailfleet.host.state import HostState

_MARK = "### tuple ### "
_FILES = (UFW_RULES, UFW_RULES_IPV6)
_ANYWHERE = ("0.0.0.0/0", "::/0")
_OWN = b"mailfleet: ".hex()


@dataclass(frozen=True)
class UfwRule:
    """A rule as ufw writes it into user.rules, with the names of its own columns."""

    action: str
    protocol: str
    dport: str
    dst: str
    sport: str
    src: str
    direction: str
    application: str = ""

    def __str__(self) -> str:
        to = f"port {self.dport}" if self.dport != "any" else "any port"
        to += f" of {self.dst}" if self.dst not in _ANYWHERE else ""
        source = self.src if self.src not in _ANYWHERE else "anywhere"
        source += f" port {self.sport}" if self.sport != "any" else ""
        protocol = f" {self.protocol}" if self.protocol != "any" else ""
        name = f" ({self.application})" if self.application else ""
        version = " over IPv6" if ":" in self.dst else ""
        return f"{self.action} {self.direction}{protocol} {to} from {source}{version}{name}"

    @property
    def effect(self) -> tuple[str, ...]:
        """What it does, whatever it is called."""
        return (
            *(self.action, self.protocol, self.dport, self.dst, self.sport, self.src),
            self.direction,
        )

    @property
    def is_open_port(self) -> bool:
        """Whether `open_ports` of the inventory can say the same."""
        return (
            self.action == "allow"
            and self.direction == "in"
            and self.protocol in ("tcp", "udp")
            and self.dport.isdigit()
            and self.dst in _ANYWHERE
            and self.sport == "any"
        )


def parse(text: str) -> UfwRule | None:
    """The rule of one line after "### tuple ###"; None for what has another form.

    Six columns, then the names of applications where there are any, the direction and the comment.
    """
    words = [word for word in text.split() if not word.startswith("comment=")]
    if len(words) not in (7, 9):
        return None
    # "-" stands for no application.
    application = next((unquote(word) for word in words[6:-1] if word != "-"), "")
    action, protocol, dport, dst, sport, src = words[:6]
    return UfwRule(action, protocol, dport, dst, sport, src, words[-1], application)


def foreign_rules(wanted: HostState, present: Iterable[str]) -> list[str]:
    """What to say of each rule that goes; nothing of those that an earlier deploy brought."""
    kept = {
        rule.effect
        for file in wanted.files
        if file.path in _FILES
        for line in file.content.splitlines()
        if line.startswith(_MARK) and (rule := parse(line.removeprefix(_MARK)))
    }
    texts = []
    for line in present:
        if f"comment={_OWN}" in line:
            continue
        rule = parse(line)
        if rule is None:
            texts.append(
                f"this deploy removes the ufw rule '{line}', which the inventory has no key for"
            )
        elif rule.effect not in kept:
            texts.append(f"this deploy removes the ufw rule '{rule}'; {_remedy(rule)}")
    return list(dict.fromkeys(texts))


def _remedy(rule: UfwRule) -> str:
    if not rule.is_open_port:
        return "the inventory has no key for a rule like this"
    parts = [f'"port": {rule.dport}']
    if rule.protocol != "tcp":
        parts.append(f'"protocol": "{rule.protocol}"')
    if rule.src not in _ANYWHERE:
        parts.append(f'"sources": ["{rule.src}"]')
    return f"to keep it, add open_ports=[{{{', '.join(parts)}}}] to the inventory"
