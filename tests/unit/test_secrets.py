"""Secrets: where they come from, and that none is ever printed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret, secret, variable

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILFLEET_SECRETS", raising=False)
    monkeypatch.delenv("MAILFLEET_TSIG_PROD_1", raising=False)


def _sops(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    program = folder / "sops"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    file = folder / "secrets.yaml"
    file.write_text("encrypted\n")
    monkeypatch.setenv("MAILFLEET_SECRETS", str(file))
    return file


def test_a_secret_prints_as_stars() -> None:
    hidden = Secret("hunter2")
    assert hidden.reveal() == "hunter2"
    shown = [
        str(hidden),
        repr(hidden),
        f"{hidden}",
        f"{hidden:>5}",
        hidden.to_json(),
        repr([hidden]),
    ]
    assert not any("hunter2" in text for text in shown)
    assert str(hidden) == "***"
    with pytest.raises(TypeError):
        pickle.dumps(hidden)
    with pytest.raises(TypeError):
        json.dumps(hidden)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variable("tsig-prod.1") == "MAILFLEET_TSIG_PROD_1"
    monkeypatch.setenv("MAILFLEET_TSIG_PROD_1", "abc\n")
    assert secret("tsig-prod.1", "the key").reveal() == "abc"


def test_a_missing_secret_is_named_with_its_purpose() -> None:
    with pytest.raises(MailfleetError) as caught:
        secret("tsig-prod.1", "the TSIG key prod.1")
    assert "MAILFLEET_TSIG_PROD_1" in str(caught.value)
    assert "the TSIG key prod.1" in str(caught.value)


def test_from_a_sops_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'test "$*" = "--decrypt --output-type json $MAILFLEET_SECRETS" || exit 1\n'
    script += 'echo \'{"MAILFLEET_TSIG_PROD_1": "one", "login-shop": "two"}\''
    _sops(tmp_path, monkeypatch, script)
    assert secret("tsig-prod.1", "").reveal() == "one"
    assert secret("login-shop", "").reveal() == "two"
    monkeypatch.setenv("MAILFLEET_TSIG_PROD_1", "from the environment")
    assert secret("tsig-prod.1", "").reveal() == "from the environment"


def test_two_names_of_one_secret_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sops(tmp_path, monkeypatch, """echo '{"tsig-a.b": "hunter2", "tsig-a-b": "hunter3"}'""")
    with pytest.raises(MailfleetError) as caught:
        secret("tsig-a.b", "")
    message = str(caught.value)
    assert "tsig-a.b and tsig-a-b" in message
    assert "MAILFLEET_TSIG_A_B" in message
    assert "hunter" not in message


def test_sops_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sops(tmp_path, monkeypatch, "echo 'no key could decrypt the data' >&2; exit 128")
    with pytest.raises(MailfleetError, match="no key could decrypt the data"):
        secret("tsig-prod.1", "")


def test_sops_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sops(tmp_path, monkeypatch, "")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MailfleetError, match="sops is not installed"):
        secret("tsig-prod.1", "")


def test_the_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILFLEET_SECRETS", str(tmp_path / "absent.yaml"))
    with pytest.raises(MailfleetError, match="No such file"):
        secret("tsig-prod.1", "")
