"""Certificates on disk: certbot's lineages, and the chain files that the services read.

Uses Debian's python3-cryptography, which certbot brings, and openssl. A private key is read and
written here and never printed.
"""

from __future__ import annotations

import configparser
import datetime as dt
import os
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.certificate.order import Certificate

CERTBOT = "/etc/letsencrypt"
TLS = "/etc/mailfleet/tls"
CHAIN = f"{TLS}/chain.pem"
"""Each key followed by its chain, as Postfix's smtpd_tls_chain_files wants it."""
WEB_CHAIN = f"{TLS}/web.pem"
"""The first key and its chain alone: nginx takes one certificate from one file."""
KEY = f"{TLS}/host.key"
ROOTS = "/etc/ssl/certs"


@dataclass(frozen=True)
class Material:
    """A key and the chain that fits it, PEM."""

    key: str
    chain: str

    def __repr__(self) -> str:
        return "Material(***)"

    @property
    def text(self) -> str:
        return self.key + self.chain

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain.encode())


def lineage(name: str) -> Material | None:
    """What certbot holds under `name`; None where it holds nothing that can be read."""
    folder = pathlib.Path(CERTBOT, "live", name)
    try:
        material = Material(
            (folder / "privkey.pem").read_text("ascii"),
            (folder / "fullchain.pem").read_text("ascii"),
        )
        _ = material.leaf
    except (OSError, ValueError):
        return None
    return material


def directory_of(name: str) -> str:
    """The ACME directory that a lineage was ordered from; empty where that is not known."""
    # certbot's file has lines before the first section.
    parser = configparser.RawConfigParser(strict=False)
    try:
        text = pathlib.Path(CERTBOT, "renewal", f"{name}.conf").read_text("utf-8")
        parser.read_string(f"[top]\n{text}")
        return parser.get("renewalparams", "server", fallback="")
    except (OSError, configparser.Error):
        return ""


def described(material: Material, directory: str = "") -> Certificate:
    """What there is to know of its first certificate."""
    leaf = material.leaf
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        covered = frozenset(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        covered = frozenset()
    return Certificate(
        covered,
        _utc(leaf, "not_valid_before"),
        _utc(leaf, "not_valid_after"),
        issued=leaf.issuer != leaf.subject,
        directory=directory,
    )


def problem(material: Material, *, public: bool) -> str:
    """What is wrong with key and chain; empty if they fit, as far as certbot got the chain.

    `public`: the chain has to end at a root that this host trusts.
    """
    try:
        if not _fits(material):
            return "the private key belongs to another certificate"
    except ValueError as error:
        return f"the private key cannot be read: {error}"
    with tempfile.TemporaryDirectory() as folder:
        chain = pathlib.Path(folder, "chain.pem")
        chain.write_text(material.chain, encoding="ascii")
        trust = (
            ["-CApath", ROOTS, "-untrusted", str(chain)]
            if public
            # Staging's and a lab's roots are nobody's: what they gave has to fit together.
            else ["-partial_chain", "-trusted", _issuers(material, folder)]
        )
        done = subprocess.run(
            [
                "openssl",
                "verify",
                "-no-CAfile",
                "-no-CAstore",
                "-purpose",
                "sslserver",
                *trust,
                chain,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    errors = [
        line for line in (done.stderr + done.stdout).splitlines() if line.startswith("error ")
    ]
    return (errors[0] if errors else "openssl does not accept the chain") if done.returncode else ""


def _fits(material: Material) -> bool:
    """Whether key and certificate belong together; ValueError where one cannot be read."""
    key = serialization.load_pem_private_key(material.key.encode(), password=None)
    # Before version 40 of python3-cryptography keys cannot be compared.
    own, certified = (
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for public in (key.public_key(), material.leaf.public_key())
    )
    return own == certified


def _issuers(material: Material, folder: str) -> str:
    """A file of the chain without its first certificate."""
    end = "-----END CERTIFICATE-----\n"
    path = pathlib.Path(folder, "issuers.pem")
    path.write_text(material.chain.partition(end)[2], encoding="ascii")
    return str(path)


def serving() -> Certificate | None:
    """The certificate that the services read now; None where it is unusable."""
    try:
        text = pathlib.Path(WEB_CHAIN).read_text("ascii")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        material = Material(text[:begin], text[begin:])
        return described(material) if _fits(material) else None
    except (OSError, ValueError):
        return None


def content(path: str) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return pathlib.Path(path).read_text("ascii")
    except (OSError, ValueError):
        return ""


def size(path: str) -> int:
    """How long a file is, in bytes; 0 where there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def added(log: str, before: int) -> str:
    """What was written to a log since it had `before` bytes; all of it if it was rotated since."""
    try:
        data = pathlib.Path(log).read_bytes()
    except OSError:
        return ""
    return data[before if len(data) >= before else 0 :].decode("utf-8", "replace")


def write(path: str, text: str, mode: int = 0o640) -> bool:
    """Make the file exactly so, by a rename; whether anything differed."""
    file = pathlib.Path(path)
    try:
        now = file.stat()
        same = (now.st_uid, now.st_gid, now.st_mode & 0o7777) == (0, 0, mode)
        if same and file.read_text("utf-8") == text:
            return False
    except (OSError, ValueError):
        pass
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with open(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8"
    ) as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.chown(new, 0, 0)
    new.chmod(mode)
    new.replace(file)
    return True


def adopt(name: str) -> bool:
    """Let the host's first key be that of a lineage that does not exist yet; whether it is now.

    TLSA records of that key then stay true when the first certificate comes. The certificate that
    the host made itself stands in until certbot replaces it.
    """
    base = pathlib.Path(CERTBOT)
    conf = base / "renewal" / f"{name}.conf"
    served = pathlib.Path(WEB_CHAIN)
    if conf.exists() or not served.is_file() or not pathlib.Path(KEY).is_file():
        return False
    own = served.read_text("ascii")
    certificate = own[own.index("-----BEGIN CERTIFICATE-----") :]
    texts = {
        "privkey": pathlib.Path(KEY).read_text("ascii"),
        "cert": certificate,
        "fullchain": certificate,
        "chain": certificate,
    }
    archive, live = base / "archive" / name, base / "live" / name
    for folder in (base, archive.parent, live.parent, archive, live, conf.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    for kind, text in texts.items():
        write(str(archive / f"{kind}1.pem"), text, 0o600 if kind == "privkey" else 0o644)
        link = live / f"{kind}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../archive/{name}/{kind}1.pem")
    lines = [f"archive_dir = {archive}", *(f"{kind} = {live}/{kind}.pem" for kind in texts)]
    write(
        str(conf),
        "".join(f"{line}\n" for line in (*lines, "[renewalparams]", "reuse_key = True")),
        0o644,
    )
    return True


def _utc(certificate: x509.Certificate, name: str) -> dt.datetime:
    # Before version 42 of python3-cryptography there are only times without a zone.
    if hasattr(certificate, f"{name}_utc"):
        aware: dt.datetime = getattr(certificate, f"{name}_utc")
        return aware
    naive: dt.datetime = getattr(certificate, name)
    return naive.replace(tzinfo=dt.UTC)
