"""Installing files: what differs, the archive, and the script that puts it in place."""

from __future__ import annotations

import base64
import getpass
import grp
import hashlib
import os
import stat
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from mailfleet.host.observed import FileState, TreeState
from mailfleet.host.paths import STATE
from mailfleet.host.plan.files import plan_files
from mailfleet.host.state import Check, ConfigFile, Directory, Service
from mailfleet.operations import files as operation
from mailfleet.operations.files import pack

pytestmark = pytest.mark.unit

FILE = ConfigFile("/etc/a", "text\n", 0o640, "root", "adm", ("a.service",))
FOLDER = Directory("/etc/d", 0o750, "root", "adm")
SUM = hashlib.sha256(b"text\n").hexdigest()


def tree(**paths: FileState) -> TreeState:
    return TreeState({f"/etc/{name}": state for name, state in paths.items()}, frozenset())


def differing(
    files: tuple[ConfigFile, ...], folders: tuple[Directory, ...], state: TreeState
) -> list[str]:
    return list(plan_files("host", files, folders, state).placed)


def test_nothing_differs_when_all_agrees() -> None:
    state = tree(
        a=FileState("regular file", 0o640, "root", "adm", SUM),
        d=FileState("directory", 0o750, "root", "adm"),
    )
    assert differing((FILE,), (FOLDER,), state) == []
    assert differing((FILE,), (FOLDER,), TreeState({}, frozenset())) == ["/etc/d", "/etc/a"]


@pytest.mark.parametrize(
    "now",
    [
        FileState("regular file", 0o644, "root", "adm", SUM),
        FileState("regular file", 0o640, "postfix", "adm", SUM),
        FileState("regular file", 0o640, "root", "root", SUM),
        FileState("regular file", 0o640, "root", "adm", "0" * 64),
        FileState("regular file", 0o640, "root", "adm"),
        FileState("symbolic link", 0o640, "root", "adm", SUM),
        FileState("directory", 0o640, "root", "adm"),
    ],
)
def test_each_way_in_which_a_file_differs(now: FileState) -> None:
    assert differing((FILE,), (), tree(a=now)) == ["/etc/a"]


@pytest.mark.parametrize(
    "now",
    [
        FileState("directory", 0o2750, "root", "adm"),
        FileState("directory", 0o750, "adm", "adm"),
        FileState("symbolic link", 0o750, "root", "adm"),
    ],
)
def test_each_way_in_which_a_folder_differs(now: FileState) -> None:
    assert differing((), (FOLDER,), tree(d=now)) == ["/etc/d"]


def test_the_archive_is_readable_by_its_owner_only() -> None:
    data = pack((FILE,), (FOLDER,), (Check("name", "true"),), ["/etc/old"], (Service("a.service"),))
    with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert {member.mode for member in members.values()} == {0o600}
        texts = {name: archive.extractfile(member) for name, member in members.items()}
        content = {name: file.read().decode() for name, file in texts.items() if file}
    assert content == {
        "files.list": "640\troot\tadm\ta.service\t/etc/a\n",
        "directories.list": "750\troot\tadm\t/etc/d\n",
        "stale.list": "/etc/old\n",
        "late.list": "",
        "late-units.list": "",
        "late-stale.list": "",
        "services.list": "a.service\n",
        "checks.sh": "# name\ntrue\n",
        "files/etc/a": "text\n",
    }


class Host:
    """A folder that stands for a host's root: the real script, with the paths moved there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.user, self.group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name

    def file(self, name: str, text: str, *affects: str, mode: int = 0o644) -> ConfigFile:
        return ConfigFile(f"{self.root}/{name}", text, mode, self.user, self.group, affects)

    def folder(self, name: str, mode: int = 0o750) -> Directory:
        return Directory(f"{self.root}/{name}", mode, self.user, self.group)

    def install(
        self,
        *files: ConfigFile,
        folders: tuple[Directory, ...] = (),
        check: str = "true",
        stale: tuple[str, ...] = (),
        services: tuple[Service, ...] = (),
        late: tuple[str, ...] = (),
    ) -> subprocess.CompletedProcess[str]:
        paths = [f"{self.root}/{name}" for name in stale]
        waiting = frozenset(f"{self.root}/{name}" for name in late)
        checks = (Check("check", check),)
        data = pack(files, folders, checks, paths, services, waiting)
        return self.run(operation._INSTALL, base64.b64encode(data).decode())

    def run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A script of the operation, with a systemctl that knows a unit for each file in `active`."""
        tools = self.root / "bin"
        tools.mkdir(exist_ok=True)
        (tools / "systemctl").write_text(
            f'#!/bin/sh\necho "$*" >> {self.root}/systemctl.log\n[ "$1" = is-active ] || exit 0\n'
            f'shift 2\nfor unit; do [ ! -e {self.root}/active/"$unit" ] || exit 0; done\nexit 3\n'
        )
        (tools / "systemctl").chmod(0o755)
        return subprocess.run(
            ["sh", "-c", script.replace(STATE, str(self.state)), "install", "host"],
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def activate(self, *units: str) -> None:
        """Let these units be active."""
        (self.root / "active").mkdir(exist_ok=True)
        for unit in units:
            (self.root / "active" / unit).touch()

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    @property
    def pending(self) -> set[str]:
        return {path.name for path in (self.state / "pending").iterdir()}

    def mode(self, name: str) -> int:
        return stat.S_IMODE((self.root / name).stat().st_mode)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_files_folders_marks_and_manifest(host: Host) -> None:
    secret = host.file("etc/b c", "two\n", mode=0o600)
    done = host.install(
        host.file("etc/a", "one\n", "a.service", "reload"),
        secret,
        folders=(host.folder("var/spool"),),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (host.root / "etc/a").read_text() == "one\n"
    assert (host.root / "etc/b c").read_text() == "two\n"
    assert (host.mode("etc/a"), host.mode("etc/b c")) == (0o644, 0o600)
    assert host.mode("var/spool") == 0o750
    assert host.pending == {"a.service", "reload"}
    manifest = (host.state / "files/host").read_text().splitlines()
    assert manifest == [f"{host.root}/etc/a", f"{host.root}/etc/b c"]
    # Neither the staging folder nor a half-written file stays behind.
    assert sorted(path.name for path in host.state.iterdir()) == ["files", "lock", "pending"]
    assert sorted(path.name for path in (host.root / "etc").iterdir()) == ["a", "b c"]


def test_what_is_right_already_is_not_touched(host: Host) -> None:
    one, two = host.file("a", "one\n", "a.service"), host.file("b", "two\n", "b.service")
    host.install(one, two)
    for mark in (host.state / "pending").iterdir():
        mark.unlink()
    before = (host.root / "a").stat().st_ino
    assert host.install(one, host.file("b", "three\n", "b.service")).returncode == 0
    assert (host.root / "a").stat().st_ino == before
    assert host.pending == {"b.service"}


def test_a_mode_alone_is_mended(host: Host) -> None:
    one = host.file("a", "one\n", "a.service")
    host.install(one, folders=(host.folder("d"),))
    (host.root / "a").chmod(0o666)
    (host.root / "d").chmod(0o2777)
    host.install(one, folders=(host.folder("d"),))
    assert host.mode("a") == 0o644
    assert host.mode("d") == 0o750


def test_a_failed_check_changes_nothing(host: Host) -> None:
    host.install(host.file("a", "one\n"))
    check = f'echo "$STAGE{host.root}/a: line 3: bad value"; exit 3'
    done = host.install(host.file("a", "two\n", "a.service"), check=check, stale=("a",))
    assert done.returncode != 0
    # The file is named as it will be, not by its place in the staging folder.
    assert done.stderr == f"{host.root}/a: line 3: bad value\n"
    assert (host.root / "a").read_text() == "one\n"
    assert host.pending == set()
    assert sorted(path.name for path in host.state.iterdir()) == ["files", "lock", "pending"]


def test_a_check_sees_the_new_files(host: Host) -> None:
    check = f'grep -q two "$STAGE{host.root}/a" && [ -d "$CHECK/etc" ]'
    assert host.install(host.file("a", "two\n"), check=check).returncode == 0
    assert host.install(host.file("a", "one\n"), check=check).returncode != 0


def test_every_line_of_the_checks_counts(host: Host) -> None:
    assert host.install(host.file("a", "x\n"), check="false\ntrue").returncode != 0


def test_stale_files_are_removed(host: Host) -> None:
    host.install(host.file("a", "one\n"), host.file("old one", "two\n"))
    assert host.install(host.file("a", "one\n"), stale=("old one", "gone")).returncode == 0
    assert not (host.root / "old one").exists()
    assert (host.state / "files/host").read_text() == f"{host.root}/a\n"


LATE = Service("mail@a.service", late=True)


def test_what_a_late_service_reads_waits_while_it_runs(host: Host) -> None:
    main, other = host.file("mail/main", "old\n", LATE.unit), host.file("b", "old\n", "b.service")
    host.install(main, other, host.file("mail/table", "t\n", LATE.unit), late=("mail/main",))
    # Nothing ran yet, so nothing had to wait.
    assert host.read("mail/main") == "old\n"
    assert not (host.state / "late").exists()
    host.activate(LATE.unit)
    main, other = host.file("mail/main", "new\n", LATE.unit), host.file("b", "new\n", "b.service")
    done = host.install(
        main, other, services=(LATE,), late=("mail/main",), stale=("mail/table", "c")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (host.read("mail/main"), host.read("b")) == ("old\n", "new\n")
    # What it reads until then stays as well.
    assert host.read("mail/table") == "t\n"
    assert host.pending == {"files", LATE.unit, "b.service"}
    assert "table" in (host.state / "files/host").read_text()
    assert host.run(operation.GO_LIVE).returncode == 0
    assert (host.read("mail/main"), host.read("mail/table")) == ("new\n", "t\n")
    assert host.run(operation.FINISH).returncode == 0
    assert not (host.root / "mail/table").exists()
    assert (host.state / "files/host").read_text() == f"{host.root}/mail/main\n{host.root}/b\n"
    assert list((host.state / "late").iterdir()) == []
    # Its own file from before was not an operator's.
    assert not (host.state / "replaced").exists()


def test_files_of_a_run_that_was_given_up_never_go_live(host: Host) -> None:
    host.activate(LATE.unit)
    good = host.file("main", "good\n", LATE.unit)
    host.install(good)
    host.install(host.file("main", "bad\n", LATE.unit), services=(LATE,), late=("main",))
    assert "files" in host.pending
    # The operator goes back: the files are as they should be, and the fact Tree says "unfinished".
    assert host.install(good, services=(LATE,), late=("main",)).returncode == 0
    assert "files" not in host.pending
    for script in (operation.GO_LIVE, operation.FINISH):
        assert host.run(script).returncode == 0
    assert host.read("main") == "good\n"


def test_only_what_is_like_a_late_service_ends_before_the_files(host: Host) -> None:
    host.install(host.file("a", "one\n"))
    (host.state / "services").write_text("mail@a.service\nmail@b.service\nsigner.service\n")
    assert host.install(host.file("a", "two\n"), services=(LATE,)).returncode == 0
    log = host.read("systemctl.log").splitlines()
    assert [line for line in log if "disable" in line] == ["disable --quiet --now mail@b.service"]


def test_a_link_is_replaced_and_its_target_left_alone(host: Host) -> None:
    (host.root / "target").write_text("theirs\n")
    (host.root / "a").symlink_to("target")
    host.install(host.file("a", "ours\n"))
    assert not (host.root / "a").is_symlink()
    assert (host.root / "a").read_text() == "ours\n"
    assert (host.root / "target").read_text() == "theirs\n"


def test_a_broken_archive_changes_nothing(host: Host) -> None:
    done = host.run(operation._INSTALL, "AAAA")
    assert done.returncode != 0
    assert [path.name for path in host.state.iterdir() if path.name.startswith("stage")] == []
