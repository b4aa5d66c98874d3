"""Certificates on a host's disk: what is read, what is refused, and what certbot is handed."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.certificate import files
from agent.certificate.files import Material

pytestmark = pytest.mark.unit

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def certificate(key: Key, by: Key, subject: str, issuer: str, *, ca: bool = False) -> str:
    name, signer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer)
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=89))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


AUTHORITY, OWN = new_key(), new_key()
INTERMEDIATE = certificate(AUTHORITY, new_key(), "Intermediate", "Root", ca=True)
LEAF = certificate(OWN, AUTHORITY, "us", "Intermediate")
GOOD = Material(key_pem(OWN), LEAF + INTERMEDIATE)


def test_a_chain_that_fits_together() -> None:
    assert files.problem(GOOD, public=False) == ""
    found = files.described(GOOD, "https://ca.example/dir")
    assert found.names == {"a.example"}
    assert (found.begins, found.ends) == (NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=89))
    assert found.issued
    assert found.directory == "https://ca.example/dir"
    assert "PRIVATE" not in repr(GOOD)


@pytest.mark.parametrize(
    ("material", "reason"),
    [
        (Material(key_pem(new_key()), GOOD.chain), "the private key belongs to another certificate"),
        (Material("no key", GOOD.chain), "the private key cannot be read"),
        (Material(GOOD.key, LEAF), "openssl does not accept the chain|^error "),
        (
            Material(GOOD.key, LEAF + certificate(new_key(), new_key(), "Intermediate", "R", ca=True)),
            "^error ",
        ),
    ],
    ids=["another key", "no key", "no intermediate", "another intermediate"],
)  # fmt: skip
def test_a_chain_that_does_not(material: Material, reason: str) -> None:
    assert re.search(reason, files.problem(material, public=False))


def test_a_public_authority_has_to_lead_to_a_root_of_the_system() -> None:
    assert "unable to get" in files.problem(GOOD, public=True)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's file tree below a folder, whoever runs the test."""
    monkeypatch.setattr(files, "CERTBOT", str(tmp_path / "letsencrypt"))
    for name in ("CHAIN", "WEB_CHAIN", "KEY"):
        path = tmp_path / getattr(files, name).rpartition("/")[2]
        monkeypatch.setattr(files, name, str(path))
    monkeypatch.setattr(os, "chown", lambda *_: None)
    return tmp_path


def test_the_hosts_first_key_becomes_the_lineages(host: Path) -> None:
    own = Material(key_pem(OWN), certificate(OWN, OWN, "us", "us"))
    assert not files.adopt("a.example"), "there is nothing to adopt yet"
    Path(files.KEY).write_text(own.key)
    Path(files.WEB_CHAIN).write_text(own.text)
    assert files.adopt("a.example")
    assert files.lineage("a.example") == own
    assert not files.described(own).issued
    key = host / "letsencrypt/archive/a.example/privkey1.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    conf = (host / "letsencrypt/renewal/a.example.conf").read_text().splitlines()
    assert conf[0] == f"archive_dir = {key.parent}"
    assert f"privkey = {host}/letsencrypt/live/a.example/privkey.pem" in conf
    assert conf[-2:] == ["[renewalparams]", "reuse_key = True"]
    assert not files.adopt("a.example"), "a lineage that is there stays"


def test_the_directory_stands_in_certbots_file(host: Path) -> None:
    assert files.directory_of("a.example") == ""
    conf = host / "letsencrypt/renewal/a.example.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        "# renew_before_expiry = 30 days\nversion = 4.0.0\n[renewalparams]\n"
        "server = https://ca.example/dir\n[[webroot_map]]\na.example = /x%20\n"
    )
    assert files.directory_of("a.example") == "https://ca.example/dir"


def test_what_serves_now(host: Path) -> None:
    assert files.serving() is None
    Path(files.WEB_CHAIN).write_text(GOOD.text)
    found = files.serving()
    assert found is not None
    assert found.issued
    Path(files.WEB_CHAIN).write_text(key_pem(new_key()) + GOOD.chain)
    assert files.serving() is None, "a key that fits no certificate serves nobody"


def test_a_file_is_written_whole_and_only_if_it_differs(host: Path) -> None:
    path = host / "x/y"
    assert files.write(str(path), "text\n", 0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text\n", 0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["y"]
    assert files.content(str(path)) == "text\n"
    assert files.content(str(host / "none")) == ""


def test_what_was_added_to_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert files.size(str(log)) == 0
    assert files.added(str(log), 0) == ""
    log.write_bytes(b"old\n")
    before = files.size(str(log))
    log.write_bytes(b"old\nnew \xff\n")
    assert files.added(str(log), before) == "new \ufffd\n"
    log.write_bytes(b"ne\n")
    assert files.added(str(log), before) == "ne\n", "it was rotated meanwhile"
