"""Who keeps apt from working."""

from __future__ import annotations

import pytest

from mailfleet.facts.package_locks import PackageLocks

pytestmark = pytest.mark.unit


def test_a_process_is_named_once_with_its_first_lock() -> None:
    (holder,) = PackageLocks().process(
        [
            "lock|/var/lib/dpkg/lock-frontend|711|apt-daily-upgrade.service|S|/usr/bin/unattended-upgrade",
            "lock|/var/lib/dpkg/lock|711|apt-daily-upgrade.service|S|/usr/bin/unattended-upgrade",
        ]
    )
    assert str(holder) == (
        "/usr/bin/unattended-upgrade (pid 711, apt-daily-upgrade.service) holds "
        "/var/lib/dpkg/lock-frontend"
    )
    assert not holder.stopped
    assert "systemctl status apt-daily-upgrade.service" in holder.remedy


def test_a_stopped_process_never_ends_by_itself() -> None:
    (holder,) = PackageLocks().process(["lock|/var/lib/dpkg/lock|7|session-1.scope|T|dpkg -i x|y"])
    assert holder.stopped
    assert holder.command == "dpkg -i x|y"
    assert "kill -CONT 7" in holder.remedy


def test_first_boot_work_is_a_holder_without_a_process() -> None:
    found = PackageLocks().process(["unit|cloud-final.service", "unit|cloud-init"])
    assert [str(holder) for holder in found] == [
        "cloud-final.service is still at work",
        "cloud-init is still at work",
    ]
    assert {holder.remedy for holder in found} == {"see 'cloud-init status --long'"}


def test_nobody_is_nobody() -> None:
    assert PackageLocks().process([]) == []
