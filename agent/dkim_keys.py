"""Report this host's DKIM keys: what they are, and whether every authoritative server shows them.

Prints one JSON list with an object for each /etc/opendkim/keys/DOMAIN/SELECTOR.private. Runs on a
mail host with Debian's own Python: python3-dnspython and openssl, nothing from pip.

A key counts as visible when each address of each authoritative server of its zone answers with it
(decision D2): a resolver's cache may hold it long before, or long after.
"""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

try:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.query
    import dns.rdatatype
    import dns.resolver

    HAS_DNS = True
except ImportError:  # not installed yet: nothing can be visible
    HAS_DNS = False

FOLDER = "/etc/opendkim/keys"
KEY_TABLES = "/etc/opendkim"  # one for each stream, NAME.key.table
TIMEOUT = 3.0  # seconds for one server; an unreachable one means "not visible"


def public_key(path: str) -> tuple[str | None, int | None]:
    """The base64 SubjectPublicKeyInfo of a private key and its size in bits, or two Nones."""
    result = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],
        capture_output=True,
        check=False,
    )
    if result.returncode:
        return None, None
    text = subprocess.run(
        ["openssl", "pkey", "-in", path, "-noout", "-text"],
        capture_output=True,
        check=False,
        text=True,
    ).stdout
    first = text.splitlines()[0] if text else ""
    bits = "".join(c for c in first.partition("(")[2].partition(" bit")[0] if c.isdigit())
    return base64.b64encode(result.stdout).decode(), int(bits or 0)


def servers(domain: str) -> list[str]:
    """Every address of every authoritative server of the zone that `domain` lies in."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = 3 * TIMEOUT
    zone = dns.resolver.zone_for_name(domain, resolver=resolver)
    found = []
    for record in resolver.resolve(zone, "NS"):
        for family in ("A", "AAAA"):
            try:
                found += [a.address for a in resolver.resolve(record.target, family)]
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
    return found


def shows(server: str, name: str, p: str) -> bool | None:
    """Whether one server answers with this key; None where it cannot be asked at all."""
    query = dns.message.make_query(name, "TXT", use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, server, timeout=TIMEOUT)
    except OSError:
        return None  # no route: a host without IPv6 cannot ask IPv6 addresses
    except dns.exception.DNSException:
        return False
    texts = [
        b"".join(record.strings).decode("ascii", "replace")
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for record in rrset
    ]
    tags = [
        # A key may be folded (RFC 6376 §3.6.1).
        tuple("".join(part.split()) for part in tag.split("=", 1))
        for text in texts
        for tag in text.split(";")
    ]
    return ("p", p) in tags


def visible(domain: str, selector: str, p: str) -> bool:
    """Whether all authoritative servers that can be asked, and at least one, show the key."""
    if not HAS_DNS:
        return False
    try:
        answers = [shows(s, f"{selector}._domainkey.{domain}", p) for s in servers(domain)]
    except (dns.exception.DNSException, OSError):
        return False
    asked = [answer for answer in answers if answer is not None]
    return bool(asked) and all(asked)


def signing() -> set[str]:
    """The private key files that the signers' key tables name."""
    found = set()
    for path in pathlib.Path(KEY_TABLES).glob("*key.table"):
        lines = path.read_text(encoding="ascii").splitlines()
        found |= {line.rsplit(":", 1)[-1].strip() for line in lines}
    return found


def report(path: pathlib.Path) -> dict[str, object]:
    domain, selector = path.parent.name, path.name.removesuffix(".private")
    p, bits = public_key(str(path))
    seen = p is not None and visible(domain, selector, p)
    return {
        "domain": domain,
        "selector": selector,
        "p": p,
        "bits": bits,
        "visible": seen,
        "owner": f"{path.stat().st_mode & 0o7777:o} {path.owner()} {path.group()}",
        "signing": str(path) in signing(),
    }


def main() -> None:
    keys = sorted(pathlib.Path(FOLDER).glob("*/*.private"))
    with ThreadPoolExecutor(max_workers=16) as pool:
        print(json.dumps(list(pool.map(report, keys))))


if __name__ == "__main__":
    main()
