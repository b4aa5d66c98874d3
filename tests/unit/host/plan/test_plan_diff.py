"""Differences as they are shown: whole, without secrets, and harmless to a terminal."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfleet.host.plan.diff import masked, unified_diff

pytestmark = pytest.mark.unit

HASH = "$6$rounds=5000$Salt/1$" + "x" * 86
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nAAAA\n-----END EC PRIVATE KEY-----\n"
LINE = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"shop:{HASH}:extra", "shop:***:extra"),
        (f"a\n{KEY}b\n", "a\n-----BEGIN EC PRIVATE KEY-----\n***\n***\n-----END EC PRIVATE KEY-----\nb\n"),
        ("-----BEGIN PRIVATE KEY-----\nMIGH", "-----BEGIN PRIVATE KEY-----\n***"),
        ("user:{SSHA512}abcdef==", "user:{SSHA512}***"),
        ("user:{BLF-CRYPT}$2y$05$abcdefghijkl", "user:{BLF-CRYPT}***"),
        ("url = ldap://mail:hunter2@ldap.example/", "url = ldap://mail:***@ldap.example/"),
        ('secret "c2VjcmV0";', 'secret ***;'),
        ("password=hunter2", "password=***"),
        ("  api_key: 'hunter 2' # mine", "  api_key: *** # mine"),
        ("sql_passwd => 'hunter2',", "sql_passwd => ***,"),
    ],
)  # fmt: skip
def test_secrets_are_known_by_their_form(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "smtpd_tls_security_level = may",
        "mydestination = $myhostname, localhost.$mydomain",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "passdb {\n  driver = passwd-file\n}",
        "http://mail.example:8080/@path",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert masked(text) == text


@given(st.text())
def test_masking_keeps_the_lines(text: str) -> None:
    assert masked(text).count("\n") == text.count("\n")


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    diff = unified_diff(b"a\x1b[2J\xff\n", b"b\n", "/etc/x")
    assert diff[3:] == ("-a\\x1b[2J\\\\xff", "+b") or diff[3:] == ("-a\\x1b[2J\\xff", "+b")
    assert all(line.isprintable() for line in diff)


def test_nothing_is_left_where_only_a_secret_differs() -> None:
    assert unified_diff(b"password = old\n", b"password = new\n", "/etc/x") == ()


@settings(max_examples=25)
@given(st.lists(LINE, max_size=8), st.lists(LINE, max_size=8), st.booleans(), st.booleans())
def test_git_makes_the_one_text_of_the_other(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[str],
    new: list[str],
    old_ends: bool,
    new_ends: bool,
) -> None:
    before, after = (
        "\n".join(rows) + ("\n" if ends and rows else "")
        for rows, ends in ((old, old_ends), (new, new_ends))
    )
    if before != masked(before) or after != masked(after) or not before or not after:
        return
    folder = tmp_path_factory.getbasetemp()
    path: Path = folder / "x"
    path.write_text(before)
    diff = unified_diff(before.encode(), after.encode(), "a/x")
    if before == after:
        assert diff == ()
        return
    patch = "".join(f"{line}\n" for line in diff).replace("+++ a/x", "+++ b/x")
    command = ["git", "apply", "--whitespace=nowarn", "-"]
    done = subprocess.run(
        command, input=patch, cwd=folder, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr + patch
    assert path.read_text() == after
