"""Reports on TLS (RFC 8460) reach the address that DNS names for them."""

from __future__ import annotations

import gzip
import json
import uuid
from email.message import EmailMessage
from typing import TYPE_CHECKING

import dns.resolver
import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from tests.lab.test_mail import bounced

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("region", ["eu", "us"])
def test_a_report_arrives_where_dns_says(deployed_lab: DeployedLab, region: str) -> None:
    """From the receiver, as a provider sends it: gzip in a multipart/report, over STARTTLS."""
    host = getattr(deployed_lab, region)
    (domain,) = [one for one in deployed_lab.fleet.domains if one.tls_reports]
    address = published(deployed_lab, domain.name)
    assert address in domain.tls_reports
    token = uuid.uuid4().hex
    script = "cat > /tmp/report && postconf -h myhostname >/dev/null && " + (
        f'python3 -c \'import smtplib,ssl; s=smtplib.SMTP("{deployed_lab.fleet.host(host).ipv4}",'
        " timeout=30); s.starttls(context=ssl._create_unverified_context());"
        f' s.sendmail("tls-reports@inbox.test", ["{address}"], open("/tmp/report","rb").read())\''
        "; rm /tmp/report"
    )
    deployed_lab.on("receiver", script, stdin=report(domain.name, address, token).as_string())
    found = bounced(deployed_lab, address.rpartition("@")[2], token, (host,))
    assert "application/tlsrpt+gzip" in found
    assert f"TLS-Report-Domain: {domain.name}" in found


def published(deployed: DeployedLab, domain: str) -> str:
    """The address in the TLSRPT record, as a sender finds it."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [str(one) for one in lab.files(deployed.name).resolvers]
    (record,) = namespaces.inside(
        namespaces.internet(deployed.name),
        lambda: list(resolver.resolve(f"_smtp._tls.{domain}", "TXT")),
    )
    text = b"".join(record.strings).decode()
    assert text.startswith("v=TLSRPTv1;")
    return text.partition("rua=mailto:")[2].rstrip(";")


def report(domain: str, address: str, token: str) -> EmailMessage:
    """A report as in RFC 8460, section 5.3."""
    content = json.dumps({"organization-name": "inbox.test", "report-id": token, "policies": []})
    message = EmailMessage()
    message["From"] = "tls-reports@inbox.test"
    message["To"] = address
    message["Subject"] = f"Report Domain: {domain} Submitter: inbox.test Report-ID: <{token}>"
    message["Message-ID"] = f"<{token}@inbox.test>"
    message["TLS-Report-Domain"] = domain
    message["TLS-Report-Submitter"] = "inbox.test"
    message.set_content("A report on TLS.")
    message.add_attachment(
        gzip.compress(content.encode()), maintype="application", subtype="tlsrpt+gzip"
    )
    message.replace_header("Content-Type", 'multipart/report; report-type="tlsrpt"')
    return message
