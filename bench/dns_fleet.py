"""`mailfleet dns plan` of a fleet of 2,000 hosts: the processor time of the whole command.

The addresses are those of documentation, so no host and no resolver is asked, and the provider is a
stand-in on loopback: what is left is our own work.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import site
from bench.figures import Figure, Target
from tests.fakes.hetzner.server import TOKEN, HetznerFake

_HOSTS = 2000
_REGIONS = 10
_ZONE = "shop.example"

_INVENTORY = """
from mailfleet import inventory as _inventory


def _host(number):
    name = f"mta{{number}}.r{{number % {regions}}}.shop.example"
    own, sending = f"2001:db8:1::{{number:x}}", f"2001:db8:2::{{number:x}}"
    return name, {{"addresses": [own], "streams": {{"orders": [sending]}}}}


for _region in range({regions}):
    globals()[f"r{{_region}}"] = [_host(n) for n in range(_region, {hosts}, {regions})]
_inventory.declare(globals(), domains=["shop.example"], reverse_dns={{"provider": "hetzner"}})
"""
_DOMAIN = """
[dns]
provider = "hetzner"

[streams.orders]
logins = ["app"]
"""


def figures() -> Iterator[Figure]:
    """The fleet, the same again as a control, and half of it."""
    target = Target("at most", 20)
    whole = _seconds(_HOSTS)
    yield Figure(f"dns plan of {_HOSTS} hosts: our time", whole, "s", target)
    yield Figure("the same again, the control", _seconds(_HOSTS), "s")
    half = _seconds(_HOSTS // 2)
    yield Figure(f"dns plan of {_HOSTS // 2} hosts: our time", half, "s")
    yield Figure(f"{_HOSTS} hosts / {_HOSTS // 2} hosts", whole / half, "x", Target("at most", 2.5))


def _seconds(hosts: int) -> float:
    """Processor time of one `mailfleet dns plan`, which has to plan every record."""
    site.say(f"dns: plan of {hosts} hosts")
    fake = HetznerFake(validate=False)
    try:
        fake.project.add_zone(_ZONE)
        with tempfile.TemporaryDirectory() as folder:
            return _planned(Path(folder), hosts, fake.endpoint)
    finally:
        fake.close()


def _planned(folder: Path, hosts: int, endpoint: str) -> float:
    for name, text in (
        ("inventories/prod", _INVENTORY.format(hosts=hosts, regions=_REGIONS)),
        (f"dns/{_ZONE}.toml", _DOMAIN),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    secrets = {"MAILFLEET_HETZNER": TOKEN, "MAILFLEET_HETZNER_ENDPOINT": endpoint}
    command = [str(Path(sys.executable).with_name("mailfleet")), "dns", "plan", "inventories/prod"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.stdout.count(" AAAA ") < 2 * hosts:
        raise RuntimeError(f"the plan lacks hosts: {done.stderr[-2000:]}")
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
