"""What can be reviewed without network and secrets: validate, render, dns records."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import dns.rdatatype
import dns.zone
import pytest

from mailfleet import cli

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
HASH = "$6$salt$0123456789abcdef"
STREAMS = '[streams.orders]\nlogins = ["shop"]\n'
INVENTORY = (
    "from mailfleet import inventory as _inventory\n"
    'eu = [("mta1.shop.example", {"streams": {"orders": ["193.0.6.139"]}})]\n'
    '_inventory.declare(globals(), domains=["shop.example"])\n'
)
DNS = {
    "hetzner": ('[dns]\nprovider = "hetzner"\n', {"MAILFLEET_HETZNER"}),
    "cloudflare": ('[dns]\nprovider = "cloudflare"\n', {"MAILFLEET_CLOUDFLARE"}),
    "rfc2136": (
        '[dns]\nprovider = "rfc2136"\nserver = "193.0.6.1"\nkey = "mail-fleet"\n',
        {"MAILFLEET_TSIG_MAIL_FLEET"},
    ),
    "octodns": (
        '[dns]\nprovider = "octodns"\n'
        '[dns.octodns]\nclass = "octodns_x.X"\ntoken = "env/X_TOKEN"\naccount = "env/MAILFLEET_ID"\n',
        {"X_TOKEN", "MAILFLEET_ID"},
    ),
    "manual": ('[dns]\nprovider = "manual"\n', set()),
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("something connects")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for _, variables in DNS.values():
        for variable in (*variables, "MAILFLEET_LOGIN_SHOP"):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("MAILFLEET_SECRETS", raising=False)


def project(folder: Path, provider: str = "manual") -> Path:
    (folder / "inventories").mkdir()
    (folder / "dns").mkdir()
    (folder / "dns/shop.example.toml").write_text(DNS[provider][0] + STREAMS)
    (folder / "inventories/prod").write_text(INVENTORY)
    return folder


def run(*arguments: str) -> int:
    sys.argv = ["mailfleet", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(sys, "argv", [])

    def read(*arguments: str) -> Any:
        assert run(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return read


@pytest.mark.parametrize("provider", DNS)
def test_secrets_that_are_not_set_are_listed(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Any
) -> None:
    monkeypatch.chdir(project(tmp_path, provider))
    wanted = {"MAILFLEET_LOGIN_SHOP", *DNS[provider][1]}
    listed = document("validate", "inventories/prod")["secrets"]
    assert {one["variable"]: one["is_set"] for one in listed} == dict.fromkeys(wanted, False)
    for variable in wanted:
        monkeypatch.setenv(variable, HASH)
    content = document("validate", "inventories/prod")
    assert all(one["is_set"] for one in content["secrets"])
    assert HASH not in json.dumps(content)


def test_wrong_files_end_validation_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.chdir(project(tmp_path))
    (tmp_path / "dns/shop.example.toml").write_text("ttl = 0\n" + STREAMS)
    assert run("validate", "inventories/prod") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "dns/shop.example.toml: ttl: " in err


@pytest.mark.parametrize("inventory", ["prod", "staging"])
def test_example_addresses_are_no_error(
    inventory: str, monkeypatch: pytest.MonkeyPatch, document: Any
) -> None:
    monkeypatch.chdir(ROOT)
    assert document("validate", f"inventories/{inventory}")["before_a_deploy"]


@pytest.mark.parametrize("release", ["bookworm", "trixie", "noble"])
def test_every_file_is_rendered_and_no_secret(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.chdir(project(tmp_path))
    monkeypatch.setenv("MAILFLEET_LOGIN_SHOP", HASH)
    assert run("render", "inventories/prod", "out", "--release", release) == 0
    host = tmp_path / "out/mta1.shop.example"
    assert "smtpd_milters" in (host / "etc/postfix-orders/main.cf").read_text()
    assert (host / "etc/dovecot/mailfleet/logins").read_text() == "shop:***\n"
    written = [path for path in host.rglob("*") if path.is_file()]
    assert not [path for path in written if HASH.encode() in path.read_bytes()]


def test_two_renderings_are_equal_and_an_edit_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.chdir(project(tmp_path))
    for folder in ("one", "two"):
        assert run("render", "inventories/prod", folder) == 0
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    limits = "[streams.orders.limits]\nrecipients_per_message = 7\n"
    (tmp_path / "dns/shop.example.toml").write_text(DNS["manual"][0] + STREAMS + limits)
    assert run("render", "inventories/prod", "three") == 0
    before, after = _files(tmp_path / "one"), _files(tmp_path / "three")
    assert {p for p in before | after if before.get(p) != after.get(p)} == {
        "mta1.shop.example/etc/postfix-orders/main.cf"
    }


def test_a_folder_with_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.chdir(project(tmp_path))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("kept")
    assert run("render", "inventories/prod", "out") == 1
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    assert run("render", "inventories/prod", "out/mine") == 1
    assert "out/mine cannot be written" in capsys.readouterr().err
    assert run("render", "inventories/prod", "new", "--limit", "asia") == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("provider", DNS)
def test_records_are_a_zone_file(
    provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    document: Any,
) -> None:
    monkeypatch.chdir(project(tmp_path, provider))
    assert run("dns", "records", "inventories/prod") == 0
    text = capsys.readouterr().out
    forward, _, reverse = text.partition("; reverse records")
    zone = dns.zone.from_text(forward, "shop.example", relativize=False, check_origin=False)
    content = document("dns", "records", "inventories/prod")
    read = {
        (f"{name}".rstrip("."), dns.rdatatype.to_text(found.rdtype), found.ttl, len(found))
        for name, found in zone.iterate_rdatasets()
    }
    assert read == {
        (one["name"], one["type"], one["ttl"], len(one["values"]))
        for one in content["zones"]["shop.example"]
    }
    assert "139.6.0.193.in-addr.arpa. 3600 IN PTR orders.mta1.shop.example." in reverse
    names = {one["name"] for one in content["known_to_hosts"]}
    assert any(name.endswith("._domainkey.shop.example") for name in names)
    assert all(name in forward for name in names)


def test_records_of_one_domain(monkeypatch: pytest.MonkeyPatch, document: Any) -> None:
    monkeypatch.chdir(ROOT)
    whole = document("dns", "records", "inventories/prod")
    domain = next(iter(whole["zones"]))
    part = document("dns", "records", "inventories/prod", "--domain", domain)
    assert part["zones"][domain]
    assert set(part["zones"]) < set(whole["zones"])


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(errors="surrogateescape")
        for path in folder.rglob("*")
        if path.is_file()
    }
