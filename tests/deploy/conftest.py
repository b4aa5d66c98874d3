"""A small project whose hosts are pyinfra's `@fake` hosts, and runs of the real deploy against it."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailfleet.deploy.target import target_of
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from mailfleet.project import inventory
from roles import desired, tls
from tests.deploy.answers import Answers, converged, fresh

ROOT = Path(__file__).resolve().parents[2]
EU, US = "mta1.eu.shop.example", "mta1.us.shop.example"
SUITES = {EU: "bookworm", US: "trixie"}
LOGINS = {
    "shop": f"$6$salt1${'hashOfShop/1':x<86}",
    "newsletter": f"$6$salt2${'hashOfNewsletter/2':x<86}",
}

DOMAIN = """\
[dkim]
period = "2026q4"

[streams.orders]
logins = ["shop"]

[streams.news]
from_domain = "news.shop.example"
logins = ["newsletter"]
tls_port = 2465
starttls_port = 2587
"""
INVENTORY = """\
import json as _json
import pathlib as _pathlib

from mailfleet import inventory as _inventory

eu = [
    (
        "@fake/mta1.eu.shop.example",
        {
            "addresses": ["192.0.2.10", "2001:db8:e0::10"],
            "streams": {
                "orders": ["192.0.2.11", "2001:db8:e0::11"],
                "news": "orders",
            },
        },
    ),
]
us = [
    (
        "@fake/mta1.us.shop.example",
        {
            "ssh_port": 2222,
            "streams": {"orders": ["203.0.113.11"], "news": ["203.0.113.12"]},
        },
    ),
]
_inventory.declare(globals(), domains=["shop.example"])

# After `declare`, which knows no such key: what pyinfra's fake connector shall answer.
_answers = _json.loads((_pathlib.Path(__file__).parents[1] / "answers.json").read_text())
for _name, _data in eu + us:
    _data["fake_responses"] = _answers.get(_name.rpartition("/")[2], {})
"""
# Example addresses forbid to connect.
PUBLIC = (
    INVENTORY.replace('"192.0.2.', '"193.0.6.')
    .replace('"203.0.113.', '"193.0.7.')
    .replace('"2001:db8:', '"2001:67c:2e8:')
)


@dataclass(frozen=True)
class Command:
    """One remote command."""

    host: str
    text: str
    stdin: str

    def files(self) -> dict[str, str]:
        """The files of an archive that `operations.files` sends."""
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(self.stdin)), mode="r:gz") as archive:
            members = {m.name: archive.extractfile(m) for m in archive.getmembers()}
            return {
                name: file.read().decode(errors="surrogateescape")
                for name, file in members.items()
                if file
            }


@dataclass(frozen=True)
class Run:
    """One run of pyinfra: how it ended, what it printed, and every remote command in its order."""

    code: int
    stdout: str
    stderr: str
    commands: tuple[Command, ...]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def on(self, host: str) -> list[Command]:
        return [command for command in self.commands if command.host == host]

    @property
    def totals(self) -> dict[str, int]:
        """pyinfra's sums over all hosts and operations, of a run with --json."""
        totals: dict[str, int] = json.loads(self.stdout)["results"]["totals"]
        del totals["hosts"]  # that of each operation, added up
        return totals

    @property
    def plan(self) -> dict[str, list[str]]:
        """Each planned operation and the hosts that it would change, of a run with --json."""
        return {row["name"]: row["hosts_with_change"] for row in json.loads(self.stdout)["plan"]}


MAILFLEET = "import mailfleet.cli; mailfleet.cli.main()"


class Project:
    """A folder with inventories, domain files and answers; the deploy is the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("inventories", "dns"):
            (folder / name).mkdir()
        self.write("inventories/prod", INVENTORY)
        self.write("dns/shop.example.toml", DOMAIN)
        self.answer({})

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def answer(self, answers: dict[str, Answers]) -> None:
        """What the hosts answer from now on; anything else succeeds without a word."""
        self.write("answers.json", json.dumps(answers))

    def answers(self) -> dict[str, Answers]:
        answers: dict[str, Answers] = json.loads((self.folder / "answers.json").read_text())
        return answers

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(SUITES)

    @property
    def logins(self) -> dict[str, str]:
        """The password hashes that a run finds in its environment."""
        return dict(LOGINS)

    def desired(self, host: str) -> HostState:
        return desired(self.target(host))

    def converge(self, certify: Callable[[tuple[str, ...]], Iterable[str]]) -> None:
        """Let every host be as the roles want it, with certificates that `certify` makes."""
        targets = {host: self.target(host) for host in SUITES}
        self.answer({h: converged(t, certify(tls.names(t))) for h, t in targets.items()})

    def wipe(self) -> None:
        """Let every host be fresh."""
        self.answer({host: fresh(self.target(host)) for host in SUITES})

    def mailfleet(
        self, *arguments: str, program: str = MAILFLEET, logins: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the Python `program` with `arguments` here, with the logins' secrets or without."""
        secrets = {f"MAILFLEET_LOGIN_{name.upper()}": text for name, text in self.logins.items()}
        return subprocess.run(
            [sys.executable, "-P", "-c", program, *arguments],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("MAILFLEET_")},
                **(secrets if logins else {}),
                "PYINFRA_FAKE_DELAY": "0",
                "PYINFRA_FAKE_DELAY_JITTER": "0",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def pyinfra(
        self,
        *options: str,
        enter: bool = False,
        environment: dict[str, str] | None = None,
        deploy: str = "deploys/mta.py",
        program: str = "recorder.py",
    ) -> Run:
        """`pyinfra inventories/prod DEPLOY OPTIONS...`; with `enter` its question is confirmed."""
        journal = self.folder / "journal"
        journal.write_text("")
        secrets = {f"MAILFLEET_LOGIN_{name.upper()}": text for name, text in LOGINS.items()}
        done = subprocess.run(
            [
                *(sys.executable, "-P", str(Path(__file__).parent / program), str(journal)),
                *("inventories/prod", str(ROOT / deploy), *options),
            ],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("MAILFLEET_")},
                **(secrets if environment is None else environment),
                "PYINFRA_FAKE_DELAY": "0",
                "PYINFRA_FAKE_DELAY_JITTER": "0",
            },
            input="\n" if enter else "",
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        rows = [json.loads(line) for line in journal.read_text().splitlines()]
        return Run(done.returncode, done.stdout, done.stderr, tuple(Command(**r) for r in rows))

    def target(self, host: str) -> Target:
        """What the deploy works with on one host."""
        return target_of(inventory.read(self.folder / "inventories/prod"), host, SUITES[host])


Certify = Callable[..., list[str]]
"""What the Tls fact prints for a good certificate of some names, valid for a given time."""


@pytest.fixture
def certify() -> Certify:
    """Makes certificates like an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def make(names: tuple[str, ...], lifetime: dt.timedelta = dt.timedelta(days=90)) -> list[str]:
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + lifetime)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True
            )
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        return [
            "mode|640 root root",
            "key|600 root root",
            "web|640 root root",
            *public.decode().splitlines(),
            "chain|",
            *certificate.decode().splitlines(),
        ]

    return make


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of two hosts: `EU` (Debian 12, both IP versions), `US` (Debian 13, IPv4, port 2222)."""
    for login, hashed in LOGINS.items():
        monkeypatch.setenv(f"MAILFLEET_LOGIN_{login.upper()}", hashed)
    return Project(tmp_path)
