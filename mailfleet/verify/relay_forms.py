"""Every form in which a client can ask a server to pass mail on that is not meant for it.

The first sixteen are those of nmap's smtp-open-relay, in its order; the others add the server's own
mail domain, IPv6 literals, several routes and foreign address literals. Pure.
"""

from __future__ import annotations

from mailfleet.model import Address

# Nobody's mail: RFC 2606 reserves the names.
_USER, _DOMAIN = "relay-test", "example.net"
ELSEWHERE = f"{_USER}@{_DOMAIN}"
STRANGER = "stranger@example.org"


def literal(address: Address) -> str:
    """An address as the domain of a mail address (RFC 5321 §4.1.3)."""
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def relay_attempts(name: str, address: Address, own: str) -> list[tuple[str, str]]:
    """Reverse and forward path of each attempt, with their angle brackets.

    `name` and `address` are the server's, `own` is a domain that it takes mail for.
    """
    here = literal(address)
    stranger = f"<{STRANGER}>"
    return [
        ("<>", f"<{ELSEWHERE}>"),
        (f"<antispam@{_DOMAIN}>", f"<{ELSEWHERE}>"),
        (f"<antispam@{name}>", f"<{ELSEWHERE}>"),
        (f"<antispam@{here}>", f"<{ELSEWHERE}>"),
        (f"<antispam@{here}>", f"<{_USER}%{_DOMAIN}@{here}>"),
        (f"<antispam@{here}>", f"<{_USER}%{_DOMAIN}@{name}>"),
        (f"<antispam@{here}>", f'<"{ELSEWHERE}">'),
        (f"<antispam@{here}>", f'<"{_USER}%{_DOMAIN}">'),
        (f"<antispam@{here}>", f"<{ELSEWHERE}@{here}>"),
        (f"<antispam@{here}>", f'<"{ELSEWHERE}"@{here}>'),
        (f"<antispam@{here}>", f"<{ELSEWHERE}@{name}>"),
        (f"<antispam@{here}>", f"<@{here}:{ELSEWHERE}>"),
        (f"<antispam@{here}>", f"<@{name}:{ELSEWHERE}>"),
        (f"<antispam@{here}>", f"<{_DOMAIN}!{_USER}>"),
        (f"<antispam@{here}>", f"<{_DOMAIN}!{_USER}@{here}>"),
        (f"<antispam@{here}>", f"<{_DOMAIN}!{_USER}@{name}>"),
        (stranger, f"<{ELSEWHERE}>"),
        (f"<root@{name}>", f"<{ELSEWHERE}>"),
        (f"<someone@{own}>", f"<{ELSEWHERE}>"),
        (stranger, f"<{_USER}%{_DOMAIN}@{own}>"),
        (stranger, f"<{_USER}%{_DOMAIN}%{name}@{own}>"),
        (stranger, f"<{ELSEWHERE}@{own}>"),
        (stranger, f'<"{ELSEWHERE}"@{own}>'),
        (stranger, f"<{_DOMAIN}!{_USER}@{own}>"),
        (stranger, f"<@{own}:{ELSEWHERE}>"),
        (stranger, f"<@{own},@{name}:{ELSEWHERE}>"),
        (stranger, f'<"{_USER}"@{_DOMAIN}>'),
        (stranger, f"<{_USER}@[192.0.2.99]>"),
        (stranger, f"<{_USER}@[IPv6:2001:db8::99]>"),
        (stranger, ELSEWHERE),
    ]
