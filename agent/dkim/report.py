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
    import dns.name
    import dns.query
    import dns.rcode
    import dns.rdatatype
    import dns.resolver
    import dns.rrset

    HAS_DNS = True
except ImportError:  # not installed yet: nothing can be visible
    HAS_DNS = False

FOLDER = "/etc/opendkim/keys"
KEY_TABLES = "/etc/opendkim"  # one for each stream, NAME.key.table
TIMEOUT = 3.0  # seconds for one server
MOST_ALIASES = 8
NO_ROUTE = "no route to it from here"

Seen = tuple["bool | None", str]
"""Whether a key is in DNS, None where that is not known; and what is missing, or why not."""


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


def servers(name: str) -> list[str]:
    """Every address of every authoritative server of the zone that `name` lies in."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = 3 * TIMEOUT
    zone = dns.resolver.zone_for_name(name, resolver=resolver)
    found = []
    for record in resolver.resolve(zone, "NS"):
        for family in ("A", "AAAA"):
            try:
                found += [a.address for a in resolver.resolve(record.target, family)]
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
    return found


def shows(server: str, name: str, p: str, depth: int = MOST_ALIASES) -> Seen:
    """Whether one server answers with this key, also through aliases and delegations."""
    query = dns.message.make_query(name, "TXT", use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        answer, _ = dns.query.udp_with_fallback(query, server, timeout=TIMEOUT)
    except OSError:
        return None, NO_ROUTE  # a host without IPv6 cannot ask IPv6 addresses
    except dns.exception.DNSException as error:
        return None, f"name server {server} does not answer: {str(error) or type(error).__name__}"
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None, f"name server {server} answers {dns.rcode.to_text(answer.rcode())}"
    end = _end(answer)
    found = {rrset.rdtype: rrset for rrset in answer.answer if rrset.name == end}
    texts = found.get(dns.rdatatype.TXT)
    if texts is not None:
        return (True, "") if _holds(texts, p) else (False, f"name server {server} has another")
    # A server may leave the rest to whoever serves the target of an alias, or a zone below.
    moved = end != query.question[0].name
    authority = {rrset.rdtype for rrset in answer.authority}
    ends_here = dns.rdatatype.SOA in authority or answer.rcode() == dns.rcode.NXDOMAIN
    if not ends_here and (moved or dns.rdatatype.NS in authority) and depth:
        return visible(end.to_text(), p, depth - 1)
    return False, f"name server {server} has none"


def visible(name: str, p: str, depth: int = MOST_ALIASES) -> Seen:
    """Whether all authoritative servers that can be asked, and at least one, show the key.

    None, with the reason, where that is not known: a server that is silent, or a resolver that
    cannot find the servers, says nothing of the key.
    """
    if not HAS_DNS:
        return None, "python3-dnspython is not installed yet"
    try:
        answers = [shows(server, name, p, depth) for server in servers(name)]
    except dns.exception.Timeout:
        return None, "the resolver of this host does not answer"
    except (dns.exception.DNSException, OSError) as error:
        return None, f"its name servers cannot be found: {str(error) or type(error).__name__}"
    asked = [answer for answer in answers if answer[1] != NO_ROUTE]
    if not asked:
        return None, "none of its name servers can be reached"
    for state in (False, None):
        for seen in asked:
            if seen[0] is state:
                return seen
    return True, ""


def _end(answer: dns.message.Message) -> dns.name.Name:
    """The name at which the aliases of an answer end."""
    name = answer.question[0].name
    aliases = {r.name: r[0].target for r in answer.answer if r.rdtype == dns.rdatatype.CNAME}
    for _ in range(len(aliases)):
        name = aliases.get(name, name)
    return name


def _holds(texts: dns.rrset.RRset, p: str) -> bool:
    """Whether one of the records has this key (RFC 6376 §3.6.1: a key may be folded)."""
    contents = (b"".join(record.strings).decode("ascii", "replace") for record in texts)
    tags = (tag for content in contents for tag in content.split(";"))
    return ["p", p] in (["".join(part.split()) for part in tag.split("=", 1)] for tag in tags)


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
    name = f"{selector}._domainkey.{domain}"
    seen, why = visible(name, p) if p is not None else (False, "")
    return {
        "domain": domain,
        "selector": selector,
        "p": p,
        "bits": bits,
        "visible": seen,
        "why": why,
        "owner": f"{path.stat().st_mode & 0o7777:o} {path.owner()} {path.group()}",
        "signing": str(path) in signing(),
    }


def main() -> None:
    keys = sorted(pathlib.Path(FOLDER).glob("*/*.private"))
    with ThreadPoolExecutor(max_workers=16) as pool:
        print(json.dumps(list(pool.map(report, keys))))


if __name__ == "__main__":
    main()
