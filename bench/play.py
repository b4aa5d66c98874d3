"""The Ansible play with the content of `deploys/mta.py`, made from the same HostStates.

Written to be fast by Ansible's own measures: files rendered beforehand and copied in one loop, one task
for all packages, no facts but those that such a play needs (the release), pipelining, a persistent
connection, a fork per host. It leaves out keys and certificates, so it does less than the deploy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import site
from mailfleet.deploy.target import target_of
from mailfleet.host.state import HostState
from mailfleet.model import Fleet
from roles import desired

_ATTRIBUTES = ("mode", "owner", "group")


@dataclass(frozen=True)
class Play:
    """A play on disk; `folder` holds everything that belongs to it."""

    folder: Path

    @property
    def control(self) -> Path:
        """Where Ansible keeps the sockets of its persistent connections."""
        return self.folder / "control"

    def command(self, inventory: str) -> list[str]:
        return site.in_internet(
            str(site.TOOLS / "ansible-playbook"),
            "-i",
            str(self.folder / f"{inventory}.json"),
            str(self.folder / "mta.json"),
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"ANSIBLE_CONFIG": str(self.folder / "ansible.cfg")}


def write(folder: Path, fleet: Fleet) -> Play:
    """Write the play, with the files of all hosts, into `folder`."""
    play = Play(folder)
    states = {host.name: desired(target_of(fleet, host.name, host.suite)) for host in fleet.hosts}
    (folder / "mta.json").write_text(json.dumps([_play(states)], indent=1))
    (folder / "host_vars").mkdir()
    for name, state in states.items():
        values = json.dumps(_values(state, folder / "files" / name), indent=1)
        (folder / "host_vars" / f"{name}.json").write_text(values)
    (folder / "ansible.cfg").write_text(_configuration(play, forks=max(5, len(states))))
    return play


def content(fleet: Fleet) -> str:
    """How much there is to do on each host, in words."""
    states = [desired(target_of(fleet, host.name, host.suite)) for host in fleet.hosts]
    counts = {
        what: max(len(getattr(state, what)) for state in states)
        for what in ("packages", "directories", "files", "services")
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def write_inventory(
    play: Play, name: str, via: Mapping[str, str], key: Path, known_hosts: Path
) -> None:
    """Write the inventory `name`, which reaches each host at the address that `via` says."""
    hosts = {
        host: {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={known_hosts} "
            f"-o HostKeyAlias={host} -o IdentitiesOnly=yes -o IdentityAgent=none",
        }
        for host, address in via.items()
    }
    text = json.dumps({"all": {"hosts": hosts}})
    (play.folder / f"{name}.json").write_text(text)


def _configuration(play: Play, forks: int) -> str:
    # ControlPersist=60s is Ansible's own default.
    return f"""\
[defaults]
forks = {forks}
host_key_checking = True
interpreter_python = /usr/bin/python3
[connection]
pipelining = True
[ssh_connection]
control_path_dir = {play.control}
"""


def _play(states: Mapping[str, HostState]) -> dict[str, Any]:
    """The same tasks for all hosts, so that they run side by side; what differs is in host_vars."""
    fields = {name: f"{{{{ item.{name} }}}}" for name in _ATTRIBUTES}
    actions = {action.name: action for state in states.values() for action in state.actions}
    services = {service.unit: service for state in states.values() for service in state.services}
    return {
        "name": "Mail hosts",
        "hosts": "all",
        "gather_facts": True,
        "gather_subset": ["!all", "!min", "distribution"],
        "tasks": [
            {
                "name": "Packages",
                "ansible.builtin.apt": {
                    "name": "{{ packages }}",
                    "install_recommends": False,
                    "update_cache": True,
                    "cache_valid_time": 86400,
                },
            },
            {
                "name": "Directories",
                "ansible.builtin.file": {"path": "{{ item.path }}", "state": "directory", **fields},
                "loop": "{{ directories }}",
            },
            {
                "name": "Files",
                "ansible.builtin.copy": {
                    "src": "{{ item.src }}",
                    "dest": "{{ item.path }}",
                    **fields,
                },
                "loop": "{{ files }}",
                "notify": "{{ item.notify }}",
            },
            {
                "name": "Services",
                "ansible.builtin.systemd_service": {
                    "name": "{{ item.name }}",
                    "enabled": True,
                    "state": "{{ item.state | default(omit) }}",
                },
                "loop": "{{ services }}",
            },
        ],
        "handlers": [
            *({"name": a.name, "ansible.builtin.shell": a.command} for a in actions.values()),
            *(
                {
                    "name": unit,
                    "ansible.builtin.systemd_service": {
                        "name": unit,
                        "state": f"{service.on_change}ed",
                    },
                }
                for unit, service in services.items()
            ),
        ],
    }


def _values(state: HostState, rendered: Path) -> dict[str, Any]:
    files = []
    for file in state.files:
        source = rendered / file.path.lstrip("/")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(file.data)
        files.append(
            {
                "src": str(source),
                "path": file.path,
                "mode": f"{file.mode:04o}",
                "owner": file.owner,
                "group": file.group,
                "notify": list(file.affects),
            }
        )
    return {
        "packages": list(state.packages),
        "directories": [
            {"path": d.path, "mode": f"{d.mode:04o}", "owner": d.owner, "group": d.group}
            for d in state.directories
        ],
        "files": files,
        "services": [
            {"name": s.unit, **({"state": "started"} if s.runs else {})} for s in state.services
        ],
    }
