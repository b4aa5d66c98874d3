"""Every unit that a package of ours brings has been decided about: it runs, it is masked, or it may stay.

Debian's updates bring units that start by themselves; one that nobody decided about runs beside ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailfleet.cli.lab import spec_of
from mailfleet.deploy.target import target_of
from mailfleet.host.state import HostState
from mailfleet.lab import paths
from mailfleet.lab.recipes import recipe_for
from mailfleet.lab.spec import hosts_of
from roles import desired

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Init scripts too: systemd makes units of those that have none. Debian 12 has both folders of units.
LIST = r"""
for package in $(dpkg-query -W -f '${binary:Package}\n'); do
  dpkg -L "$package" | sed -nE \
    -e 's,^(/usr)?/lib/systemd/system/([^/]+\.(service|socket|timer|path|mount))$,\2,p' \
    -e 's,^/etc/init\.d/([^/]+)$,\1.service,p' | sed "s/^/${package%:*} /"
done
"""


# Its package comes with streams that are scanned for viruses alone, which the lab has none of.
ELSEWHERE = {"clamav-milter.service"}


def installed(folder: str) -> set[str]:
    """The packages of the image that a host of the lab started from."""
    status = (paths.IMAGES / folder / "var/lib/dpkg/status").read_text()
    return {
        line.removeprefix("Package: ")
        for line in status.splitlines()
        if line.startswith("Package: ")
    }


def units_brought(lab: DeployedLab, name: str) -> set[str]:
    """Units of the packages that the deploy has installed on a host."""
    (host,) = (h for h in hosts_of(spec_of(lab.fleet)) if h.name == name)
    image = installed(recipe_for(host).folder)
    rows = [line.split() for line in lab.on(name, LIST).splitlines()]
    return {unit for package, unit in rows if package not in image}


def state_of(lab: DeployedLab, name: str) -> HostState:
    (host,) = (h for h in hosts_of(spec_of(lab.fleet)) if h.name == name)
    return desired(target_of(lab.fleet, name, host.suite))


def decided(state: HostState) -> set[str]:
    return {*state.units, *state.as_packaged}


def test_no_unit_is_left_to_chance(deployed_lab: DeployedLab) -> None:
    brought = {name: units_brought(deployed_lab, name) for name in hosts(deployed_lab)}
    undecided = {
        name: sorted(units - decided(state_of(deployed_lab, name)))
        for name, units in brought.items()
    }
    assert undecided == {name: [] for name in brought}
    assert all(len(units) > 20 for units in brought.values())


def test_no_decision_is_about_a_unit_that_no_release_has(deployed_lab: DeployedLab) -> None:
    brought = {unit for name in hosts(deployed_lab) for unit in units_brought(deployed_lab, name)}
    for name in hosts(deployed_lab):
        state = state_of(deployed_lab, name)
        assert {*state.masked, *state.as_packaged} - ELSEWHERE <= brought


def test_a_unit_that_is_masked_stays_down_over_an_update(deployed_lab: DeployedLab) -> None:
    """The update that brought it to Debian 13: the package's scripts enable it once more."""
    unit = "clamav-freshclam-once.timer"
    for name in hosts(deployed_lab):
        deployed_lab.on(name, "dpkg-reconfigure -f noninteractive clamav-freshclam")
        state = deployed_lab.on(
            name, f"systemctl is-enabled {unit} || systemctl is-active {unit} || :"
        )
        assert state.split() == ["masked", "inactive"]


def test_verify_names_a_unit_that_is_no_longer_masked(deployed_lab: DeployedLab) -> None:
    host = deployed_lab.us
    deployed_lab.on(host, "systemctl unmask --quiet nftables.service")
    try:
        done = deployed_lab.mailfleet("verify", "inventories/lab", "--limit", host)
        assert done.returncode == 1
        assert f"{host}: nftables.service is not masked" in done.stdout
    finally:
        assert deployed_lab.pyinfra("deploys/mta.py").changes == 1
    assert deployed_lab.on(host, "systemctl is-enabled nftables.service || :").strip() == "masked"


def hosts(lab: DeployedLab) -> tuple[str, str]:
    return lab.eu, lab.us
