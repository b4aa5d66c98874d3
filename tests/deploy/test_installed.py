"""The wheel, installed into another Python's empty environment and used by a user without rights."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

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
def installed(wheel: Path) -> Iterator[Installed]:
    """What `pipx install` of the wheel makes, with the versions of the lock file."""
    # pytest's own folders are closed to others than root.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield installed_in(Path(folder), wheel)


def installed_in(folder: Path, wheel: Path) -> Installed:
    """A fresh environment in `folder`, and an empty home beside it."""
    home = folder / "home"
    home.mkdir()
    if os.getuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    environment = folder / "environment"
    subprocess.run([another_python(), "-m", "venv", str(environment)], check=True)
    locked = re.findall(r"^[\w.-]+==[^ ]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    versions = folder / "versions"
    versions.write_text("\n".join(locked))
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet"]
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


PUBLIC = ("--host", "eu=193.0.6.139,2001:67c:2e8::1", "--host", "us=193.0.7.10")
LOGIN = f"$6$salt${'hash/1':x<86}"


@pytest.fixture(scope="module")
def repository(installed: Installed) -> Path:
    """What `mailfleet init` makes of an empty folder."""
    said = installed.run(
        "mailfleet", "init", "mail", "--domain", "shop.example", "--provider", "hetzner", *PUBLIC
    )
    assert "mail: " in said
    return installed.home / "mail"


def test_a_repository_can_be_reviewed(installed: Installed, repository: Path) -> None:
    assert installed.run("mailfleet", "--version").startswith("mailfleet, version ")
    said = installed.run("mailfleet", "validate", "inventories/prod", cwd=repository)
    assert "nothing wrong" in said
    assert "MAILFLEET_HETZNER" in said
    said = installed.run("mailfleet", "render", "inventories/prod", "rendered", cwd=repository)
    assert "rendered/mta1.us.shop.example: " in said
    main = repository / "rendered/mta1.eu.shop.example/etc/postfix/main.cf"
    assert "myhostname = mta1.eu.shop.example" in main.read_text()
    said = installed.run("mailfleet", "dns", "records", "inventories/prod", cwd=repository)
    assert "_dmarc.shop.example." in said


def test_a_template_of_the_users_own_is_taken(installed: Installed, repository: Path) -> None:
    own = repository / "templates/etc/hosts.j2"
    own.parent.mkdir()
    own.write_text('{% include "mailfleet/etc/hosts.j2" %}\n192.0.2.1 ours\n')
    try:
        said = installed.run("mailfleet", "render", "inventories/prod", "own", cwd=repository)
    finally:
        own.unlink()
    assert said.count("/etc/hosts is made from templates/etc/hosts.j2") == 2
    assert (repository / "own/mta1.us.shop.example/etc/hosts").read_text().endswith(" ours\n")


@pytest.fixture
def fake_hosts(repository: Path) -> Iterator[None]:
    """The repository with pyinfra's own stand-ins for its hosts."""
    path = repository / "inventories/fake"
    text = (repository / "inventories/prod").read_text()
    path.write_text(text.replace('"mta1.', '"@fake/mta1.'))
    yield
    path.unlink()


@pytest.mark.parametrize(
    "command",
    [
        ("mailfleet", "deploy", "inventories/fake"),
        ("pyinfra", "inventories/fake", "deploys/mta.py", "-y"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("fake_hosts")
def test_hosts_are_deployed(
    installed: Installed, repository: Path, command: tuple[str, ...]
) -> None:
    installed.run(
        *command,
        cwd=repository,
        MAILFLEET_LOGIN_APP=LOGIN,
        PYINFRA_FAKE_DELAY="0",
        PYINFRA_FAKE_DELAY_JITTER="0",
    )


def test_the_workflow_shows_what_an_edit_does(installed: Installed, repository: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@shop.example")
        done = run_as_user(["git", *identity, *arguments], cwd=repository, HOME=str(installed.home))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Before")
    base = git("rev-parse", "HEAD")
    domain = repository / "dns/shop.example.toml"
    domain.write_text(domain.read_text().replace('policy = "none"', 'policy = "reject"'))
    git("commit", "--quiet", "--all", "--message", "After")
    workflow = yaml.safe_load((repository / ".github/workflows/review.yml").read_text())
    scripts = [step["run"] for step in workflow["jobs"]["review"]["steps"] if "run" in step]
    assert len(scripts) == 2
    temporary = installed.home / "runner"
    temporary.mkdir(exist_ok=True)
    temporary.chmod(0o777)
    for script in scripts:
        # Nothing is installed anew: what pip would install is what is installed.
        done = run_as_user(
            ["bash", "-eo", "pipefail", "-c", f"pip() {{ :; }}\n{script}"],
            cwd=repository,
            PATH=f"{installed.environment / 'bin'}:{os.defpath}",
            HOME=str(installed.home),
            BASE=base,
            RUNNER_TEMP=str(temporary),
            GITHUB_STEP_SUMMARY=str(temporary / "summary"),
        )
        assert done.returncode == 0, done.stderr
    changed = [
        line
        for line in (temporary / "summary").read_text().splitlines()
        if re.match(r"[-+][^-+]", line)
    ]
    assert len(changed) == 2
    assert "p=none" in changed[0]
    assert "p=reject" in changed[1]
