"""Building and keeping the images that hosts boot from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailfleet.lab import cgroups, paths
from mailfleet.lab.errors import LabError
from mailfleet.lab.mirror import Mirrors
from mailfleet.lab.recipes import Recipe

Report = Callable[[str], None]

_AT_ONCE = 2
"""Images built side by side: one keeps a core busy unpacking while the other downloads."""


def folder_of(recipe: Recipe) -> Path:
    """Where the image of `recipe` is, or will be."""
    return paths.IMAGES / recipe.folder


def ensure(recipes: Iterable[Recipe], mirrors: Callable[[], Mirrors], report: Report) -> None:
    """Build what is missing of the images; `mirrors` is asked only if something is."""
    missing = [recipe for recipe in dict.fromkeys(recipes) if not folder_of(recipe).exists()]
    if not missing:
        return
    archive = mirrors()
    paths.shared_directory(paths.IMAGES)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        builds = [pool.submit(_build_once, recipe, archive, report) for recipe in missing]
        for build in builds:
            build.result()


def _build_once(recipe: Recipe, mirrors: Mirrors, report: Report) -> None:
    """Build an image unless someone else just did."""
    target = folder_of(recipe)
    with paths.locked(paths.IMAGES / f".{recipe.folder}.lock"):
        if target.exists():
            return
        label = f"{recipe.kind} ({recipe.suite})"
        report(f"building the image {label}: once per machine, about half a minute")
        part = paths.IMAGES / f".{recipe.folder}.part"
        group = f".image-{recipe.folder}"
        # A builder that was killed may have left its tool at work.
        cgroups.kill(group)
        shutil.rmtree(part, ignore_errors=True)
        try:
            _build(recipe, mirrors, part, group)
        except BaseException:
            cgroups.kill(group)
            shutil.rmtree(part, ignore_errors=True)
            raise
        cgroups.kill(group)
        part.rename(target)
        report(f"built the image {label}")


def _build(recipe: Recipe, mirrors: Mirrors, part: Path, group: str) -> None:
    settings = [*mirrors.settings, ("Acquire::Languages", "none")]
    if mirrors.proxy:
        settings.append(("Acquire::http::Proxy", mirrors.proxy))
    log = paths.IMAGES / f".{recipe.folder}.log"
    log.unlink(missing_ok=True)
    code = cgroups.run_inside(
        group,
        [
            "mmdebstrap",
            "--mode=root",
            "--format=directory",
            "--variant=minbase",
            f"--include={','.join(recipe.packages)}",
            *(f'--aptopt={name} "{value}"' for name, value in settings),
            recipe.suite,
            str(part),
            *mirrors.source_lines(recipe.suite),
        ],
        log=log,
        environment={"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if code != 0:
        raise LabError(
            f"building the image {recipe.kind} ({recipe.suite}) failed: {_last_words(log)}",
            f"all that was said is in {log}",
        )
    _finish(recipe, part)
    log.unlink()


def _finish(recipe: Recipe, root: Path) -> None:
    """Take out what makes a host this one and no other; `hosts.prepare` puts it in."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id"):
        (root / name).unlink(missing_ok=True)
    units = root / "etc/systemd/system"
    for unit in recipe.masked:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    wrong = [line for line in lines if line.startswith(("E:", "W:", "Err:"))]
    return "; ".join((wrong or lines)[-3:])
