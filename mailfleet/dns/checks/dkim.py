"""DKIM keys: what the world sees is the public half of what the host signs with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from functools import partial

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.dkim import DkimPublicKey
from mailfleet.dns.records.tags import tags
from mailfleet.dns.rrset import octets

# RFC 8301 §3.2: verifiers must not accept less than 1024, and signers should use 2048.
_LEAST_BITS = 2048


def missing_keys(scope: Scope) -> Iterator[Finding]:
    """The hosts whose keys are unknown or missing."""
    deploy = f"run: pyinfra {scope.fleet.source} deploys/mta.py"
    for host in scope.fleet.hosts:
        if host.name not in scope.keys:
            remedy = f"try: pyinfra {scope.fleet.source} --limit {host.name} exec -- uptime"
            yield Finding(host.name, "could not be read: its DKIM records are unchecked", remedy)
            continue
        have = {(key.domain, key.selector) for key in scope.keys[host.name].keys}
        for name in scope.fleet.signing_domains(host):
            if scope.includes(name) and (name, scope.fleet.selector(host, name)) not in have:
                yield Finding(host.name, f"has no DKIM key for {name}", deploy)


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each key of a host and each resolver."""
    revoked = {
        (name, selector)
        for domain in scope.fleet.domains
        for name in domain.from_domains
        for selector in domain.dkim.revoked
    }
    for host_keys in scope.keys.values():
        for key in host_keys.keys:
            if scope.includes(key.domain) and (key.domain, key.selector) not in revoked:
                for resolver in scope.resolvers:
                    yield partial(_published, scope, key, resolver)


def _published(scope: Scope, key: DkimPublicKey, resolver: Resolver) -> Iterator[Finding]:
    values = resolver(key.name, "TXT")
    if fault := key_fault(values, key.p):
        yield Finding(key.name, f"{fault} at {resolver.label}", scope.push)


def key_fault(values: Sequence[str], p: str) -> str:
    """Why a verifier could not use these TXT values with the key of `p` (RFC 6376 §3.6.1)."""
    if len(values) != 1:
        return "has no key" if not values else f"has {len(values)} TXT values instead of one"
    record = tags(octets(values[0]))
    if record.get("v", "DKIM1") != "DKIM1" or record.get("k", "rsa") != "rsa":
        return "is no RSA key record"
    shown = "".join(record.get("p", "").split())
    if not shown:
        return "is revoked"
    bits = _bits(shown)
    if bits is None:
        return "holds a p= that is no RSA key"
    if bits < _LEAST_BITS:
        return f"is a key of {bits} bits, and providers ask for {_LEAST_BITS}"
    return "" if shown == p else "is not the public half of the host's private key"


def _bits(p: str) -> int | None:
    try:
        key = load_der_public_key(base64.b64decode(p, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return key.key_size if isinstance(key, RSAPublicKey) else None
