"""The facts' parsers: what hosts print, also when it is odd."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shlex

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from mailfleet.facts.dkim import DkimKeys
from mailfleet.facts.files import Tree
from mailfleet.facts.packages import Packages
from mailfleet.facts.public_keys import PublicKeys
from mailfleet.facts.release import Release
from mailfleet.facts.services import Services
from mailfleet.facts.tls import OrderState, Tls, chains_of, issuers, spki_sha256
from mailfleet.host.observed import FileState, PackageState, ServicesState, TlsState, TreeState

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
    found = Release().process(["motd", "bookworm", "2", "2014500"])
    assert (found.suite, found.capacity.cores, found.capacity.memory) == ("bookworm", 2, 1967)
    for output in ([], [""], ["  "], ["bookworm"], ["", "2", "2014500"], ["bookworm", "2", ""]):
        with pytest.raises(FactProcessError, match="VERSION_CODENAME"):
            Release().process(output)


def test_units_pending_marks_and_manifest() -> None:
    state = Services().process(
        [
            "StatusText=code 1=2", "Id=a.service", "ActiveState=active", "UnitFileState=enabled", "",
            "StatusText=",
            "Id=b.service", "ActiveState=failed", "UnitFileState=disabled", "",
            "Id=c@x.service", "ActiveState=activating", "UnitFileState=enabled-runtime", "",
            "Id=gone.service", "ActiveState=inactive", "UnitFileState=", "",
            "Id=d.timer", "ActiveState=reloading", "UnitFileState=static", "",
            "Id=e.service", "ActiveState=activating", "SubState=auto-restart", "UnitFileState=static", "",
            "Id=f.timer", "ActiveState=inactive", "SubState=dead", "UnitFileState=masked", "",
            "pending=firewall", "pending=a.service",
            "managed=a.service", "managed=old.service",
        ]
    )  # fmt: skip
    assert state == ServicesState(
        enabled=frozenset({"a.service", "c@x.service"}),
        active=frozenset({"a.service", "c@x.service", "d.timer"}),
        waiting=frozenset({"e.service"}),
        masked=frozenset({"f.timer"}),
        pending=frozenset({"firewall", "a.service"}),
        managed=frozenset({"a.service", "old.service"}),
        statuses={"a.service": "code 1=2"},
    )


def test_units_in_any_order_and_without_blank_lines() -> None:
    state = Services().process(
        ["UnitFileState=enabled", "Id=a.service", "ActiveState=active", "SubState=running",
         "ActiveState=inactive", "UnitFileState=disabled", "Id=b.service", "SubState=dead"]
    )  # fmt: skip
    assert state.enabled == state.active == frozenset({"a.service"})


@given(LINES)
def test_no_unit_comes_of_odd_output(lines: list[str]) -> None:
    state = Services().process([line.replace("=", "-") for line in lines])
    assert state == ServicesState()


def test_a_certificate_chain() -> None:
    public = ["-----BEGIN PUBLIC KEY-----", "MFkw", "-----END PUBLIC KEY-----"]
    chain = ["-----BEGIN CERTIFICATE-----", "MIIB", "-----END CERTIFICATE-----"]
    issuer = [chain[0], "MIIC", chain[-1]]
    marks = ["mode|640 root root", "key|600 root root", "web|640 root adm", "applied|ab"]
    state = Tls().process([*marks, *public, "chain|", *chain, *issuer, "chain|", *issuer])
    assert (state.mode, state.key_mode, state.web_mode) == tuple(m.split("|")[1] for m in marks[:3])
    assert state.applied_config_hash == "ab"
    assert state.public_key == "\n".join(public) + "\n"
    assert state.certificate == "\n".join(chain) + "\n"
    assert state.chains == ("\n".join([*chain, *issuer]) + "\n", "\n".join(issuer) + "\n")
    assert issuers(state.chains[0]) == "\n".join(issuer) + "\n"
    assert issuers(state.chains[1]) == ""
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


def certificate() -> tuple[list[str], str]:
    """A certificate in lines of PEM, and the SHA-256 of its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made.public_bytes(Encoding.PEM).decode().splitlines(), hashlib.sha256(der).hexdigest()


def test_how_the_last_order_went() -> None:
    state = {"result": "failed", "reason": "no route", "attempt": 1.5, "failures": []}
    assert OrderState().process([json.dumps(state)]) == {"result": "failed", "reason": "no route"}
    for output in ([], ["[]"], ["{"], ['{"result": "good"}']):
        assert OrderState().process(output) == {}


def test_the_public_halves_that_dns_publishes() -> None:
    made = [certificate() for _ in range(3)]
    pem = ["chain|", *made[0][0], *made[1][0], "chain|", *made[2][0]]
    keys = [{"domain": "a.example", "selector": "s", "p": "AA", "bits": 2048,
             "visible": True, "owner": "600 a a", "signing": False}]  # fmt: skip
    found = PublicKeys().process([*pem, json.dumps(keys)])
    # Of each key its own certificate, not those of the authority.
    assert found == {"dkim": keys, "certificates": [made[0][1], made[2][1]]}
    assert PublicKeys().process(["[]"]) == PublicKeys.default()
    with pytest.raises(FactProcessError, match="printed no JSON"):
        PublicKeys().process(pem)


@given(LINES)
def test_no_hash_of_what_is_no_key(lines: list[str]) -> None:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    assert chains_of(line.replace("-", "") for line in lines) == ()
    assert chains_of([begin, "MIIB", end]) == (), "of no key"
    for text in ("", f"{begin}\n{end}\n", f"{begin}\nMFkw\n", f"{begin}\nno key!\n{end}\n"):
        assert spki_sha256(text) is None
