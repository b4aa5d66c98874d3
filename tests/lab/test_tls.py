"""TLS of every SMTP port: exactly the versions, suites and curves of Mozilla's guideline 6.0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mailfleet.host.tls_guideline import SUITES

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

# Runs on the host, whose openssl is as new as its Postfix's: one connection for each offer. It prints
# the version, suite and group that each got.
OFFER = r"""
import json, re, subprocess, sys
address, port, offers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
start = [] if port == "465" else ["-starttls", "smtp"]
found = {}
for offer in offers:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address}:{port}", *start, *offer.split()],
        input="", capture_output=True, text=True, timeout=60)
    text = done.stdout + done.stderr
    new = re.search(r"^New, (\S+), Cipher is (\S+)$", text, re.M)
    group = re.search(r"^(?:Negotiated TLS1.3 group|Server Temp Key|Peer Temp Key): ([^,\n]+)", text, re.M)
    good = new is not None and new[2] != "(NONE)"
    found[offer] = [new[1], new[2], group[1] if group else ""] if good else None
print(json.dumps(found))
"""
WEAK = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"


def offered(
    deployed: DeployedLab, host: str, port: int, offers: list[str], version: int = 4
) -> dict[str, list[str] | None]:
    """What the host's port makes of each offer: version, suite and group, or None."""
    machine = deployed.fleet.host(host)
    addresses = machine.addresses if port == 25 else machine.sending[0].addresses
    address = next(
        f"[{a}]" if a.version == 6 else str(a) for a in addresses if a.version == version
    )
    command = f"python3 - '{address}' {port} '{json.dumps(offers)}'"
    found: dict[str, list[str] | None] = json.loads(deployed.on(host, command, stdin=OFFER))
    return found


@pytest.mark.parametrize("port", [25, 465, 587])
def test_versions_and_suites(deployed_lab: DeployedLab, host: str, port: int) -> None:
    old = [f"-tls1 -cipher {WEAK}", f"-tls1_1 -cipher {WEAK}"]
    others = [
        f"-tls1_2 -cipher {WEAK}" + "".join(f":!{suite}" for suite in SUITES),
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA",
        "-tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305",
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-CCM",
    ]
    # The host's key is ECDSA: the suites for RSA keys have nothing to sign with.
    planned = [f"-tls1_2 -cipher {suite}" for suite in SUITES if "-ECDSA-" in suite]
    newest = [
        f"-tls1_3 -ciphersuites {suite}"
        for suite in (
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        )
    ]
    found = offered(deployed_lab, host, port, [*old, *others, *planned, *newest])
    assert {offer: found[offer] for offer in (*old, *others)} == dict.fromkeys((*old, *others))
    for offer in (*planned, *newest):
        got = found[offer]
        assert got is not None, offer
        assert got[1] == offer.split()[-1]


@pytest.mark.parametrize("version", [4, 6])
def test_the_client_chooses_among_good_suites(
    deployed_lab: DeployedLab, host: str, version: int
) -> None:
    suites = ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256")
    offers = [f"-tls1_2 -cipher {':'.join(order)}" for order in (suites, suites[::-1])]
    found = offered(deployed_lab, host, 587, offers, version)
    assert [got and got[1] for got in found.values()] == [*suites]


@pytest.mark.parametrize("port", [25, 465])
def test_curves(deployed_lab: DeployedLab, host: str, port: int) -> None:
    planned = ["-groups X25519", "-groups P-256", "-groups P-384"]
    refused = ["-groups P-521", "-groups X448", "-groups ffdhe2048", "-groups ffdhe3072"]
    found = offered(deployed_lab, host, port, [*planned, *refused])
    assert {offer: found[offer] for offer in refused} == dict.fromkeys(refused)
    for offer in planned:
        assert found[offer] is not None, offer
    if host == deployed_lab.us:
        # OpenSSL 3.5: a session that is recorded today cannot be read by a later quantum computer.
        (got,) = offered(deployed_lab, host, port, ["-tls1_3"]).values()
        assert got is not None
        assert got[2] == "X25519MLKEM768"


@pytest.mark.parametrize("port", [25, 587])
def test_inbound_and_submission_start_tls_over_ipv6_too(
    deployed_lab: DeployedLab, host: str, port: int
) -> None:
    (got,) = offered(deployed_lab, host, port, ["-tls1_3"], 6).values()
    assert got is not None
