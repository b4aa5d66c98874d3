"""Preparing, starting and stopping the hosts of a lab."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from mailfleet.lab import cgroups, images, namespaces
from mailfleet.lab.commands import run
from mailfleet.lab.hostfiles import HostFile
from mailfleet.lab.paths import HostPaths, LabPaths, private_directory
from mailfleet.lab.recipes import recipe_for
from mailfleet.lab.spec import Host

_NSPAWN_STATE = Path("/run/systemd/nspawn")
_SHUTDOWN_SECONDS = 15


def group_of(lab: str, host: str) -> str:
    """The cgroup of a host."""
    return f"{lab}/{host}"


def running(lab: str, host: Host) -> bool:
    """Whether the host's processes run; it may still be booting."""
    return cgroups.populated(group_of(lab, host.name))


def prepare(lab: LabPaths, host: Host, files: Iterable[HostFile]) -> None:
    """Give the host a pristine file tree: its image, with `files` on top."""
    paths = _new_tree(lab, host)
    mount(paths, host)
    for file in files:
        _write(paths.root, file)


def prepare_like(lab: LabPaths, host: Host, origin: LabPaths) -> None:
    """Give the host the file tree of `origin`'s host of this name, which is only read from now on."""
    paths = _new_tree(lab, host)
    paths.origin.symlink_to(origin.host(host.name).base)
    mount(paths, host)


def _new_tree(lab: LabPaths, host: Host) -> HostPaths:
    paths = lab.host(host.name)
    private_directory(paths.base)
    for folder in (paths.upper, paths.work, paths.root):
        folder.mkdir()
        # A host sees the mode of `upper` as that of its root folder.
        folder.chmod(0o755)
    return paths


def mount(paths: HostPaths, host: Host) -> None:
    """Lay the host's own files over its image, unless they are."""
    if os.path.ismount(paths.root):
        return
    below = [*_origins(paths), images.folder_of(recipe_for(host))]
    lower = ":".join(map(str, below))
    layers = f"lowerdir={lower},upperdir={paths.upper},workdir={paths.work}"
    if host.kind != "mta":
        # What the lab itself runs need not outlive a power cut, and must not wait for a busy disk.
        # A mail host does wait: that a mail is on disk before it is accepted is part of its work.
        layers += ",volatile"
        shutil.rmtree(paths.work, ignore_errors=True)
        paths.work.mkdir()
    run(
        ["mount", "-t", "overlay", "-o", layers, "mailfleet", str(paths.root)],
        hint="the lab's folder must be on a file system that overlayfs can write to, such as ext4",
    )


def start(lab: LabPaths, host: Host) -> None:
    """Boot a host that is prepared and connected; `readiness` tells when it answers."""
    machine = namespaces.of_host(lab.name, host.name)
    cgroups.spawn(
        group_of(lab.name, host.name),
        [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={lab.host(host.name).root}",
            f"--machine={machine}",
            f"--hostname={host.fqdn}",
            f"--network-namespace-path={namespaces.handle(machine)}",
            "--capability=CAP_NET_ADMIN",
            # No service manager is asked: the cgroup is ours, and there may be no manager.
            "--register=no",
            "--keep-unit",
            "--console=read-only",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
        ],
        log=lab.log(host.name),
        environment={
            # A firewall needs /proc/sys/net, and Debian 13 refuses the first cgroup generation.
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        },
    )


def shut_down(lab: LabPaths, host: Host) -> None:
    """Shut a host down in order, by force if it takes too long; its files stay."""
    group = group_of(lab.name, host.name)
    if cgroups.populated(group):
        cgroups.terminate(group)
        cgroups.await_empty(group, _SHUTDOWN_SECONDS)
    cgroups.kill(group)
    _forget(namespaces.of_host(lab.name, host.name), lab.host(host.name).root)


def remove_trees(lab: LabPaths) -> None:
    """Unmount and delete the files of all hosts; nothing of them may be running."""
    for host in _folders(lab.hosts):
        _forget(namespaces.of_host(lab.name, host.name), HostPaths(host).root)
    unmount_trees(lab)
    if lab.hosts.exists():
        shutil.rmtree(lab.hosts)


def unmount_trees(lab: LabPaths) -> None:
    """Unmount the files of all hosts; nothing of them may be running."""
    for mounted in sorted(_mounts_below(lab.hosts), reverse=True):
        run(["umount", mounted])


def _origins(paths: HostPaths) -> list[Path]:
    """The files of the host that this one started from, and so on; the uppermost first."""
    if not paths.origin.exists():
        return []
    origin = HostPaths(paths.origin.readlink())
    return [origin.upper, *_origins(origin)]


def _forget(machine: str, root: Path) -> None:
    """Remove what a killed systemd-nspawn leaves behind; `root` must still be mounted."""
    for folder in ("propagate", "unix-export"):
        if (_NSPAWN_STATE / folder / machine).exists():
            shutil.rmtree(_NSPAWN_STATE / folder / machine)
    if root.exists():
        tree = root.stat()
        (_NSPAWN_STATE / f"locks/inode-{tree.st_dev}:{tree.st_ino}").unlink(missing_ok=True)


def _write(root: Path, file: HostFile) -> None:
    path = root / file.path
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(file.folder_mode)
    path.unlink(missing_ok=True)
    if file.target:
        path.symlink_to(file.target)
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as output:
        output.write(file.text)
    path.chmod(file.mode)


def _mounts_below(folder: Path) -> list[str]:
    prefix = f"{folder}/"
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    unescaped = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), point) for point in points]
    return [point for point in unescaped if point.startswith(prefix)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.exists() else []
