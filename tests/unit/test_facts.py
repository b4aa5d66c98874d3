"""The facts' parsers: what hosts print, also when it is odd."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.files import FileState, Tree, TreeState
from mailfleet.facts.packages import Packages, PackageState
from mailfleet.facts.public_keys import PublicKeys
from mailfleet.facts.release import Codename
from mailfleet.facts.services import Services, ServicesState
from mailfleet.facts.tls import Tls, TlsState, spki_sha256

pytestmark = pytest.mark.unit

LINES = st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=40), max_size=12)
DIGEST = "ab" * 32


def test_a_trees_files_folders_and_manifest() -> None:
    state = Tree().process(
        [
            "stat|regular file|644|root|root|/etc/a",
            "stat|regular empty file|640|root|opendkim|/etc/b c",
            "stat|directory|2755|root|root|/etc/d",
            "stat|symbolic link|777|root|root|/etc/e",
            "stat|regular file|600|root|root|/etc/with|bar",
            f"{DIGEST}  /etc/a",
            f"{'cd' * 32}  /etc/b c",
            f"{DIGEST}  /etc/e",
            "managed|/etc/a",
            "managed|/etc/with  two blanks",
        ]
    )
    assert state.paths == {
        "/etc/a": FileState("regular file", 0o644, "root", "root", DIGEST),
        "/etc/b c": FileState("regular file", 0o640, "root", "opendkim", "cd" * 32),
        "/etc/d": FileState("directory", 0o2755, "root", "root"),
        "/etc/e": FileState("symbolic link", 0o777, "root", "root", DIGEST),
        "/etc/with|bar": FileState("regular file", 0o600, "root", "root"),
    }
    assert state.managed == {"/etc/a", "/etc/with  two blanks"}
    assert Tree.default() == TreeState({}, frozenset())


@given(LINES)
def test_a_tree_ignores_other_lines(lines: list[str]) -> None:
    noise = [line for line in lines if not line.startswith(("stat|", "managed|"))]
    known = ["stat|regular file|644|root|root|/etc/a", f"{DIGEST}  /etc/a", "managed|/etc/a"]
    assert Tree().process([*noise, *known]) == Tree().process(known)


def test_questions_are_quoted_for_the_shell() -> None:
    odd = "/etc/$(reboot) 'x'"
    for command in (
        Tree().command(tree="host", paths=(odd,)),
        Tls().command("/etc/chain", odd),
        Packages().command((odd,)),
        Services().command((odd,)),
    ):
        assert odd in shlex.split(command.get_raw_value().replace(";", " ; "))


def test_which_packages_are_installed() -> None:
    state = Packages().process(
        ["postfix ii ", "ufw hi ", "unbound rc ", "opendkim un ", "dovecot-core iF ", "", "openssl"]
    )
    assert state == PackageState(frozenset({"postfix", "ufw"}), interrupted=False)
    assert Packages().process(["postfix ii ", "interrupted"]).interrupted
    assert not Packages().process(["interrupted ii "]).interrupted


@given(LINES)
def test_odd_output_installs_nothing(lines: list[str]) -> None:
    without = [line for line in lines if line.split()[1:2] not in (["ii"], ["hi"])]
    state = Packages().process([*without, "postfix ii "])
    assert state.installed == {"postfix"}


def test_the_release() -> None:
    assert Codename().process(["motd", "bookworm"]) == "bookworm"
    for output in ([], [""], ["  "]):
        with pytest.raises(FactProcessError, match="VERSION_CODENAME"):
            Codename().process(output)


def test_units_pending_marks_and_manifest() -> None:
    state = Services().process(
        [
            "Id=a.service", "ActiveState=active", "UnitFileState=enabled", "",
            "Id=b.service", "ActiveState=failed", "UnitFileState=disabled", "",
            "Id=c@x.service", "ActiveState=activating", "UnitFileState=enabled-runtime", "",
            "Id=gone.service", "ActiveState=inactive", "UnitFileState=", "",
            "Id=d.timer", "ActiveState=reloading", "UnitFileState=static", "",
            "pending=firewall", "pending=a.service",
            "managed=a.service", "managed=old.service",
        ]
    )  # fmt: skip
    assert state == ServicesState(
        enabled=frozenset({"a.service", "c@x.service"}),
        active=frozenset({"a.service", "c@x.service", "d.timer"}),
        pending=frozenset({"firewall", "a.service"}),
        managed=frozenset({"a.service", "old.service"}),
    )


def test_units_in_any_order_and_without_blank_lines() -> None:
    state = Services().process(
        ["UnitFileState=enabled", "Id=a.service", "ActiveState=active",
         "ActiveState=inactive", "UnitFileState=disabled", "Id=b.service"]
    )  # fmt: skip
    assert state.enabled == state.active == frozenset({"a.service"})


@given(LINES)
def test_no_unit_comes_of_odd_output(lines: list[str]) -> None:
    state = Services().process([line.replace("=", "-") for line in lines])
    assert state == ServicesState()


def test_a_certificate_chain() -> None:
    public = ["-----BEGIN PUBLIC KEY-----", "MFkw", "-----END PUBLIC KEY-----"]
    chain = ["-----BEGIN CERTIFICATE-----", "MIIB", "-----END CERTIFICATE-----"]
    state = Tls().process(["mode|640 root root", *public, *chain])
    assert state.mode == "640 root root"
    assert state.public_key == "\n".join(public) + "\n"
    assert state.certificate == "\n".join(chain) + "\n"
    assert Tls().process(["mode|600 root root"]) == TlsState(mode="600 root root")
    assert Tls().process(public).certificate == ""


@given(LINES)
def test_a_private_key_is_never_taken_along(lines: list[str]) -> None:
    secret = ["-----BEGIN PRIVATE KEY-----", "hunter2", "-----END PRIVATE KEY-----"]
    state = Tls().process([*secret, *(line.replace("-", "") for line in lines)])
    assert (state.public_key, state.certificate) == ("", "")


def test_dkim_keys() -> None:
    keys = [{"domain": "a.example", "selector": "s", "p": "AA", "bits": 2048,
             "visible": True, "owner": "600 a a", "signing": False}]  # fmt: skip
    assert DkimKeys().process(["a warning", json.dumps(keys)]) == keys
    for output in ([], ["Segmentation fault"], ["[", "{"]):
        with pytest.raises(FactProcessError, match="printed no JSON"):
            DkimKeys().process(output)


def test_the_public_halves_that_dns_publishes() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    keys = [{"domain": "a.example", "selector": "s", "p": "AA", "bits": 2048,
             "visible": True, "owner": "600 a a", "signing": False}]  # fmt: skip
    found = PublicKeys().process([*pem.splitlines(), json.dumps(keys)])
    assert found == {"dkim": keys, "certificate": hashlib.sha256(der).hexdigest()}
    assert PublicKeys().process(["[]"]) == PublicKeys.default()
    with pytest.raises(FactProcessError, match="printed no JSON"):
        PublicKeys().process(pem.splitlines())


@given(LINES)
def test_no_hash_of_what_is_no_key(lines: list[str]) -> None:
    begin, end = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
    assert spki_sha256(line.replace("-", "") for line in lines) is None
    assert spki_sha256([begin, end]) is None
    assert spki_sha256([begin, "MFkw"]) is None
    assert spki_sha256([begin, "no key!", end]) is None
