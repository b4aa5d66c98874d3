"""The snippets of docs/applications.md send mail, as they stand there, to both releases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailfleet import lab
from mailfleet.lab import namespaces
from mailfleet.project.lab_environment import Lab
from tests.lab.test_mail import arrived

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

PAGE = Path(__file__).resolve().parents[2] / "docs/applications.md"
# In a mount namespace of its own: the lab's names, and its authority as the only one.
INSIDE = """
mount --bind hosts /etc/hosts
mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt
exec "$@"
"""


def snippet(name: str) -> str:
    """The code below the paragraph that begins with the bold NAME."""
    found = re.search(
        rf"^\*\*{re.escape(name)}\*\*.*?^```\w+\n(.*?)^```$", PAGE.read_text(), re.M | re.S
    )
    assert found, name
    return found[1]


def of_lab(text: str, recipient: str) -> str:
    """With the names of the lab's stream and its login."""
    text = text.replace("customer@example.net", recipient).replace("shop.example", "shop.test")
    return re.sub(r'(--auth-user |"|^user )shop\b(?=[" :]|$)', r"\1orders", text, flags=re.M)


@pytest.mark.parametrize("region", ["eu", "us"])
@pytest.mark.parametrize("name", ["Python, smtplib", "curl", "swaks", "msmtp"])
def test_a_snippet_sends(deployed_lab: DeployedLab, tmp_path: Path, region: str, name: str) -> None:
    recipient = f"snippet-{uuid.uuid4().hex}@inbox.test"
    code = of_lab(snippet(name), recipient)
    command = ["sh", "-c", code]
    if name == "Python, smtplib":
        command = [sys.executable, "-c", code]
    if name == "msmtp":
        (tmp_path / ".msmtprc").write_text(code)
        (tmp_path / ".msmtprc").chmod(0o600)
        command = ["sh", "-c", f"msmtp {recipient} < mail.eml"]
    run(deployed_lab, tmp_path, region, recipient, command)
    message = arrived(deployed_lab, recipient)
    assert message["Subject"] == "Your order"
    assert "dmarc=pass" in str(message["Authentication-Results"])


def test_django_sends_a_burst_with_a_connection_for_each(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    """More than the 120 a minute at which mail was lost once: Django does not submit again."""
    recipient = f"snippet-{uuid.uuid4().hex}@inbox.test"
    settings = of_lab(snippet("Django"), recipient)
    (tmp_path / "settings.py").write_text(f"import os\n{settings}".replace('"shop"', '"orders"'))
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
        "from django.core.mail import send_mail\n"
        "for number in range(130):\n"
        f"    send_mail(f'Order {{number}}', 'Thank you.', 'shop@shop.test', ['{recipient}'])\n"
    )
    run(deployed_lab, tmp_path, "eu", recipient, [sys.executable, "-c", code])
    assert arrived(deployed_lab, recipient)["From"] == "shop@shop.test"


def run(
    deployed: DeployedLab, folder: Path, region: str, recipient: str, command: list[str]
) -> None:
    """Run a client in the lab's network; it must say that all went well."""
    sending = deployed.fleet.host(getattr(deployed, region)).sending[0]
    endpoint = deployed.fleet.stream(sending.stream).endpoint
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{sending.ipv4} {endpoint}\n")
    authority = lab.files(deployed.name).ca_certificate
    (folder / "ca.pem").write_bytes(Path(authority).read_bytes())
    (folder / "mail.eml").write_text(
        f"From: Shop <shop@shop.test>\r\nTo: {recipient}\r\nSubject: Your order\r\n\r\nThank you.\r\n"
    )
    password = Lab(deployed.name).secret("password-orders", "tests").reveal()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "SMTP_PASSWORD": password,
        # For a Python that is not Debian's.
        "SSL_CERT_FILE": str(folder / "ca.pem"),
    }
    done = namespaces.inside(
        namespaces.internet(deployed.name),
        lambda: subprocess.run(
            ["unshare", "--mount", "sh", "-ec", INSIDE, "sh", *command],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
