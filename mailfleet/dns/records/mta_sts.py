"""MTA-STS (RFC 8461): the policy that a web server serves, and the record that says it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mailfleet.model import MtaSts


def policy_text(policy: MtaSts, mx_hosts: Iterable[str]) -> str:
    """What `https://mta-sts.<domain>/.well-known/mta-sts.txt` answers (§3.2)."""
    names = [f"mx: {name}" for name in sorted(set(mx_hosts))] if policy.mode != "none" else []
    lines = ["version: STSv1", f"mode: {policy.mode}", *names, f"max_age: {policy.max_age}"]
    return "".join(f"{line}\r\n" for line in lines)


def record(text: str) -> str:
    """The TXT at `_mta-sts.<domain>` (§3.1): its id changes if and only if the policy does."""
    return f"v=STSv1; id={hashlib.sha256(text.encode()).hexdigest()[:20]}"
