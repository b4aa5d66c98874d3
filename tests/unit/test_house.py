"""The rules of the house that no linter knows: sizes, layers, names, and what must not be there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfleet.model.provider import PROVIDERS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
CODE = ("mailfleet", "roles", "deploys", "dns", "agent", "tests", "bench")
TEXT = (*CODE, "inventories", "templates", "docs", "script", ".ci")
MODULES = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
PURE = (
    *("mailfleet/model", "mailfleet/dns/records", "mailfleet/dns/spf", "mailfleet/dns/plan"),
    "mailfleet/host/plan",
)
IMPURE_IMPORTS = {"pyinfra", "socket", "subprocess", "os", "pathlib", "shutil", "requests", "httpx"}


def texts() -> Iterator[tuple[str, str]]:
    """Every file of the project that a person writes, by its path from the root."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in TEXT for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in files:
        if "__pycache__" not in path.parts:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """The full name of every module that is imported, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def operations_of(module: str) -> set[str]:
    """The pyinfra operations that a module of this project defines."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    if not path.is_file():
        return set()
    return {
        node.name
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(decorator).startswith("operation") for decorator in node.decorator_list)
    }


def unnamed_operations(tree: ast.Module) -> list[int]:
    """The lines of operation calls without name=: such an operation is shown as bare arguments."""
    operations = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            bound = alias.asname or alias.name
            if node.module == "pyinfra.operations":
                operations.add(f"{bound}.*")
            elif node.module.startswith("pyinfra.operations.") or alias.name in operations_of(
                node.module
            ):
                operations.add(bound)
            own = operations_of(f"{node.module}.{alias.name}")
            operations |= {f"{bound}.{name}" for name in own}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if not any(keyword.arg == "name" for keyword in call.keywords)
        and {called := ast.unparse(call.func), re.sub(r"\.\w+$", ".*", called)} & operations
    ]


def test_a_module_has_one_subject_and_400_lines_at_most() -> None:
    sizes = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in MODULES}
    assert [str(path) for path, size in sizes.items() if size > 400] == []


def test_a_deploy_is_an_entry_of_40_lines_at_most() -> None:
    deploys = {path.name: path.read_text().splitlines() for path in (ROOT / "deploys").glob("*.py")}
    assert [name for name, lines in deploys.items() if len(lines) > 40] == []


def test_dns_holds_nothing_importable() -> None:
    # An importable dns/ shadows dnspython, whose import name is dns (decision D3).
    assert not (ROOT / "dns/__init__.py").exists()
    assert not (ROOT / "dns.py").exists()
    assert {path.name for path in (ROOT / "dns").rglob("*.py")} <= {"push.py"}
    assert not [
        path for path in (ROOT / "dns").iterdir() if path.suffix not in {".py", ".toml", ""}
    ]


def test_dnspython_is_importable_from_the_root() -> None:
    command = [sys.executable, "-c", "import dns.resolver, dns.update"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_inventories_have_no_suffix() -> None:
    # The commands name them without one (decision D13).
    names = [path.name for path in (ROOT / "inventories").iterdir() if path.is_file()]
    assert names
    assert [name for name in names if "." in name] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_operation_is_judged_while_it_is_prepared(path: Path) -> None:
    # .changed is not known before the operation has run; _if=operation.did_change is.
    uses = [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr == "changed"
    ]
    assert uses == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_operation_has_a_name(path: Path) -> None:
    assert unnamed_operations(parsed(path)) == []


def test_an_operation_without_a_name_is_found() -> None:
    source = (
        "from pyinfra.operations import apt, server as s\n"
        "from pyinfra.operations.files import put\n"
        "apt.packages(packages=['x'])\n"
        "s.shell(name='Do', commands=['x'])\n"
        "put(src='x', dest='y')\n"
        "put._inner(src='x', dest='y')\n"
    )
    assert unnamed_operations(ast.parse(source)) == [3, 5]


def _layer(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).with_suffix("").parts


def test_the_layers_import_downwards_only() -> None:
    wrong = []
    for path in MODULES:
        layer = _layer(path)
        for name in imports(parsed(path)):
            target = name.split(".")
            # The command line and the suite are entries, as the deploys are: they may ask the roles.
            entry = layer[1:2] == ("cli",) or layer[1:3] == ("verify", "suite")
            below = layer[0] == "mailfleet" and not entry
            upwards = below and target[0] in {"roles", "deploys", "tests", "bench"}
            # Both list roles, and are none themselves.
            role = layer[0] == "roles" and layer[1] not in ("__init__", "profiles")
            sideways = role and target[0] == "roles" and target[1:2] != [layer[1]]
            if upwards or sideways or target[0] == "deploys":
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


# What may know of labs: where the option is declared, the one that tells environments apart, and labs.
KNOWS_LABS = (
    "mailfleet/lab/",
    "mailfleet/cli/lab.py",
    "mailfleet/project/environment.py",
    "mailfleet/project/lab_environment.py",
    "mailfleet/model/fleet.py",
    "mailfleet/model/schema.py",
    "mailfleet/model/build.py",
)


def test_production_code_does_not_ask_whether_it_runs_in_a_lab() -> None:
    wrong = []
    for path in MODULES:
        name = str(path.relative_to(ROOT))
        product = name.startswith(("mailfleet/", "roles/", "deploys/", "dns/"))
        if not product or name.startswith(KNOWS_LABS):
            continue
        tree = parsed(path)
        wrong += [
            f"{name} imports {one}"
            for one in imports(tree)
            if f"{one}.".startswith("mailfleet.lab.")
        ]
        wrong += [
            f"{name}:{node.lineno} reads .lab"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "lab"
        ]
    assert wrong == []


HOME_OF_PATHS = "mailfleet/host/paths.py"


def _paths_in(path: Path) -> set[str]:
    """The paths on hosts that a module names in texts of one line; scripts and docstrings are left out."""
    tree = parsed(path)
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        if isinstance(node, ast.JoinedStr) and "\n" in "".join(map(_text, node.values)).rstrip():
            left_out.update(node.values)
    lines = [_text(node) for node in ast.walk(tree) if node not in left_out]
    lines = [line for line in lines if "\n" not in line.rstrip()]
    absolute = re.compile(r"(?<![\w$}\"/.])/(?:etc|usr/local|var|run)(?:/[\w.@-]+)+")
    return {
        name
        for line in lines
        for name in absolute.findall(line)
        # "/var/lib/" begins the paths of everything.
        if line != f"{name}/" or name.count("/") > 2
    }


def _text(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def test_a_path_on_hosts_has_one_home() -> None:
    named = {
        str(path.relative_to(ROOT)): _paths_in(path)
        for folder in ("mailfleet", "roles")
        for path in (ROOT / folder).rglob("*.py")
        if ROOT / "mailfleet/lab" not in path.parents
    }
    shared = named.pop(HOME_OF_PATHS)
    assert {"/etc/opendkim", "/var/lib/mailfleet"} <= shared
    wrong = []
    homes: dict[str, str] = {}
    for module, paths in named.items():
        for path in sorted(paths):
            if path in shared:
                wrong.append(f"{module} names {path}, which is in {HOME_OF_PATHS}")
            if homes.setdefault(path, module) != module:
                wrong.append(f"{module} and {homes[path]} name {path}; see {HOME_OF_PATHS}")
    assert wrong == []


def _package(module: str) -> str:
    """The package of the library that a module is in, e.g. "host" or "dns.plan"."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[0] == "dns" else 1])


def _arrows() -> dict[str, set[str]]:
    """Which package of the library imports which others."""
    arrows: dict[str, set[str]] = {}
    for path in (ROOT / "mailfleet").rglob("*.py"):
        module = ".".join(_layer(path)).removesuffix(".__init__")
        if module == "mailfleet":
            continue
        for name in imports(parsed(path)):
            if name.startswith("mailfleet.") and _package(name) != _package(module):
                arrows.setdefault(_package(module), set()).add(_package(name))
    return arrows


def test_the_library_has_packages_by_subject() -> None:
    loose = {path.name for path in (ROOT / "mailfleet").glob("*.py")}
    assert loose == {"__init__.py", "errors.py", "secrets.py"}


AGENT_IMPORTS = sys.stdlib_module_names | {"agent", "cryptography", "dkim", "dns", "spf"}


def test_the_agent_needs_nothing_but_debian() -> None:
    # Its own module of that name, and the packages in roles/agent.py.
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "agent").rglob("*.py")
        for name in imports(parsed(path))
        if name.split(".")[0] not in AGENT_IMPORTS
    ]
    assert wrong == []


def test_a_program_of_the_agent_is_read_whole_when_it_starts() -> None:
    # An import within a function would read from an archive that was replaced meanwhile.
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "agent").rglob("*.py")
        for function in ast.walk(parsed(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert wrong == []


def test_the_operators_side_takes_only_configuration_types_of_the_agent() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in ("mailfleet", "roles", "deploys")
        for path in (ROOT / folder).rglob("*.py")
        for name in imports(parsed(path))
        if name.startswith("agent.")
        and not re.fullmatch(r"agent\.(\w+\.config|lib\.(configuration|version))(\.\w+)?", name)
    ]
    assert wrong == []


def test_no_two_packages_import_each_other_in_a_circle() -> None:
    arrows = _arrows()
    assert {"host", "dns.plan", "deploy", "verify"} <= arrows.keys()

    def reached(package: str) -> set[str]:
        found: set[str] = set()
        left = [package]
        while left:
            for other in arrows.get(left.pop(), set()) - found:
                found.add(other)
                left.append(other)
        return found

    assert [package for package in sorted(arrows) if package in reached(package)] == []


def test_the_model_and_the_records_are_pure() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in PURE
        for path in (ROOT / folder).rglob("*.py")
        for name in imports(parsed(path))
        if name.split(".")[0] in IMPURE_IMPORTS
    ]
    assert wrong == []


def test_every_dns_provider_has_the_same_files() -> None:
    # So that whoever knows one knows where to look in another (docs/development.md).
    wanted = {"__init__.py", "driver.py", "api.py", "convert.py", "audit.py", "errors.py"}
    providers = [p for p in (ROOT / "mailfleet/dns/providers").iterdir() if p.is_dir()]
    missing = {
        folder.name: sorted(wanted - {path.name for path in folder.glob("*.py")})
        for folder in providers
        if folder.name != "__pycache__"
    }
    # The registry finds a package by the name that the settings have.
    assert missing.keys() == set(PROVIDERS) - {"manual"}
    assert {name: files for name, files in missing.items() if files} == {}


def registry_hosts() -> set[str]:
    """The package registries and mirrors that this machine is set up to use."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    sources = [pip.stdout]
    for folder in (Path("/etc/apt"), Path("/etc/apt/sources.list.d")):
        sources += [path.read_text() for path in folder.glob("*.list")]
        sources += [path.read_text() for path in folder.glob("*.sources")]
    return set(
        re.findall(r"https?://(?:[^/@\s']*@)?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)", "".join(sources))
    )


def test_no_file_says_where_packages_come_from() -> None:
    # Where a machine gets packages is its operator's business; the lock file has the hashes.
    options = re.compile(r"^\s*--?(extra-)?index-url|^\s*--(find-links|trusted-host)", re.M)
    hosts = registry_hosts()
    wrong = [
        name
        for name, text in texts()
        if options.search(text) or any(host in text for host in hosts)
    ]
    assert wrong == []


def test_scripts_can_be_run() -> None:
    scripts = [*(ROOT / "script").iterdir(), ROOT / ".ci/run"]
    assert {path.name for path in scripts} >= {"bootstrap", "lint", "test", "demo", "bench", "run"}
    assert [path.name for path in scripts if not path.stat().st_mode & 0o111] == []
