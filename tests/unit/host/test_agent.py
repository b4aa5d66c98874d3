"""The archive of the hosts' programs: the same bytes, whole programs, and who starts again when."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mailfleet.host import agent, resources

pytestmark = pytest.mark.unit


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the agent's sources, in another order and of another time, that may be changed."""
    folder = tmp_path / "agent"
    for name, text in reversed(agent.sources().items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1, 1))
    monkeypatch.setattr(resources, "AGENT", folder)
    yield folder
    forget()


def forget() -> None:
    for cached in (agent.sources, agent.archive, agent.status):
        cached.cache_clear()


def fresh() -> bytes:
    forget()
    return agent.archive()


def test_the_same_sources_are_the_same_bytes(copy: Path) -> None:
    before = agent.archive()
    assert fresh() == before
    (copy / "lib/systemd.py").write_text("")
    assert fresh() != before


def test_no_library_or_python_can_pack_it_otherwise() -> None:
    with zipfile.ZipFile(io.BytesIO(agent.archive())) as file:
        entries = file.infolist()
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    names = [entry.filename for entry in entries]
    assert names == ["__main__.py", *sorted(names[1:])]
    assert not [name for name in names if not name.endswith(".py")]


def test_a_program_starts_again_when_its_own_code_or_what_it_shares_changes(copy: Path) -> None:
    def statuses() -> dict[str, str]:
        forget()
        return {name: agent.status(name) for name in ("message", "tls_policy")}

    before = statuses()
    (copy / "message/mime.py").write_text("# changed\n")
    after = statuses()
    assert after["message"] != before["message"]
    assert after["tls_policy"] == before["tls_policy"]
    for shared in ("lib/systemd.py", "run.py"):
        before = statuses()
        (copy / shared).write_text("# changed\n")
        assert not set(statuses().items()) & set(before.items())


def run(
    folder: Path, *arguments: str, archive: bytes = b"", environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    file = folder / "agent.pyz"
    file.write_bytes(archive or agent.archive())
    # Not isolated (-I), for here the packages of Debian are in a virtual environment.
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_from_anywhere(tmp_path: Path) -> None:
    assert (run(tmp_path, "check").returncode, run(tmp_path, "certificate").returncode) == (0, 2)


def notified(folder: Path, archive: bytes) -> str:
    """What systemd hears of a program that ends at once, for it lacks its configuration."""
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.setblocking(False)
        run(folder, "message", "/nonexistent", archive=archive,
            environment={"NOTIFY_SOCKET": str(path)})  # fmt: skip
        heard = systemd.recv(4096).decode()
    path.unlink()
    return heard


def test_a_program_says_itself_which_code_it_runs(tmp_path: Path, copy: Path) -> None:
    assert notified(tmp_path, agent.archive()) == f"STATUS={agent.status('message')}"
    # By hand, as long as before: Python runs it although its CRC is wrong.
    by_hand = agent.archive().replace(b"signing_domain in signers", b"signing_domain != signers")
    assert by_hand != agent.archive()
    assert notified(tmp_path, by_hand) == "STATUS=code unknown"
    # Packed anew.
    (copy / "message/mime.py").write_text((copy / "message/mime.py").read_text() + "# by hand\n")
    wanted = agent.status("message")
    heard = notified(tmp_path, fresh())
    assert heard == f"STATUS={agent.status('message')}" != f"STATUS={wanted}"


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("check", "message"), ("../x",)])
def test_a_wrong_call_is_explained(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "python3 agent.pyz PROGRAM" in done.stderr


def test_a_check_reads_configurations(tmp_path: Path) -> None:
    config = tmp_path / "tls_policy.json"
    config.write_text('{"socket": "/run/a", "daemon_socket": "/run/b"}')
    assert run(tmp_path, "check", "tls_policy", str(config)).returncode == 0
    config.write_text('{"socket": "/run/a"}')
    done = run(tmp_path, "check", "tls_policy", str(config))
    assert done.returncode == 2
    assert done.stderr == f"{config}: configuration lacks daemon_socket\n"


def test_a_script_runs_where_nothing_is_installed(tmp_path: Path) -> None:
    text = agent.script("lib/__init__.py", "lib/systemd.py", "resolver_watchdog/__init__.py")
    text = text.replace("importlib.import_module('agent.resolver_watchdog').main()", "")
    program = f"{text}\nimport agent.lib.systemd as s; print(s.__name__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "agent.lib.systemd\n"
