"""An operator's laptop need not run Linux: whatever Linux alone has is asked for when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]

# The third parties come first: they have other ways on other systems, which cannot be had here.
PROGRAM = """
import ctypes, importlib, os, pathlib, pkgutil, select, signal, socket, sys
import cryptography, dns.asyncresolver, gevent, httpx, paramiko, pydantic, pyinfra.api, pytest
import requests, testinfra, hcloud, cloudflare, pyinfra_cli.cli

for module, names in {
    os: ("setns", "unshare", "pidfd_open", "memfd_create", "eventfd", "sched_getaffinity",
         "sched_setaffinity", "getrandom", "O_PATH", "O_TMPFILE", "O_DIRECT", "posix_fadvise",
         "getxattr", "setxattr"),
    select: ("epoll",),
    signal: ("pidfd_send_signal", "sigtimedwait", "sigwaitinfo"),
    socket: ("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "SO_BINDTODEVICE", "SO_PEERCRED"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"spwd", "ossaudiodev", "systemd", "prctl"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hidden())
load = ctypes.CDLL.__init__


def only_portable(self, name, *more, **options):
    if name and ".so" in str(name):
        raise OSError(f"{name}: no such library")
    load(self, name, *more, **options)


ctypes.CDLL.__init__ = only_portable
import mailfleet

count = 0
for module in pkgutil.walk_packages(mailfleet.__path__, "mailfleet."):
    parts = module.name.split(".")
    # Optional: octoDNS's driver. Data: what init writes, and the wheel's copies.
    if {"octodns", "skeleton", "_bundled"} & {*parts}:
        continue
    importlib.import_module(module.name)
    count += 1
import roles
print(count)
"""


def test_every_module_is_importable_without_what_linux_alone_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200
