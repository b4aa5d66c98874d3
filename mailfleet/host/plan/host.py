"""All that a deploy would change on one host, in its order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from mailfleet.host.observed import Observed, ServicesState, TreeState
from mailfleet.host.plan.certificate import CertificatePlan, plan_certificate
from mailfleet.host.plan.files import FilesPlan, plan_files, with_diffs
from mailfleet.host.plan.keys import KeysPlan, plan_keys, signing_files
from mailfleet.host.plan.packages import PackagesPlan, plan_packages
from mailfleet.host.plan.services import ServicesPlan, plan_services
from mailfleet.host.state import ConfigFile, HostState

HOST, DKIM = "host", "dkim"
"""The sets of files: what follows from the fleet alone, and the signers' tables."""


@dataclass(frozen=True)
class HostPlan:
    """What a deploy does to one host, in this order. It holds no secrets."""

    packages: PackagesPlan
    certificate: CertificatePlan
    keys: KeysPlan
    files: tuple[FilesPlan, ...]
    services: ServicesPlan

    @property
    def is_empty(self) -> bool:
        """Whether a deploy would change nothing."""
        return (
            self.packages.is_empty
            and self.certificate.is_empty
            and self.keys.is_empty
            and all(part.is_empty for part in self.files)
            and self.services.is_empty
        )

    @property
    def is_new(self) -> bool:
        """Whether nothing was deployed to the host yet."""
        return all(part.is_new for part in self.files)

    @property
    def comparable(self) -> tuple[str, ...]:
        """The paths whose text on the host has to be read for a diff."""
        return tuple(c.path for part in self.files for c in part.changes if c.is_comparable)


def plan_host(state: HostState, observed: Observed, now: dt.datetime) -> HostPlan:
    """Compare a host with what it shall be. Differences of files are left to `with_contents`."""
    keys = plan_keys(state.keys, state.signers, observed.keys)
    certificate = CertificatePlan()
    if state.certificate is not None:
        certificate = plan_certificate(state.certificate, observed.certificate, now)
    files = tuple(
        plan_files(name, files, state.directories if name == HOST else (), _tree(name, observed))
        for name, files in files_of(state, observed).items()
    )
    readers = state.certificate_readers if certificate.replace else ()
    affected = joined(
        dict.fromkeys(readers, ("the host's certificate",)),
        keys.affected,
        *(part.affected for part in files),
    )
    return HostPlan(
        plan_packages(
            state.packages, observed.packages, observed.orphans, observed.mail_servers
        ),
        certificate,
        keys,
        files,
        plan_services(
            state.services,
            state.actions,
            state.masked,
            observed.services,
            affected,
            files_wait=any(files_wait(state, part, observed.services) for part in files),
        ),
    )  # fmt: skip


def files_of(state: HostState, observed: Observed) -> dict[str, tuple[ConfigFile, ...]]:
    """All files by their set, in the order in which the sets are put in place."""
    return {DKIM: signing_files(state.keys, state.signers, observed.keys), HOST: state.files}


def with_contents(
    plan: HostPlan, state: HostState, observed: Observed, contents: Mapping[str, bytes]
) -> HostPlan:
    """The plan with the diffs of its files; `contents` has the texts of `comparable` paths."""
    files = files_of(state, observed)
    return replace(
        plan, files=tuple(with_diffs(part, files[part.tree], contents) for part in plan.files)
    )


def files_wait(state: HostState, plan: FilesPlan, observed: ServicesState) -> bool:
    """Whether files that differ wait until those are up whom a late service that runs asks."""
    late: Collection[str] = state.late_paths
    return any(
        change.path in late and any(name in observed.active for name in change.affects)
        for change in plan.changes
        if change.after is not None
    )


def joined(*parts: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The reasons of all parts by unit."""
    names: Iterable[str] = dict.fromkeys(name for part in parts for name in part)
    return {name: tuple(why for part in parts for why in part.get(name, ())) for name in names}


def _tree(name: str, observed: Observed) -> TreeState:
    return observed.trees.get(name, TreeState({}, frozenset()))
