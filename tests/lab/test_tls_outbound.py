"""Outbound TLS: DANE, then MTA-STS, then whatever is offered; and the fleet's own demands before all."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_mail import DEADLINE, arrived, submit
from tests.lab.tls_receivers import ZONE, Plain, receivers, update_dns

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SOCKETMAP = "socketmap:unix:/run/mailfleet-tls-policy/socket:postfix"
NO_TLS = {"TLS-Required": "No"}
DEMANDS = {
    f"plain.{ZONE}": "encrypt",
    f"secure.{ZONE}": {"level": "secure", "names": [f".{ZONE}"]},
    f"secure-bad.{ZONE}": "secure",
    f"named.{ZONE}": "verify",
    f"dane-only.{ZONE}": "dane-only",
    f"both-bad.{ZONE}": "may",
}


@pytest.fixture(scope="module", autouse=True)
def plain(deployed_lab: DeployedLab) -> Iterator[Plain]:
    """Receivers of all kinds."""
    with receivers(deployed_lab) as server:
        yield server


def sent(deployed: DeployedLab, host: str, domain: str, **headers: str) -> tuple[str, str, str]:
    """Submit a mail; its recipient, and Postfix's words on the connection and on the outcome."""
    sending, stream = deployed.fleet.host_streams(deployed.fleet.host(host))[0]
    recipient = f"tls-{uuid.uuid4().hex}@{domain}.{ZONE}"
    submit(deployed, sending, stream, recipient, headers=headers)
    return recipient, *outcome(deployed, host, recipient, "status=")


def outcome(
    deployed: DeployedLab, host: str, recipient: str, said: str, *, flush: bool = False
) -> tuple[str, str]:
    """The line of the log on the last connection before, and that on the recipient with `said`."""
    log = "/var/log/postfix/postfix-transactional.log"
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        if flush:
            deployed.on(host, "postqueue -c /etc/postfix-transactional -f")
        lines = deployed.on(host, f"grep -E ' TLS connection |to=<' {log}").splitlines()
        for number, line in enumerate(lines):
            if f"to=<{recipient}>" in line and said in line:
                before = [one for one in lines[:number] if " TLS connection est" in one]
                return (before[-1] if before else ""), line
        time.sleep(0.1)
    pytest.fail(f"the log says nothing of {recipient} with {said}")


def test_dane_is_kept(deployed_lab: DeployedLab, host: str) -> None:
    recipient, connection, line = sent(deployed_lab, host, "both")
    assert "status=sent" in line
    assert "Verified TLS connection established to mx.inbox.test" in connection
    arrived(deployed_lab, recipient)


def test_a_wrong_tlsa_record_defers_the_mail_until_it_is_right(
    deployed_lab: DeployedLab, host: str
) -> None:
    recipient, _, line = sent(deployed_lab, host, "dane-mended")
    assert "status=deferred (Server certificate not verified)" in line, line
    good = deployed_lab.on("receiver", _SPKI).strip()
    try:
        update_dns(deployed_lab, {"_25._tcp.mx-mended": (("TLSA", f"3 1 1 {good}"),)})
        # What the resolver remembers of the wrong one lasts for a second.
        outcome(deployed_lab, host, recipient, "status=sent", flush=True)
    finally:
        update_dns(deployed_lab, {"_25._tcp.mx-mended": (("TLSA", "3 1 1 " + "00" * 32),)})
    arrived(deployed_lab, recipient)


_SPKI = (
    "openssl x509 -in /etc/postfix/tls.pem -noout -pubkey | openssl pkey -pubin -outform der"
    " | sha256sum | cut -d' ' -f1"
)


def test_an_enforced_mta_sts_policy_is_kept(deployed_lab: DeployedLab, host: str) -> None:
    _, connection, line = sent(deployed_lab, host, "sts")
    assert "status=sent" in line, line
    assert "Verified TLS connection established to mx-sts.inbox.test" in connection
    _, _, line = sent(deployed_lab, host, "sts-bad")
    assert "status=deferred (Server certificate not verified)" in line, line


@pytest.mark.parametrize("domain", ["dane-bad", "sts-bad"])
def test_a_message_cannot_do_without_tls(deployed_lab: DeployedLab, host: str, domain: str) -> None:
    """RFC 8689 would let it; what a receiver demands is not the application's to waive."""
    _, _, line = sent(deployed_lab, host, domain, **NO_TLS)
    assert "status=deferred (Server certificate not verified)" in line, line


def test_a_policy_in_testing_binds_nobody(deployed_lab: DeployedLab, host: str) -> None:
    _, connection, line = sent(deployed_lab, host, "sts-testing")
    assert "status=sent" in line, line
    assert "Verified" not in connection


@pytest.mark.parametrize(
    ("domain", "policy"),
    [
        ("sts", f"secure match=mx-sts.{ZONE} servername=hostname"),
        ("sts-testing", ""),
        ("dane-bad", ""),
        ("both", "dane-only"),
        ("both-bad", "dane-only"),
    ],
)
def test_dane_goes_before_mta_sts(
    deployed_lab: DeployedLab, host: str, domain: str, policy: str
) -> None:
    asked = f"runuser -u postfix -- postmap -q {domain}.{ZONE} {SOCKETMAP} || [ $? = 1 ]"
    assert deployed_lab.on(host, asked).strip() == policy


def test_a_good_mta_sts_policy_does_not_override_failing_dane(
    deployed_lab: DeployedLab, host: str
) -> None:
    """RFC 8461 §2. The certificate is the policy's, the TLSA record is wrong."""
    _, _, line = sent(deployed_lab, host, "both-bad")
    assert "status=deferred (Server certificate not verified)" in line, line


@pytest.mark.parametrize("unit", ["postfix-mta-sts-resolver", "mailfleet-tls-policy"])
def test_mail_waits_where_policies_cannot_be_asked(
    deployed_lab: DeployedLab, host: str, unit: str
) -> None:
    deployed_lab.on(host, f"systemctl stop {unit}")
    try:
        recipient, _, line = sent(deployed_lab, host, "sts")
        assert "status=deferred (client TLS configuration problem)" in line, line
        log = deployed_lab.on(host, "tail -n 20 /var/log/postfix/postfix-transactional.log")
        assert "/run/mailfleet-tls-policy/socket" in log
        if unit == "postfix-mta-sts-resolver":
            assert "the MTA-STS resolver does not answer" in log
    finally:
        deployed_lab.on(host, f"systemctl start {unit}")
    outcome(deployed_lab, host, recipient, "status=sent", flush=True)


def test_without_any_policy_plain_text_is_better_than_nothing(
    deployed_lab: DeployedLab, host: str, plain: Plain
) -> None:
    recipient, _, line = sent(deployed_lab, host, "encrypt")
    assert "status=sent" in line, line
    assert recipient in plain.recipients


def test_the_fleets_demands_stand_above_all(
    deployed_lab: DeployedLab, tmp_path: Path, plain: Plain
) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "dns").symlink_to(ROOT / "dns")
    text = (ROOT / "inventories/lab").read_text()
    inventory = tmp_path / "inventories/lab"
    inventory.write_text(
        text.replace("    globals(),", f"    globals(),\n    outbound_tls={DEMANDS!r},")
    )
    try:
        deploy(deployed_lab, inventory)
        for host in (deployed_lab.eu, deployed_lab.us):
            check_demands(deployed_lab, host, plain)
    finally:
        deployed_lab.repair(dns=False)


def check_demands(deployed: DeployedLab, host: str, plain: Plain) -> None:
    recipient, _, line = sent(deployed, host, "plain")
    assert "status=deferred (TLS is required, but was not offered" in line, line
    assert recipient not in plain.recipients
    recipient, _, line = sent(deployed, host, "plain", **NO_TLS)
    assert "status=deferred (TLS is required, but was not offered" in line, line
    assert recipient not in plain.recipients
    _, connection, line = sent(deployed, host, "secure")
    assert "status=sent" in line, line
    assert "Verified TLS connection established to mx-sts.inbox.test" in connection
    _, connection, line = sent(deployed, host, "named")
    assert "status=sent" in line, line
    assert "Verified TLS connection" in connection
    _, _, line = sent(deployed, host, "secure-bad")
    assert "status=deferred (Server certificate not verified)" in line, line
    _, _, line = sent(deployed, host, "dane-only")
    assert "status=deferred" in line
    assert re.search(r"TLSA lookup error|non DNSSEC destination|no TLSA records", line), line
    # Broken DANE and MTA-STS of one's own do not keep mail from a receiver that the fleet exempts.
    _, _, line = sent(deployed, host, "both-bad")
    assert "status=sent" in line, line


def deploy(deployed: DeployedLab, inventory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", str(inventory), "deploys/mta.py"],
        cwd=ROOT, env=deployed.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
