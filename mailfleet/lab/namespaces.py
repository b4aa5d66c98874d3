"""Network namespaces: making, entering and removing them.

A lab has one for its internet and one per host. Lab names hold no dot, so that `mailfleet-a.b` is
always host b of lab a and never a lab.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mailfleet.lab.commands import run
from mailfleet.lab.errors import LabError

_HANDLES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def internet(lab: str) -> str:
    """The namespace of a lab's internet: its router, and where operators stand."""
    return f"mailfleet-{lab}"


def of_host(lab: str, host: str) -> str:
    """The namespace of one host."""
    return f"{internet(lab)}.{host}"


def handle(namespace: str) -> Path:
    """The file that stands for a namespace."""
    return _HANDLES / namespace


def exists(namespace: str) -> bool:
    return handle(namespace).exists()


def of_lab(lab: str) -> tuple[str, ...]:
    """Every namespace of a lab that is there, the internet last."""
    if not _HANDLES.exists():
        return ()
    names = {path.name for path in _HANDLES.iterdir()}
    hosts = sorted(name for name in names if name.startswith(f"{internet(lab)}."))
    return (*hosts, *(name for name in (internet(lab),) if name in names))


def delete(*namespaces: str) -> None:
    """Remove namespaces; their network cards go with them once nothing runs in them."""
    for namespace in namespaces:
        run(["ip", "netns", "delete", namespace])


def join(namespace: str) -> None:
    """Move the calling thread, and threads that it starts later, into `namespace`."""
    try:
        descriptor = os.open(handle(namespace), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"network namespace {namespace} is not there") from error
    try:
        join_descriptor(descriptor)
    finally:
        os.close(descriptor)


def join_descriptor(descriptor: int) -> None:
    """Move the calling thread into the network namespace that `descriptor` is open on."""
    if sys.version_info >= (3, 12):
        os.setns(descriptor, _CLONE_NEWNET)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def joined(namespace: str) -> bool:
    """Whether the calling thread is in `namespace` already."""
    return os.path.samestat(os.stat("/proc/thread-self/ns/net"), os.stat(handle(namespace)))


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Do `work` within `namespace` and return what it returns; the caller stays where it is."""

    def enter_and_work() -> T:
        join(namespace)
        return work()

    # A namespace belongs to a thread: this one ends with the work, and takes it along.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(enter_and_work).result()
