"""The archive of the hosts' programs: the same bytes, whole programs, and who starts again when."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
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
    agent.sources.cache_clear()
    agent.archive.cache_clear()


def fresh() -> bytes:
    agent.sources.cache_clear()
    agent.archive.cache_clear()
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
    def versions() -> dict[str, str]:
        fresh()
        return {name: agent.version(name) for name in ("message", "tls_policy")}

    before = versions()
    (copy / "message/mime.py").write_text("# changed\n")
    after = versions()
    assert after["message"] != before["message"]
    assert after["tls_policy"] == before["tls_policy"]
    (copy / "lib/systemd.py").write_text("# changed\n")
    assert not set(versions().items()) & set(after.items())


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = folder / "agent.pyz"
    file.write_bytes(agent.archive())
    # Not isolated (-I), for here the packages of Debian are in a virtual environment.
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_from_anywhere(tmp_path: Path) -> None:
    assert (run(tmp_path, "check").returncode, run(tmp_path, "certificate").returncode) == (0, 2)


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
