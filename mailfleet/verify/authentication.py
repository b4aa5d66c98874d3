"""Whether a host writes its own results into inbound mail; nothing of what it is shown is queued."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mailfleet.host.authentication import SOCKET, UNIT
from mailfleet.verify import milter_session

_LOOK = f"inbound mail comes in without: see 'systemctl status {UNIT}' on the host"


def command(host: str) -> str:
    """Prints what the filter of inbound mail answers to a message in the host's own name."""
    address = f"verify@{host}"
    ask = {
        "socket": SOCKET,
        "daemon_name": "",
        "sender": address,
        "recipient": address,
        "headers": [("From", f" {address}"), ("Subject", " A test")],
        "body": "A test.\r\n",
    }
    source = Path(milter_session.__file__).read_text(encoding="utf-8")
    return f"python3 -I -c {shlex.quote(source)} {shlex.quote(json.dumps([ask]))}"


def problems(output: str, host: str) -> list[str]:
    """What is wrong with the answer; `said` is what `command` printed."""
    try:
        (answer,) = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return [
            f"the results of SPF, DKIM and DMARC cannot be asked for ({output.strip()}); {_LOOK}"
        ]
    if answer["error"]:
        return [f"nobody judges SPF, DKIM and DMARC ({answer['error']}); {_LOOK}"]
    values = [value for name, value in answer["headers"] if name == "Authentication-Results"]
    if len(values) != 1 or not values[0].strip().startswith(f"{host};"):
        return [f"expected one Authentication-Results of {host}, found {values}; {_LOOK}"]
    missing = [method for method in ("spf", "dkim", "dmarc") if f"{method}=" not in values[0]]
    return (
        [f"Authentication-Results says nothing of {', '.join(missing)}; {_LOOK}"] if missing else []
    )
