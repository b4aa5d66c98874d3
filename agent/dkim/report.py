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
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    from agent.lib.authoritative import (
        MOST_ALIASES,
        NoRouteError,
        UnansweredError,
        ask,
        end_of_aliases,
        is_elsewhere,
        servers,
    )

    HAS_DNS = True
except ImportError:  # not installed yet: nothing can be visible
    HAS_DNS = False

FOLDER = "/etc/opendkim/keys"
KEY_TABLES = "/etc/opendkim"  # one for each stream, NAME.key.table
TIMEOUT = 3.0  # seconds for one server

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


def shows(server: str, name: str, p: str, depth: int) -> Seen:
    """Whether one server answers with this key, also through aliases and delegations.

    NoRouteError where this host cannot reach it.
    """
    try:
        answer = ask(server, name, "TXT", TIMEOUT)
    except NoRouteError:
        raise
    except UnansweredError as error:
        return None, str(error)
    end = end_of_aliases(answer)
    records = {rrset.rdtype: rrset for rrset in answer.answer if rrset.name == end}
    texts = records.get(dns.rdatatype.TXT)
    if texts is not None:
        return (True, "") if _holds(texts, p) else (False, f"name server {server} has another")
    if is_elsewhere(answer) and depth:
        return visible(end.to_text(), p, depth - 1)
    return False, f"name server {server} has none"


def visible(name: str, p: str, depth: int | None = None) -> Seen:
    """Whether all authoritative servers that can be asked, and at least one, show the key.

    None, with the reason, where that is not known: a server that is silent, or a resolver that
    cannot find the servers, says nothing of the key, and a key that is not known to be visible
    must not sign. `depth`: how many aliases and delegations more are followed.
    """
    if not HAS_DNS:
        return None, "python3-dnspython is not installed yet"
    answers: list[Seen] = []
    try:
        addresses, unknown = servers(name, 3 * TIMEOUT)
    except UnansweredError as error:
        return None, str(error)
    for server in addresses:
        try:
            answers.append(shows(server, name, p, MOST_ALIASES if depth is None else depth))
        except NoRouteError:
            continue
    if not answers and not unknown:
        return None, "none of its name servers can be reached"
    answers += [(None, reason) for reason in unknown]
    for state in (False, None):
        for seen in answers:
            if seen[0] is state:
                return seen
    return True, ""


def _holds(texts: dns.rrset.RRset, p: str) -> bool:
    """Whether one of the records has this key (RFC 6376 §3.6.1: a key may be folded)."""
    contents = (b"".join(record.strings).decode("ascii", "replace") for record in texts)
    tags = (tag for content in contents for tag in content.split(";"))
    return ["p", p] in (["".join(part.split()) for part in tag.split("=", 1)] for tag in tags)


def signing() -> set[str]:
    """The private key files that the signers' key tables name."""
    files = set()
    for path in pathlib.Path(KEY_TABLES).glob("*key.table"):
        lines = path.read_text(encoding="ascii").splitlines()
        files |= {line.rsplit(":", 1)[-1].strip() for line in lines}
    return files


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
