"""A driver for the lab engine: `python -m mailfleet.lab up|down|status|ssh|restart [NAME]`."""

from __future__ import annotations

import json
import os
import sys
from ipaddress import ip_address

from mailfleet import lab

EXAMPLE = lab.LabSpec(
    machines=(
        lab.Machine(
            "mta1.eu.shop.test",
            "bookworm",
            "eu",
            tuple(
                ip_address(a)
                for a in (
                    *(f"198.51.100.{n}" for n in (10, 11, 12)),
                    *(f"2001:db8:e0::{n}" for n in (10, 11, 12)),
                )
            ),
        ),
        lab.Machine(
            "mta1.us.shop.test",
            "trixie",
            "us",
            tuple(
                ip_address(a)
                for a in (
                    *(f"203.0.113.{n}" for n in (10, 11, 12)),
                    *(f"2001:db8:50::{n}" for n in (10, 11, 12)),
                )
            ),
        ),
    ),
    zones=("shop.test", "news.test"),
)


def main(arguments: list[str]) -> int:
    command, name = arguments[0], arguments[1] if len(arguments) > 1 else lab.DEFAULT_NAME
    try:
        if command == "up":
            lab.up(name, EXAMPLE, print)
        elif command == "down":
            lab.down(name, print)
        elif command == "ssh":
            argv = lab.ssh_command(name, arguments[2])
            os.execvp(argv[0], [*argv, *arguments[3:]])
        elif command == "restart":
            lab.restart_host(name, arguments[2])
        else:
            print(json.dumps(lab.status(name).to_json(), indent=1))
    except lab.LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
