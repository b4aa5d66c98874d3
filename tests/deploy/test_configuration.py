"""A wrong inventory or domain file ends the run with exit code 2 before any connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.deploy.conftest import Project

pytestmark = pytest.mark.deploy


def test_example_addresses_of_real_hosts(project: Project) -> None:
    text = (project.folder / "inventories/prod").read_text()
    project.write("inventories/prod", text.replace("@fake/", ""))
    run = project.pyinfra("-y")
    assert run.code == 2
    for host, addresses in {
        "mta1.eu.shop.example": ("192.0.2.10", "2001:db8:e0::10", "192.0.2.11", "2001:db8:e0::11"),
        "mta1.us.shop.example": ("203.0.113.11", "203.0.113.12"),
    }.items():
        for address in addresses:
            assert f"host {host}: address {address} is reserved for documentation" in run.stderr
    assert "Connecting" not in run.output
    assert "Traceback" not in run.output


def test_all_mistakes_at_once(project: Project) -> None:
    domain = (project.folder / "dns/shop.example.toml").read_text()
    project.write("dns/shop.example.toml", f"ttl = 0\nspff = 1\n{domain}")
    text = (project.folder / "inventories/prod").read_text()
    project.write("inventories/prod", text.replace('"203.0.113.12"', '"203.0.113"'))
    run = project.pyinfra("-y")
    assert run.code == 2
    wrong = [line.split(": ")[:2] for line in run.stderr.splitlines() if "shop.example" in line]
    assert sorted(wrong) == [
        ["dns/shop.example.toml", "spff"],
        ["dns/shop.example.toml", "ttl"],
        ["inventories/prod", "host mta1.us.shop.example"],
    ]
    assert run.commands == ()
    assert "Connecting" not in run.output
    assert "Traceback" not in run.output


def test_no_domain_file(project: Project) -> None:
    (project.folder / "dns/shop.example.toml").unlink()
    run = project.pyinfra("-y")
    assert run.code == 2
    assert "inventories/prod: domains: dns/shop.example.toml does not exist" in run.stderr
    assert run.commands == ()
