"""A user's own templates come first, one by one; what is wrong with them is told in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mailfleet.cli import cli
from mailfleet.errors import MailfleetError
from mailfleet.host import resources

pytestmark = pytest.mark.unit

INVENTORY = (
    "from mailfleet import inventory as _inventory\n"
    'eu = [("mta1.shop.example", {"streams": {"orders": ["193.0.6.139"]}})]\n'
    '_inventory.declare(globals(), domains=["shop.example"])\n'
)
HOSTS = "etc/hosts.j2"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "inventories/prod", INVENTORY)
    write(tmp_path, "dns/shop.example.toml", '[streams.orders]\nlogins = ["shop"]\n')
    return tmp_path


def write(project: Path, name: str, text: str | bytes) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def run(*arguments: str) -> str:
    """What a command prints, or says of an error."""
    result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, MailfleetError):
        assert result.exception.exit_code == 2
        return str(result.exception)
    assert result.exception is None, result.exception
    return result.output


def test_an_own_template_takes_the_place_of_ours_and_is_named(project: Path) -> None:
    write(project, f"templates/{HOSTS}", "127.0.0.1 {{ host.name }}\n")
    said = run("render", "inventories/prod", "out")
    assert "  /etc/hosts is made from templates/etc/hosts.j2\n" in said
    assert said.count("is made from") == 1
    assert (
        project / "out/mta1.shop.example/etc/hosts"
    ).read_text() == "127.0.0.1 mta1.shop.example\n"


def test_an_own_template_can_add_to_ours(project: Path) -> None:
    run("render", "inventories/prod", "before")
    name = "etc/postfix-stream/main.cf.j2"
    addition = "# of our own\n"
    write(project, f"templates/{name}", f'{{% include "mailfleet/{name}" %}}\n{addition}')
    said = run("render", "inventories/prod", "after")
    assert f"/etc/postfix-orders/main.cf is made from templates/{name}" in said
    path = "mta1.shop.example/etc/postfix-orders/main.cf"
    assert (project / "after" / path).read_text() == (
        project / "before" / path
    ).read_text() + addition


def test_a_part_that_several_files_share_can_be_replaced(project: Path) -> None:
    name = "etc/postfix-shared/smtpd.cf.j2"
    assert (resources.TEMPLATES / name).is_file()
    write(project, f"templates/{name}", "# shared\n")
    said = run("render", "inventories/prod", "out")
    assert said.count(f"is made from templates/{name}") == 2


def test_own_parts_and_notes_may_stand_beside(project: Path) -> None:
    write(project, f"templates/{HOSTS}", '{% include "company/note.j2" %}{{ host.name }}\n')
    write(project, "templates/company/note.j2", "# of ours\n")
    write(project, "templates/README.md", "{{ not a template")
    write(project, "templates/etc/.hosts.j2.swp", b"\0")
    write(project, "templates/etc/hosts.j2~", "{{")
    run("validate", "inventories/prod")
    run("render", "inventories/prod", "out")
    assert (project / "out/mta1.shop.example/etc/hosts").read_text().startswith("# of ours\n")


WRONG: dict[str, tuple[str, str | bytes, str]] = {
    "syntax": (HOSTS, "a\n{% if %}\n", "templates/etc/hosts.j2: line 2: is not valid Jinja: "),
    "unknown name": (HOSTS, "a\n{{ nobody }}\n", "templates/etc/hosts.j2: line 2: 'nobody' is undefined"),
    "unknown key": (HOSTS, "{{ host.nothing }}", "templates/etc/hosts.j2: line 1: "),
    "exception": (HOSTS, "{{ 1 / 0 }}", "line 1: ZeroDivisionError: division by zero"),
    "include": (HOSTS, '{% include "x.j2" %}', "includes x.j2, which is no template"),
    "itself": (HOSTS, '{% include "etc/hosts.j2" %}', "templates/etc/hosts.j2: line 1: RecursionError"),
    "not UTF-8": (HOSTS, b"\xff\xfe", "templates/etc/hosts.j2: is not UTF-8 text; save it as UTF-8"),
    "misspelt": ("etc/hots.j2", "", "templates/etc/hots.j2: takes the place of no template of mailfleet"),
    "suffix": ("etc/hosts", "", "so nothing would come of it; name it etc/hosts.j2"),
    "deep": ("etc/postfix/mian.cf.j2", "", "name it etc/postfix/main.cf.j2"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_before_anything_connects(project: Path, case: str) -> None:
    name, text, problem = WRONG[case]
    write(project, f"templates/{name}", text)
    assert problem in run("validate", "inventories/prod")
    assert problem in run("render", "inventories/prod", "out")
    assert not (project / "out").exists()


def test_all_problems_are_told_at_once(project: Path) -> None:
    write(project, f"templates/{HOSTS}", "{{")
    write(project, "templates/etc/hots.j2", "")
    write(project, "dns/shop.example.toml", "x = 1\n")
    said = run("validate", "inventories/prod")
    for name in ("etc/hosts.j2: line 1", "etc/hots.j2", "shop.example.toml"):
        assert name in said
