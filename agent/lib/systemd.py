"""What a service tells systemd (sd_notify(3)): that it is ready, that it still lives, what code it runs."""

from __future__ import annotations

import asyncio
import os
import socket


def tell(state: bytes) -> None:
    """Send a state, e.g. `READY=1` or `STATUS=TEXT`; nothing happens where systemd does not listen."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        address = f"\0{path[1:]}" if path.startswith("@") else path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state, address)


async def live() -> None:
    """Say that the service is ready, and then that the loop that answers still turns (WatchdogSec=)."""
    tell(b"READY=1")
    period = int(os.environ.get("WATCHDOG_USEC", "0")) / 3_000_000
    while period:
        await asyncio.sleep(period)
        tell(b"WATCHDOG=1")
