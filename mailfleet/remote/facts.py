"""Reading facts from the hosts of an inventory, outside of a pyinfra run.

pyinfra's own command does it in a process of its own: only there gevent's patches come before
everything else, without which it reads one host after the other, and only there its inventory,
group data and configuration mean exactly what they mean in `pyinfra INVENTORY deploys/mta.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mailfleet.errors import MailfleetError
from mailfleet.model.names import domain_name
from mailfleet.remote.process import run


def read_facts(inventory_path: str | Path, fact: str) -> dict[str, Any]:
    """The value of `fact` on each host that could be reached, by host name.

    `fact` is a dotted name like "mailfleet.facts.dkim.DkimKeys". Raises MailfleetError where no
    host could be reached; which hosts are missing, the caller sees.
    """
    command = [sys.executable, "-m", "pyinfra", "-y", "--json", str(inventory_path), "fact", fact]
    done = run(command, capture_output=True)
    found = _values(done.stdout)
    if not found:
        raise MailfleetError(
            f"no host of {inventory_path} could be read: {_last_words(done.stderr)}",
            f"try `pyinfra {inventory_path} exec -- uptime`",
        )
    return found


def _values(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    # One fact was asked for: {"mailfleet.facts...": {host: value}}, or {} where it failed.
    for values in document.values():
        return {_bare(host): value for host, value in values.items()}
    return {}


def _bare(host: str) -> str:
    """A host's name without pyinfra's connector, e.g. "@fake/"."""
    return domain_name(host.rpartition("/")[2])


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "annot" in line or "ould not" in line]
    return "; ".join((telling or lines or ["pyinfra gave no reason"])[-3:])
