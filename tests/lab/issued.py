"""Looking at the certificates of a deployed lab."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from mailfleet import lab
from mailfleet.host.agent import COMMAND
from mailfleet.lab import acme
from tests.lab.test_mail import LabSmtp, connect

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

ROOT = Path(__file__).resolve().parents[2]
SHARED = "smtp-transactional.shop.test"
CHAIN = "/etc/mailfleet/tls/chain.pem"
AGENT = f"{COMMAND} certificate"
WEBROOT = "/var/lib/mailfleet/acme/.well-known/acme-challenge"


def leaf(deployed: DeployedLab, host: str) -> x509.Certificate:
    """The certificate that is installed."""
    text = deployed.on(host, f"openssl x509 -in {CHAIN}")
    return x509.load_pem_x509_certificate(text.encode())


def served(deployed: DeployedLab, address: str, port: int, name: str) -> x509.Certificate:
    """The certificate that a client gets which trusts the lab's authorities and wants `name`."""
    if port == 25:
        with LabSmtp(deployed, address, port, name) as smtp:
            smtp.starttls(context=smtp.context)
            assert isinstance(smtp.sock, ssl.SSLSocket)
            der = smtp.sock.getpeercert(binary_form=True)
    else:
        trust = ssl.create_default_context(cafile=str(lab.files(deployed.name).ca_certificate))
        with connect(deployed, address, port) as plain:
            with trust.wrap_socket(plain, server_hostname=name) as tls:
                der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der)


def names_of(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value.get_values_for_type(x509.DNSName))


def orders(deployed: DeployedLab) -> int:
    """How many orders the authority has been asked for since it was started."""
    return int(
        deployed.on("ns", f"journalctl -u {acme.UNIT} --no-pager | grep -c order-plz || true")
    )


def state(deployed: DeployedLab, host: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        deployed.on(host, "cat /var/lib/mailfleet/certificate/state.json")
    )
    return found


def metric(deployed: DeployedLab, host: str, name: str) -> int:
    text = deployed.on(host, "cat /var/lib/mailfleet/metrics/certificate.prom")
    found = re.search(rf"^mailfleet_certificate_{name}(?:\{{[^}}]*\}})? (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def agent(deployed: DeployedLab, host: str, verb: str) -> tuple[int, str]:
    """Exit code of the agent on a host, and what it said."""
    done = deployed.on(host, f'{{ {AGENT} {verb}; }} 2>&1; echo "code=$?"')
    said, _, code = done.rpartition("code=")
    return int(code), said


def page(
    deployed: DeployedLab, address: str, name: str, path: str, **headers: str
) -> tuple[int, str]:
    """Status and text of an HTTP page at one address."""
    connection = http.client.HTTPConnection(name, timeout=20)
    connection.sock = connect(deployed, address, 80)
    connection.request("GET", path, headers={"Host": name, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def spec(deployed: DeployedLab) -> lab.LabSpec:
    from mailfleet.cli.lab import spec_of

    return spec_of(deployed.fleet)
