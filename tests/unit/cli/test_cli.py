"""The command line's mistakes: plain words on stderr, the right exit code, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailfleet import cli

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
TOML = '[streams.orders]\nlogins = ["shop"]\n'
INVENTORY = (
    "from mailfleet import inventory as _inventory\n"
    'eu = [("mta1.shop.example", {{"streams": {{"orders": ["193.0.6.139"]}}}})]\n'
    '_inventory.declare(globals(), domains=["shop.example"]{options})\n'
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILFLEET_LAB", "lab")  # also restored afterwards: `lab` commands set it
    monkeypatch.chdir(ROOT)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet with public addresses in a folder of its own, as current folder."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns/shop.example.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def write(project: Path, options: str = "") -> None:
    (project / "inventories/prod").write_text(INVENTORY.format(options=options))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class Run:
    """`mailfleet ARGUMENTS`: the exit code and what is on stderr; nothing may be on stdout."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "argv", ["mailfleet", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = self._capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        assert isinstance(end.value.code, int)
        return end.value.code, err


@pytest.mark.parametrize(
    "command",
    [
        ("probe",),
        ("dns", "plan"),
        ("dns", "push"),
        ("dns", "check"),
        ("lab", "up"),
    ],
)
def test_an_inventory_that_does_not_exist(run: Run, command: tuple[str, ...]) -> None:
    code, error = run(*command, "inventories/prd")
    assert code == 2
    assert error.startswith("inventories/prd: does not exist; name an inventory file")
    assert "prod, staging" in error


@pytest.mark.parametrize("command", [("probe",), ("dns", "push"), ("dns", "check")])
def test_example_addresses(run: Run, command: tuple[str, ...]) -> None:
    code, error = run(*command, "inventories/prod")
    assert code == 2
    assert "host mta1.eu.shop.example: address 192.0.2.10 is reserved for documentation" in error


def test_example_addresses_can_be_planned(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILFLEET_HETZNER", raising=False)
    code, error = run("dns", "plan", "inventories/prod")
    # As far as the provider's door, but no host was asked.
    assert code == 1
    assert "MAILFLEET_HETZNER" in error
    assert "documentation" not in error


@pytest.mark.parametrize("limit", ["asia", "mta1", "EU", ""])
def test_a_limit_that_names_nobody(run: Run, limit: str) -> None:
    code, error = run("probe", "inventories/lab", "--limit", limit)
    assert code == 2
    assert error == (
        f"inventories/lab: --limit: no host is called or grouped {limit!r}; "
        "known are eu, us, mta1.eu.shop.test, mta1.us.shop.test\n"
    )


def test_a_probe_needs_a_receiver(run: Run, project: Path) -> None:
    code, error = run("probe", "inventories/prod")
    assert code == 2
    assert error.startswith("inventories/prod: lab: a probe needs a receiver")


def test_a_domain_that_the_inventory_does_not_have(run: Run, project: Path) -> None:
    code, error = run("dns", "plan", "inventories/prod", "--domain", "shop.exmaple")
    assert code == 2
    assert "shop.exmaple is no domain of inventories/prod; known are shop.example" in error


def test_a_record_to_adopt_without_its_type(run: Run, project: Path) -> None:
    code, error = run("dns", "plan", "inventories/prod", "--adopt", "shop.example")
    assert code == 2
    assert "'shop.example' names no type; write e.g. shop.example/TXT" in error


def test_a_lab_of_an_inventory_without_one(run: Run, project: Path) -> None:
    code, error = run("lab", "up", "inventories/prod")
    assert code == 2
    assert error == 'inventories/prod: lab: is not set; declare(..., lab="lab")\n'


def test_a_lab_that_belongs_to_another_name(run: Run, project: Path) -> None:
    write(project, ', lab="mine"')
    code, error = run("lab", "up", "inventories/prod", "--name", "other")
    assert code == 1
    assert error.startswith("inventories/prod belongs to lab mine, not other\n")
    assert "use --name mine" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("probe",), "Missing argument 'INVENTORY'"),
        (("probe", "inventories/lab", "--limits", "eu"), "No such option"),
        (("lab", "ssh"), "Missing argument 'HOST'"),
        (("dns", "nonsense"), "No such command 'nonsense'"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    code, error = run(*arguments)
    assert code == 2
    assert expected in error


def test_all_mistakes_of_a_fleet_at_once(run: Run, project: Path) -> None:
    (project / "dns/shop.example.toml").write_text(f"ttl = 0\nspff = 1\n{TOML}")
    code, error = run("dns", "plan", "inventories/prod")
    assert code == 2
    assert [line.split(": ")[1] for line in error.splitlines()] == ["ttl", "spff"]


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    """The modules that a Python of its own has loaded after a command."""
    program = (
        "import sys; from mailfleet.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_a_command_loads_what_it_needs_alone() -> None:
    loaded = loaded_by(ROOT, "--version")
    assert "mailfleet.cli" in loaded
    assert loaded & {"pyinfra", "gevent", "paramiko", "dns", "hcloud", "cloudflare"} == set()


def test_real_servers_load_no_lab(project: Path) -> None:
    loaded = loaded_by(project, "dns", "records", "inventories/prod")
    assert "mailfleet.project.environment" in loaded
    assert {name for name in loaded if name.startswith("mailfleet.lab")} == set()
