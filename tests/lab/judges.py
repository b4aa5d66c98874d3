"""What programs that others wrote say of a lab's DNS: checkdmarc, pyspf and dkimpy.

Run as a program of its own, since entering the lab moves a whole process: one JSON object comes in
on standard input, one goes out. Keys: `lab`; `domains` and `parked` for checkdmarc; `spf`, pairs of
address and domain for pyspf; `mail`, files for dkimpy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import checkdmarc
import dkim
import dns.resolver
import spf

from mailfleet.lab import enter, files


def main() -> None:
    """Answer one question."""
    asked = json.load(sys.stdin)
    enter(asked["lab"])
    servers = [str(address) for address in files(asked["lab"]).resolvers]
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = list(servers)
    dns.resolver.default_resolver = resolver  # pyspf asks it
    json.dump(
        {
            "checkdmarc": [
                *_checkdmarc(asked["domains"], servers, parked=False),
                *_checkdmarc(asked["parked"], servers, parked=True),
            ],
            "spf": [
                spf.check2(i=address, s=f"postmaster@{domain}", h=domain)[0]
                for address, domain in asked["spf"]
            ],
            "dkim": [_verified(Path(path), resolver) for path in asked["mail"]],
        },
        sys.stdout,
        default=str,
    )


def _checkdmarc(domains: list[str], servers: list[str], *, parked: bool) -> list[Any]:
    if not domains:
        return []
    found = checkdmarc.check_domains(domains, nameservers=servers, skip_tls=True, parked=parked)
    return found if isinstance(found, list) else [found]


def _verified(path: Path, resolver: dns.resolver.Resolver) -> bool:
    def text(name: bytes, timeout: int = 5) -> bytes | None:
        try:
            [answer] = resolver.resolve(name.decode(), "TXT")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        return b"".join(answer.strings)

    content = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return bool(dkim.verify(content, dnsfunc=text))


main()
