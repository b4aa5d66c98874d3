"""`mailfleet verify` finds what it shall find: hosts are broken in many ways, and each is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from mailfleet.lab.addresses import CORE_ZONE, REVERSE_ZONES
from tests.lab.breakages import ROUNDS
from tests.lab.breakages import Breakage as Breakage

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab


def verified(on: DeployedLab) -> dict[str, dict[str, str]]:
    """What failed on each host, with its message, as `mailfleet verify --json` tells it."""
    done = on.mailfleet("verify", "inventories/lab", "--json")
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    found: dict[str, dict[str, str]] = {on.eu: {}, on.us: {}}
    for check in document["checks"]:
        if check["outcome"] != "passed":
            found[check["host"]][check["name"]] = check["message"]
    assert document["passed"] + sum(map(len, found.values())) == len(document["checks"])
    assert done.returncode == (1 if any(found.values()) else 0)
    return found


def change_dns(on: DeployedLab, name: str, rtype: str, value: str) -> None:
    """Change one record set by hand, past mailfleet."""
    files = lab.files(on.name)
    owner = dns.name.from_text(name)
    zones = [dns.name.from_text(zone) for zone in ("shop.test", CORE_ZONE, *REVERSE_ZONES)]
    message = dns.update.UpdateMessage(
        next(zone for zone in zones if owner.is_subdomain(zone)),
        keyring=dns.tsigkeyring.from_text({files.tsig.name: files.tsig.secret}),
        keyname=dns.name.from_text(files.tsig.name),
        keyalgorithm=files.tsig.algorithm,
    )
    message.delete(owner, rtype)
    if value:
        message.add(owner, 5, rtype, value)
    answer = namespaces.inside(
        namespaces.internet(on.name),
        lambda: dns.query.tcp(message, str(files.nameserver[0]), timeout=5),
    )
    assert answer.rcode() == dns.rcode.NOERROR


def test_a_deployed_fleet_passes(deployed_lab: DeployedLab) -> None:
    done = deployed_lab.mailfleet("verify", "inventories/lab")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on 2 hosts" in done.stdout
    assert " 0 failed" in done.stdout
    # It only looked.
    assert deployed_lab.pyinfra("deploys/mta.py").changes == 0


@pytest.mark.parametrize(
    "breakages", ROUNDS, ids=lambda pair: " and ".join(breakage.name for breakage in pair)
)
def test_what_is_broken_is_named(
    deployed_lab: DeployedLab, breakages: tuple[Breakage, Breakage]
) -> None:
    break_and_judge(deployed_lab, breakages)


def break_and_judge(deployed_lab: DeployedLab, breakages: tuple[Breakage, Breakage]) -> None:
    """Break eu and us, let verify look, repair them; it must name what is broken and no more."""
    broken = dict(zip((deployed_lab.eu, deployed_lab.us), breakages, strict=True))
    try:
        for host, breakage in broken.items():
            deployed_lab.on(host, breakage.command)
            if breakage.dns:
                change_dns(deployed_lab, *breakage.dns)
        found = verified(deployed_lab)
    finally:
        for host, breakage in broken.items():
            deployed_lab.on(host, breakage.undo)
            if breakage.dns:
                change_dns(deployed_lab, *breakage.dns[:2], "")
        deployed_lab.repair(dns=any(breakage.dns for breakage in breakages))
    for host, breakage in broken.items():
        assert sorted(found[host]) == sorted(breakage.found), found[host]
        for name, words in breakage.found.items():
            for one in (words,) if isinstance(words, str) else words:
                assert one in found[host][name]
            assert all(line.startswith(f"{host}: ") for line in found[host][name].splitlines())


def test_repaired_hosts_pass_again(deployed_lab: DeployedLab) -> None:
    assert verified(deployed_lab) == {deployed_lab.eu: {}, deployed_lab.us: {}}


def test_a_limit_chooses_hosts(deployed_lab: DeployedLab) -> None:
    done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", "us", "--json", "-v")
    assert {check["host"] for check in json.loads(done.stdout)["checks"]} == {deployed_lab.us}
    assert f"\nread {deployed_lab.us} (1 of 1)\n" in done.stderr
    assert f"mailfleet.remote.run: {deployed_lab.us}: exit code 0 after" in done.stderr


@pytest.mark.parametrize("limit", ["asia", "mta9.eu.shop.test", ""])
def test_no_host_at_all_is_wrong_usage(deployed_lab: DeployedLab, limit: str) -> None:
    done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", limit)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"no host is called or grouped {limit!r}" in done.stderr
