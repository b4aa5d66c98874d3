"""Reading inventories and domain files from disk, by `read` and by pyinfra itself."""

from __future__ import annotations

import codecs
import subprocess
import sys
from pathlib import Path

import pytest

from mailfleet.errors import ConfigurationError
from mailfleet.project import inventory

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
TOML = '[streams.orders]\nlogins = ["shop"]\n'
HOSTS = 'eu = [("mta1.shop.example", {"streams": {"orders": ["203.0.113.10"]}})]\n'
DECLARE = (
    "from mailfleet import inventory as _inventory\n"
    '_inventory.declare(globals(), domains=["shop.example"])\n'
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one domain, as current folder."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns/shop.example.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes, name: str = "prod") -> str:
    path = Path("inventories", name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def problems(path: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        inventory.read(path)
    assert error.value.exit_code == 2
    return [str(problem) for problem in error.value.problems]


def pyinfra(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.usefixtures("project")
def test_read_gives_the_fleet_and_leaves_no_trace() -> None:
    fleet = inventory.read(write(HOSTS + DECLARE))
    assert (fleet.name, fleet.source) == ("prod", "inventories/prod")
    assert [host.name for host in fleet.hosts] == ["mta1.shop.example"]
    with pytest.raises(ConfigurationError, match="declares no fleet"):
        inventory.current()


@pytest.mark.usefixtures("project")
def test_an_inventory_may_read_another() -> None:
    write(HOSTS + DECLARE, "other")
    both = f"from mailfleet import inventory as _i\n_i.read('inventories/other')\n{HOSTS}{DECLARE}"
    assert inventory.read(write(both)).name == "prod"


def test_a_missing_inventory_names_those_that_exist(project: Path) -> None:
    write("", "prod")
    write("", "staging")
    assert problems("inventories/prd") == [
        "inventories/prd: does not exist; name an inventory file; inventories there: prod, staging"
    ]
    assert problems("inventories")[0].startswith("inventories: is a folder; name an inventory file")
    assert problems("dns/shop.example.toml") == [
        "dns/shop.example.toml: is a domain file; name an inventory that lists the domain, such as "
        "inventories/prod"
    ]
    assert problems("inventories/prod/x")[0].startswith("inventories/prod/x: does not exist")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eu = [\n", "line 1: is not valid Python: '[' was never closed"),
        ("\n\nname\n", "line 3: cannot be executed: NameError: name 'name' is not defined"),
        ("import nowhere\n", "line 1: cannot be executed: ModuleNotFoundError: No module named"),
        ("def f(): f()\nf()\n", "line 1: cannot be executed: RecursionError"),
        ("raise SystemExit(0)\n", "line 1: ends the program; remove the call of exit"),
        ("", "declares no fleet; end it with: _inventory.declare(globals(), domains=[...])"),
        (HOSTS, "declares no fleet; end it with"),
    ],
)
def test_an_inventory_that_is_no_program(project: Path, text: str, expected: str) -> None:
    (problem,) = problems(write(text))
    assert problem.startswith(f"inventories/prod: {expected}")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("text", [b"x = 'a\x00b'\n", b"name = '\xff'\n"])
def test_an_inventory_that_is_no_text(text: bytes) -> None:
    (problem,) = problems(write(text))  # the words and the line differ between Python versions
    assert "is not valid Python: " in problem


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (codecs.BOM_UTF8, "begins with a byte order mark (BOM); save it as UTF-8 without one"),
        (codecs.BOM_UTF16_LE, "begins with the byte order mark of UTF-16; save it as UTF-8"),
        (codecs.BOM_UTF16_BE, "begins with the byte order mark of UTF-16; save it as UTF-8"),
    ],
)
def test_a_byte_order_mark(mark: bytes, expected: str) -> None:
    whole = (HOSTS + DECLARE).encode()
    assert problems(write(mark + whole)) == [f"inventories/prod: line 1: {expected}"]
    Path("dns/shop.example.toml").write_bytes(mark + TOML.encode())
    assert problems(write(whole)) == [f"dns/shop.example.toml: line 1: {expected}"]


@pytest.mark.usefixtures("project")
def test_a_fleet_that_is_declared_twice() -> None:
    text = "declares the fleet a second time; keep one call of declare, the last line"
    twice = write(HOSTS.replace("203.0.113.10", "193.0.6.139") + DECLARE + DECLARE)
    assert problems(twice) == [f"inventories/prod: {text}"]
    deploy = Path("deploy.py")
    deploy.write_text("")
    done = pyinfra("-y", twice, str(deploy))
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "call",
    [
        "_inventory.declare(domains=['shop.example'])",
        "_inventory.declare({}, domains=['shop.example'])",
        "_inventory.declare(None)",
        "_inventory.declare('shop.example')",
        "_inventory.declare(globals(), ['shop.example'])",
    ],
)
def test_a_wrong_call_of_declare_is_no_traceback_under_pyinfra_either(call: str) -> None:
    path = write(f"{HOSTS}from mailfleet import inventory as _inventory\n{call}\n")
    text = "inventories/prod: declare: call declare(globals(), domains=[...]): globals() first"
    assert problems(path)[0].startswith(text)
    Path("deploy.py").write_text("")
    done = pyinfra("-y", path, "deploy.py")
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.usefixtures("project")
def test_what_an_inventory_prints_gets_into_no_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inventory.read(write(f'print("hello")\n{HOSTS}{DECLARE}'))
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.usefixtures("project")
def test_hosts_below_the_call_of_declare() -> None:
    late = 'us = [("mta2.shop.example", {"streams": {"orders": ["203.0.113.11"]}})]\n'
    assert problems(write(HOSTS + DECLARE + late)) == [
        "inventories/prod: hosts stand below the call of declare, which does not know them; make it "
        "the last line"
    ]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("us = []", "us: has no hosts; add one, or remove the region"),
        ("us = ('mta2.shop.example',)", "us: is a tuple; a region is a list of hosts"),
        ("us_east = ['a']", "us_east: is no region name; use small letters and digits"),
        ("US = ['a']", "US: is no region name; use small letters and digits"),
        ("all = ['mta2.shop.example']", "all: is no region name"),
        (
            "ports = [25]",
            'ports: 25 is not a host; write ("mta1.ports.example.com", {...}), or begin',
        ),
        ("us = [('a', {}, 1)]", "us: a list is not a host; write"),
        ("us = [(5, {})]", "us: 5 is not a host; write"),
        ("us = [('mta2', {})]", "host mta2: 'mta2' is not fully qualified"),
        (
            "us = ['mta2.shop.example']",
            'us: \'mta2.shop.example\' has no data; write ("mta2.shop.example", {"streams": {...}}), '
            "or begin the list's name with _ where it is no region",
        ),
        ("us = {'mta2.shop.example': {'streams': {}}}", "us: is a table; a region is a list: [("),
        ("us = [('@docker/mta2.shop.example', {})]", "host @docker/mta2.shop.example: names a"),
        ("us = [('mta2.shop.example', 5)]", "host mta2.shop.example: 5 is not a table; write"),
    ],
)
def test_a_wrong_group(project: Path, group: str, expected: str) -> None:
    (problem,) = problems(write(f"{HOSTS}{group}\n{DECLARE}"))
    assert problem.startswith(f"inventories/prod: {expected}")


def test_private_names_and_other_values_are_no_groups(project: Path) -> None:
    extra = "import os\n_common = ['x']\nlimit = 5\nname = 'eu'\n"
    assert len(inventory.read(write(extra + HOSTS + DECLARE)).regions) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[streams", "dns/shop.example.toml: is not valid TOML: Expected ']'"),
        (b"ttl = \xff", "dns/shop.example.toml: is not UTF-8 text; save it as UTF-8"),
        (
            b"ttl = " + b"9" * 5000,
            "dns/shop.example.toml: line 1: holds a number of thousands of digits",
        ),
        (
            None,
            "inventories/prod: domains: dns/shop.example.toml does not exist; write it, or remove "
            "shop.example from domains",
        ),
    ],
)
def test_a_domain_file_that_cannot_be_read(
    project: Path, content: bytes | None, expected: str
) -> None:
    path = project / "dns/shop.example.toml"
    path.unlink() if content is None else path.write_bytes(content)
    (problem,) = problems(write(HOSTS + DECLARE))
    assert problem.startswith(expected)


def test_a_domain_file_that_is_a_folder(project: Path) -> None:
    (project / "dns/shop.example.toml").unlink()
    (project / "dns/shop.example.toml").mkdir()
    (problem,) = problems(write(HOSTS + DECLARE))
    assert problem == "dns/shop.example.toml: cannot be read: Is a directory"


def test_a_domain_that_is_listed_twice(project: Path) -> None:
    twice = DECLARE.replace('"shop.example"', '"shop.example", "Shop.Example."')
    assert problems(write(HOSTS + twice)) == [
        "inventories/prod: domains: shop.example is listed twice; remove one"
    ]


def test_problems_of_all_files_come_at_once(project: Path) -> None:
    (project / "dns/shop.example.toml").write_text("ttl = 0\n[stream]\n")
    lines = problems(write("us = []\n" + HOSTS.replace("113.10", "113") + DECLARE))
    assert [line.split(": ")[0] for line in lines] == [
        "inventories/prod",
        "dns/shop.example.toml",
        "dns/shop.example.toml",
        "inventories/prod",
    ]


def test_commands_that_connect_refuse_example_addresses(project: Path) -> None:
    path = write(HOSTS + DECLARE)
    with pytest.raises(ConfigurationError, match="reserved for documentation"):
        inventory.read_for_deploy(path)


@pytest.mark.parametrize("name", ["prod", "staging", "lab"])
def test_the_shipped_inventories_load(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    fleet = inventory.read(f"inventories/{name}")
    assert [region.name for region in fleet.regions] == ["eu", "us"]


def test_pyinfra_stops_before_it_connects_to_example_addresses(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "deploy.py").touch()
    monkeypatch.chdir(ROOT)
    run = pyinfra("inventories/prod", str(project / "deploy.py"), "-y")
    assert run.returncode == 2
    fleet = inventory.read("inventories/prod")
    for host in fleet.hosts:
        for address in host.all_addresses:
            assert f"host {host.name}: address {address} is reserved" in run.stderr
    assert "Connecting" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


def test_pyinfra_ends_with_2_on_a_wrong_inventory(project: Path) -> None:
    (project / "deploy.py").touch()
    run = pyinfra(write("us = []\n" + HOSTS + DECLARE), "deploy.py", "-y")
    assert run.returncode == 2
    assert "inventories/prod: us: has no hosts; add one, or remove the region" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_deploy_sees_the_fleet_that_the_inventory_declared(project: Path) -> None:
    # pyinfra loads deploy files in greenlets, where a ContextVar would have its default again.
    (project / "deploy.py").write_text(
        "from mailfleet import inventory\nfrom pyinfra import host\n"
        "print(host.name, inventory.current().source)\n"
    )
    run = pyinfra(write(HOSTS.replace("mta1", "@fake/mta1") + DECLARE), "deploy.py", "-y")
    assert run.returncode == 0, run.stderr
    assert "@fake/mta1.shop.example inventories/prod" in run.stdout


def test_real_hosts_are_reached_by_their_first_address(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_run", inventory._Run())
    names: dict[str, object] = {"__file__": "inventories/prod"}
    data: dict[str, object] = {"streams": {"orders": ["2001:4860::5", "193.0.6.139"]}}
    kept: dict[str, object] = {"streams": {"orders": ["193.0.6.140"]}, "ssh_hostname": "bastion"}
    names["eu"] = [("mta1.shop.example", data), ("mta2.shop.example", kept)]
    inventory.declare(names, domains=["shop.example"])
    assert data["ssh_hostname"] == "193.0.6.139"
    assert kept["ssh_hostname"] == "bastion"
    assert inventory.current().source == "inventories/prod"
