"""`mailfleet init`: a repository that works as it is, or nothing at all and the reasons in words."""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.cli import cli
from mailfleet.errors import ConfigurationError, MailfleetError
from mailfleet.project import init, inventory
from mailfleet.project.new_fleet import Wishes, new_fleet

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    "checks/test_host.py", ".github/workflows/review.yml", ".gitignore", "README.md", "config.py",
    "deploys/mta.py",
    "dns/push.py", "dns/shop.example.toml", "inventories/prod", "requirements.txt",
    "templates/README.md",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(cli, ["init", *arguments], input=answers)


def refused(*arguments: str) -> str:
    """What is said of a folder or of wishes that cannot be."""
    error = run(*arguments).exception
    assert isinstance(error, MailfleetError), error
    return str(error)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_options_say_all(folder: Path) -> None:
    done = run(
        "mail", "--domain", "Shop.Example", "--provider", "rfc2136", "--server", "193.0.6.1",
        "--key", "mail-fleet", "--host", "eu=193.0.6.139,2001:67c:2e8::1", "--host", "eu=193.0.6.140",
        "--region", "us",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert files(folder) == {f"mail/{name}" for name in FILES}
    fleet = inventory.read("mail/inventories/prod")
    assert {host.name: list(map(str, host.all_addresses)) for host in fleet.hosts} == {
        "mta1.eu.shop.example": ["193.0.6.139", "2001:67c:2e8::1"],
        "mta2.eu.shop.example": ["193.0.6.140"],
        "mta1.us.shop.example": ["192.0.2.10"],
    }
    assert "put the addresses of your servers into inventories/prod: mta1.us" in done.output
    assert "mta1.us.shop.example" in Path("mail/README.md").read_text()
    validated = CliRunner().invoke(cli, ["validate", "mail/inventories/prod"])
    assert validated.exit_code == 0
    assert "MAILFLEET_TSIG_MAIL_FLEET" in validated.output


@pytest.mark.parametrize("provider", ["hetzner", "cloudflare", "manual"])
def test_one_option_is_enough(provider: str) -> None:
    assert run("mail", "--domain", "shop.example", "--provider", provider).exit_code == 0
    assert CliRunner().invoke(cli, ["validate", "mail/inventories/prod"]).exit_code == 0


def test_what_is_the_projects_own_is_its_own() -> None:
    run("mail", "--domain", "shop.example")
    for name in ("config.py", "deploys/mta.py", "dns/push.py"):
        assert Path("mail", name).read_text() == (ROOT / name).read_text()


def test_an_empty_folder_keeps_what_git_has_there(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("x")
    assert run(".", "--domain", "shop.example").exit_code == 0
    assert files(folder) == {*FILES, ".git/HEAD"}


def test_modes_are_the_users_own(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        run("mail", "--domain", "shop.example")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("mail").stat().st_mode) == 0o750
    assert stat.S_IMODE(Path("mail/README.md").stat().st_mode) == 0o640


def test_what_is_there_is_never_touched(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full/note").write_text("mine")
    (folder / "file").write_text("mine")
    (folder / "link").symlink_to("nowhere")
    assert "full is not empty: it holds note" in refused("full", "--domain", "shop.example")
    assert "file is a file" in refused("file", "--domain", "shop.example")
    assert "leads nowhere" in refused("link", "--domain", "shop.example")
    assert "is no folder" in refused("a/b", "--domain", "shop.example")
    assert "is no folder" in refused("file/b", "--domain", "shop.example")
    assert files(folder) == {"full/note", "file"}
    assert not (folder / "a").exists()


WRONG = {
    "nothing": ((), "--domain: is missing"),
    "one label": (("--domain", "shop"), "--domain: 'shop' is not fully qualified"),
    "blank": (("--domain", " "), "--domain: ' ' "),
    "long": (("--domain", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}.example"), "not a valid host"),
    "long host": (("--domain", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 50}.x"), "inventories/prod: "),
    "capitals": (("--domain", "a.example", "--region", "EU"), "--region: 'EU' is no region name"),
    "keyword": (("--domain", "a.example", "--region", "in"), "--region: 'in' is no name in Python"),
    "digits": (("--domain", "a.example", "--region", "1a"), "--region: '1a' is no name in Python"),
    "no region name": (("--domain", "a.example", "--region", ""), "--region: "),
    "every": (("--domain", "a.example", "--region", "all"), "--region: 'all' is no region name"),
    "no region": (("--domain", "a.example", "--host", "1.2.3.4"), "write e.g. eu=1.2.3.4"),
    "no address": (("--domain", "a.example", "--host", "eu="), "--host: '' is not an IP address"),
    "network": (("--domain", "a.example", "--host", "eu=193.0.6.0/24"), "no prefix length"),
    "two of a kind": (("--domain", "a.example", "--host", "eu=193.0.6.1,193.0.6.2"), "at most one IPv4"),
    "twice": (("--domain", "a.example", "--host", "eu=193.0.6.1", "--host", "us=193.0.6.1"), "already"),
    "private": (("--domain", "a.example", "--host", "eu=10.0.0.1"), "is not a public address"),
    "no server": (("--domain", "a.example", "--provider", "rfc2136"), "--key: is missing"),
    "server": (
        ("--domain", "a.example", "--provider", "rfc2136", "--server", 'x"\n[a]', "--key", "k"),
        "dns/a.example.toml: dns.server: ",
    ),
    "not read": (
        ("--domain", "a.example", "--provider", "hetzner", "--key", "k"),
        "key: is for provider rfc2136, and hetzner does not read it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_told_and_nothing_written(folder: Path, case: str) -> None:
    arguments, said = WRONG[case]
    error = refused("mail", *arguments)
    assert said in error
    # Where the files were looked at is of no concern to the user.
    assert str(folder) not in error
    assert list(folder.iterdir()) == []


def test_every_mistake_is_told_at_once() -> None:
    said = refused(
        "mail", "--domain", "x", "--region", "IN", "--host", "y", "--provider", "rfc2136"
    )
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "--server", "--key", "--domain", "--region", "--host",
    ]  # fmt: skip


def test_an_unknown_provider_is_wrong_usage() -> None:
    done = run("mail", "--domain", "shop.example", "--provider", "acme")
    assert done.exit_code == 2
    assert "'acme' is not one of" in done.output


@given(
    domain=st.text(max_size=20), region=st.text(max_size=8), host=st.text(max_size=30),
    server=st.text(max_size=10),
)  # fmt: skip
def test_wild_wishes_are_explained(domain: str, region: str, host: str, server: str) -> None:
    wishes = Wishes(domain, "rfc2136", server, server, (region,), (host, f"eu={host}"))
    with pytest.raises(ConfigurationError):
        new_fleet(wishes)


@pytest.mark.parametrize("inside", [True, False])
def test_a_disk_that_fills_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    if inside:
        (folder / "mail").mkdir()
    written = Path.write_text

    def write_text(path: Path, text: str, **options: str) -> int:
        if path.name == "push.py":
            raise OSError(28, "No space left on device")
        return written(path, text, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    assert "mail cannot be written: No space left on device" in refused(
        "mail", "--domain", "a.example"
    )
    assert files(folder) == set()
    assert [path.name for path in folder.iterdir()] == (["mail"] if inside else [])
    assert not inside or list((folder / "mail").iterdir()) == []


def test_a_move_that_fails_takes_the_others_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "dns":
            raise OSError(5, "Input/output error")
        return renamed(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    (folder / "mail").mkdir()
    assert "Input/output error" in refused("mail", "--domain", "a.example")
    assert list((folder / "mail").iterdir()) == []


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """CliRunner's input is none: what asks is told that it is."""
    monkeypatch.setattr(importlib.import_module("mailfleet.cli.init"), "is_asked", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_asked_until_each_answer_will_do() -> None:
    answers = [
        "shop", "shop.example", "acme", "hetzner", "EU", "eu us",
        "193.0.6.0/24", "193.0.6.1 193.0.6.2,2001:67c:2e8::2", "",
    ]  # fmt: skip
    done = run("mail", answers="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert "'shop' is not fully qualified" in done.output
    assert "'EU' is no region name" in done.output
    assert "'193.0.6.0/24' is not an IP address" in done.output
    fleet = inventory.read("mail/inventories/prod")
    names = ["mta1.eu.shop.example", "mta2.eu.shop.example", "mta1.us.shop.example"]
    assert [host.name for host in fleet.hosts] == names
    assert fleet.domains[0].dns.provider == "hetzner"


@pytest.mark.usefixtures("terminal")
def test_only_what_no_option_says_is_asked() -> None:
    done = run(
        "mail", "--domain", "a.example", "--region", "eu", answers="rfc2136\n193.0.6.1\nk\n\n"
    )
    assert done.exit_code == 0, done.output
    assert "Domain" not in done.output
    assert "Regions" not in done.output


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answers", ["", "shop.example\n"])
def test_who_stops_answering_gets_nothing(folder: Path, answers: str) -> None:
    done = run("mail", answers=answers)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert list(folder.iterdir()) == []


def test_nobody_is_asked_without_a_terminal() -> None:
    assert "--domain: is missing" in refused("mail")


ORIGINS = {
    "index": (None, "mailfleet==1.2"),
    "git": (
        {"url": "https://git.example/m.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}},
        "mailfleet @ git+https://git.example/m.git@ab12",
    ),
    "web": (
        {"url": "https://files.example/mailfleet-1.2-py3-none-any.whl", "archive_info": {}},
        "mailfleet @ https://files.example/mailfleet-1.2-py3-none-any.whl",
    ),
    "wheel": (
        {"url": "file:///home/me/mailfleet-1.2-py3-none-any.whl", "archive_info": {}},
        "./wheels/mailfleet-1.2-py3-none-any.whl",
    ),
    "checkout": ({"url": "file:///home/me/m", "dir_info": {"editable": True}}, "mailfleet==1.2"),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_the_requirement_is_where_this_one_came_from(case: str) -> None:
    origin, line = ORIGINS[case]
    requirement, note = init.requirement("mailfleet==1.2", origin)
    assert requirement == line
    # What pip cannot install as it is comes with a word about it.
    assert bool(note) == (case in {"wheel", "checkout"})
