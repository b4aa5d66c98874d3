"""docs/limits.md gives the figures that the model and the hosts' sizes have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailfleet.errors import ConfigurationError
from mailfleet.host.connections import concurrent, stream_processes
from mailfleet.host.scanning import Capacity
from mailfleet.model import Fleet
from mailfleet.project import inventory

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).resolve().parents[3] / "docs/limits.md").read_text("utf-8")


def fleet(folder: Path, streams: int, *, mta_sts: bool = False, shared: bool = False) -> Fleet:
    """One host with IPv4 only, and a domain with one stream for each tenant."""
    for name in ("inventories", "dns"):
        (folder / name).mkdir()
    addresses: dict[str, object] = {}
    for number in range(streams):
        shares = shared and number > 0
        addresses[f"s{number}"] = "s0" if shares else [f"193.0.7.{number + 10}"]
        text = '[dns]\nprovider = "manual"\n' + ('[mta_sts]\nmode = "testing"\n' * mta_sts)
        text += f'[streams.s{number}]\nlogins = ["l{number}"]\n'
        if shares:
            text += f"tls_port = {2000 + number}\nstarttls_port = {3000 + number}\n"
        (folder / f"dns/t{number}.example.toml").write_text(text)
    domains = [f"t{number}.example" for number in range(streams)]
    path = folder / "inventories/prod"
    path.write_text(
        "from mailfleet import inventory as _inventory\n"
        f"eu = [('mta1.t0.example', {{'addresses': ['193.0.6.1'], 'streams': {addresses!r}}})]\n"
        f"_inventory.declare(globals(), domains={domains!r})\n"
    )
    return inventory.read(path)


def said(row: str) -> int:
    """The number in the second column of the row that begins with `row`."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {row} |"))
    return int(re.findall(r"\d+", line.split("|")[2])[0])


@pytest.mark.parametrize(
    ("most", "mta_sts", "shared"),
    [
        (said("streams with addresses of their own"), False, False),
        (said("streams that share another stream's address") + 1, False, True),
        (19, True, False),
        (23 + 1, True, True),
    ],
)
def test_streams_of_a_host(tmp_path: Path, most: int, mta_sts: bool, shared: bool) -> None:
    for name in ("most", "more"):
        (tmp_path / name).mkdir()
    fleet(tmp_path / "most", most, mta_sts=mta_sts, shared=shared)
    with pytest.raises(ConfigurationError, match="100 is the most"):
        fleet(tmp_path / "more", most + 1, mta_sts=mta_sts, shared=shared)


def test_the_two_figures_with_mta_sts_are_on_the_page() -> None:
    rows = [line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| the same, in")]
    assert [int(re.findall(r"\d+", row)[0]) for row in rows] == [19, 23]


@pytest.mark.parametrize("streams", [1, 4, 8, 16, 30])
def test_connections(tmp_path: Path, streams: int) -> None:
    one = fleet(tmp_path, streams)
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {streams} |"))
    cells = [[int(n) for n in re.findall(r"\d+", cell)] for cell in line.split("|")[2:5]]
    for cell, memory in zip(cells, (4000, 8000, 16000), strict=True):
        capacity = Capacity(memory, 2)
        processes = stream_processes(one, one.hosts[0], one.streams[0], capacity)
        assert cell == [processes.served, concurrent(one.streams[0], processes)]
