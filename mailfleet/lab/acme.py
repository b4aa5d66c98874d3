"""The lab's certificate authority: Pebble, beside the name server, which it asks to validate.

Pebble issues over ACME like Let's Encrypt, and fetches each challenge from the addresses that the
lab's DNS gives. Its root is another one at each start, so whoever trusts the lab has to learn it.
"""

from __future__ import annotations

import json
import ssl
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from mailfleet.lab import addresses
from mailfleet.lab.ca import Certificate
from mailfleet.lab.hostfiles import HostFile, service
from mailfleet.lab.paths import write_private

DIRECTORY = f"https://{addresses.ACME_NAME}/dir"
UNIT = "lab-acme"
_MANAGEMENT_PORT = 15000
_FOLDER = "etc/lab-acme"
# Let's Encrypt's.
_LIFETIME_SECONDS = 90 * 24 * 3600


def files(certificate: Certificate) -> tuple[HostFile, ...]:
    """What the image `nameserver` needs to be the authority too; `certificate` is its web server's."""
    return (
        HostFile(f"{_FOLDER}/pebble.json", _configuration()),
        HostFile(f"{_FOLDER}/certificate.pem", certificate.certificate),
        HostFile(f"{_FOLDER}/key.pem", certificate.key, 0o600),
        *service(
            UNIT,
            "Certificate authority of the lab",
            f"/usr/bin/pebble -strict -config /{_FOLDER}/pebble.json"
            f" -dnsserver {addresses.RESOLVER[0]}:53",
            after="lab-resolver",
            environment={
                # Validate at once, every name of every order, and refuse no good nonce.
                "PEBBLE_VA_NOSLEEP": "1",
                "PEBBLE_AUTHZREUSE": "0",
                "PEBBLE_WFE_NONCEREJECT": "0",
            },
        ),
    )


def root(ca: Path) -> str:
    """Pebble's present root (PEM), asked from within the lab's internet; `ca` vouches for the answer.

    OSError, which covers TLS errors, or HTTPException while it does not answer.
    """
    context = ssl.create_default_context(cafile=str(ca))
    # The lab's names are not this machine's: the address is asked, which no certificate names.
    context.check_hostname = False
    connection = HTTPSConnection(
        str(addresses.ACME[0]), _MANAGEMENT_PORT, timeout=2, context=context
    )
    try:
        connection.request("GET", "/roots/0")
        answer = connection.getresponse()
        text = answer.read().decode("ascii", "replace")
    finally:
        connection.close()
    if answer.status != 200 or "BEGIN CERTIFICATE" not in text:
        raise HTTPException(f"Pebble answers {answer.status} when asked for its root")
    return text


def trust(bundle: Path, root: str) -> None:
    """Add the root `found` to the file of all that the lab's operators trust."""
    known = bundle.read_text("ascii")
    if root.strip() not in known:
        # Earlier roots stay: the hosts' certificates are still theirs.
        write_private(bundle, known + root.strip() + "\n")


def _configuration() -> str:
    return json.dumps(
        {
            "pebble": {
                "listenAddress": ":443",
                "managementListenAddress": f":{_MANAGEMENT_PORT}",
                "certificate": f"/{_FOLDER}/certificate.pem",
                "privateKey": f"/{_FOLDER}/key.pem",
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                "certificateValidityPeriod": _LIFETIME_SECONDS,
            }
        },
        indent=2,
    )
