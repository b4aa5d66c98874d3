"""`mailfleet verify` names what is wrong with the web server, its policies and the certificate orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.breakages import NO_ORDERS, ORDERS
from tests.lab.test_verify import Breakage, break_and_judge

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

ROUNDS = [
    (
        Breakage(
            "the web server is stopped",
            {
                "services.running": "nginx.service is not running",
                "sandbox.processes": "nginx.service has no process to look at",
                "sockets.as_planned": "nothing listens on tcp any IPv4 port 80",
                "web.challenges": "198.51.100.11 port 80 does not answer",
                "web.policies": "https://mta-sts.shop.test/.well-known/mta-sts.txt at 198.51.100.10",
            },
            "systemctl stop nginx",
        ),
        Breakage(
            "a policy is changed, challenges are not found, and an order has failed",
            {
                "files.contents": (
                    "/var/lib/mailfleet/mta-sts/mta-sts.shop.test.txt was changed",
                    "/etc/nginx/nginx.conf was changed",
                ),
                "web.challenges": (
                    "203.0.113.10 port 80 answers HTTP status 404 to /.well-known/acme-challenge/",
                    "2001:db8:50::12 port 80 answers HTTP status 404",
                ),
                "web.policies": "is another policy than planned: ['version:', 'STSv1', 'mode:', 'none']",
                "tls.orders": "the last attempt to get a certificate failed: no luck",
                "web.groups": "203.0.113.10 port 443 takes the group secp521r1, expected only",
            },
            f"{NO_ORDERS} && printf 'version: STSv1\\r\\nmode: none\\r\\n'"
            " > /var/lib/mailfleet/mta-sts/mta-sts.shop.test.txt; cd /var/lib/mailfleet/certificate;"
            """ echo '{"result": "failed", "reason": "no luck"}' > state.json; rm settled;"""
            " sed -i 's|/acme-challenge/|/acme/|; /ssl_ecdh_curve/d' /etc/nginx/nginx.conf"
            " && systemctl reload nginx",
            undo=ORDERS,
        ),
    ),
]


@pytest.mark.parametrize(
    "breakages", ROUNDS, ids=lambda pair: " and ".join(breakage.name for breakage in pair)
)
def test_what_is_broken_is_named(
    deployed_lab: DeployedLab, breakages: tuple[Breakage, Breakage]
) -> None:
    break_and_judge(deployed_lab, breakages)
