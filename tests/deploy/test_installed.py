"""The wheel, installed into another Python's empty environment and used by a user without rights."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
BESIDE = ("roles", "agent", "templates", "deploys")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of the source distribution, so that this is complete too."""
    folder = tmp_path_factory.mktemp("wheel")
    build(folder, "sdist")
    with_sources = folder / "sources"
    shutil.unpack_archive(next(folder.glob("*.tar.gz")), with_sources)
    build(folder, "wheel", next(with_sources.iterdir()))
    (path,) = folder.glob("*.whl")
    return path


def build(folder: Path, what: str, source: Path = ROOT) -> None:
    """What `python -m build` asks of the project's build backend."""
    program = f"import sys; from hatchling.build import *; build_{what}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=source, check=True)


def test_the_wheel_holds_every_folder_and_no_name_but_ours(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {re.sub(r"-.*", "", name.partition("/")[0]) for name in names} == {"mailfleet"}
    listed = subprocess.run(
        ["git", "ls-files", "mailfleet", *BESIDE, "dns/push.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    tracked = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    assert len(tracked) > 200
    wanted = {
        name if name.startswith("mailfleet/") else f"mailfleet/_bundled/{name}" for name in tracked
    }
    assert wanted - names == set()


def run_as_user(
    command: list[str], cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command's outcome, run by a user without rights where the tests are root."""
    user = NOBODY if os.getuid() == 0 else None
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", **variables},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@dataclass(frozen=True)
class Installed:
    """mailfleet in an environment of its own, with a folder that its user may write."""

    environment: Path
    home: Path

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> str:
        """What a command prints, as the user; AssertionError, with its words, where it fails."""
        done = run_as_user(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=cwd or self.home,
            PATH=f"{self.environment / 'bin'}:{os.defpath}",
            HOME=str(self.home),
            **variables,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """What `pipx install` of the wheel makes, with the versions of the lock file."""
    folder = tmp_path_factory.mktemp("installed")
    # Others than root can go there: pytest's own folders are closed.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    home = folder / "home"
    home.mkdir()
    if os.getuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    environment = folder / "environment"
    subprocess.run([another_python(), "-m", "venv", str(environment)], check=True)
    locked = re.findall(r"^[\w.-]+==[^ ]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    versions = folder / "versions"
    versions.write_text("\n".join(locked))
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--constraint", str(versions), str(wheel)], check=True)
    return Installed(environment, home)


def another_python() -> str:
    """A Python that makes environments and that the user may run, if there is one of another release."""
    beside = Path(sys.base_prefix).parent.glob("3.*/bin/python3")
    names = [shutil.which(f"python3.{minor}") for minor in (14, 13, 12, 11)]
    asked = "import sys, venv, ensurepip; print(sys.version.split()[0])"
    for python in filter(None, (*names, "/usr/bin/python3", *map(str, beside))):
        try:
            done = run_as_user([python, "-I", "-c", asked], cwd=Path("/"))
        except OSError:  # not for this user
            continue
        version = tuple(map(int, re.findall(r"\d+", done.stdout)[:3]))
        if done.returncode == 0 and (3, 11) <= version != sys.version_info[:3]:
            return python
    return sys.executable


def test_the_commands_work_where_the_wheel_is_installed(installed: Installed) -> None:
    folder = installed.home / "example"
    shutil.copytree(ROOT / "inventories", folder / "inventories")
    shutil.copytree(ROOT / "dns", folder / "dns")
    folder.chmod(0o777)
    assert installed.run("mailfleet", "--version").startswith("mailfleet, version ")
    assert "nothing wrong" in installed.run("mailfleet", "validate", "inventories/prod", cwd=folder)
    assert "mta1.eu" in installed.run("mailfleet", "render", "inventories/prod", "out", cwd=folder)
    assert "DMARC1" in installed.run("mailfleet", "dns", "records", "inventories/prod", cwd=folder)
