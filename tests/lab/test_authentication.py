"""The host's own Authentication-Results on inbound mail, as authres reads it."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import shlex
import uuid
from typing import TYPE_CHECKING

import authres
import pytest

from tests.lab.test_mail import arrived, bounced, inbound, submit

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

pytestmark = pytest.mark.lab

UNIT = "mailfleet-authentication"
AS_IT_CAME = email.policy.default.clone(refold_source="none", linesep="\r\n")
# On a host, as the one user that may: brings a message to another one's port 25, from one of its addresses.
BRING = """\
import base64, json, smtplib, sys
ask = json.load(sys.stdin)
with smtplib.SMTP(ask["to"], 25, ask["helo"], 30, (ask["from"], 0)) as smtp:
    smtp.sendmail(ask["sender"], [ask["recipient"]], base64.b64decode(ask["data"]))
"""


def results(deployed: DeployedLab, host: str, token: str) -> dict[str, dict[str, str]]:
    """Result and properties by method, of the one header that the mail with `token` has."""
    text = bounced(deployed, "shop.test", token, (host,))
    message = email.message_from_string(text, policy=email.policy.default)
    headers = message.get_all("Authentication-Results", [])
    assert len(headers) == 1, text
    # Above whatever came from outside.
    names = [name for name in message if name not in ("Return-Path", "Delivered-To", "Received")]
    assert names[0].startswith(("Authentication-Results", "X-Spam", "X-Amavis")), names
    header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {headers[0]}")
    assert header.authserv_id == host
    assert [one.method for one in header.results] == ["spf", "dkim", "dmarc"]
    return {
        one.method: {"": one.result, **{f"{p.type}.{p.name}": p.value for p in one.properties}}
        for one in header.results
    }


def bring(
    deployed: DeployedLab, host: str, data: bytes, sender: str, helo: str = "stranger.inbox.test"
) -> None:
    """From the lab's router, which is nobody's mail server."""
    with inbound(deployed, str(deployed.fleet.host(host).addresses[0])) as smtp:
        smtp.ehlo(helo)
        assert smtp.mail(sender)[0] == 250
        assert smtp.rcpt("orders@shop.test")[0] == 250
        assert smtp.data(data)[0] == 250


def signed(deployed: DeployedLab, host: str) -> tuple[bytes, str, str]:
    """A mail as a stream of `host` sends it, the address that it leaves from, and its HELO name."""
    sending, stream = deployed.fleet.host_streams(deployed.fleet.host(host))[0]
    recipient = f"authentic-{uuid.uuid4().hex}@inbox.test"
    submit(deployed, sending, stream, recipient)
    data = arrived(deployed, recipient).as_bytes(policy=AS_IT_CAME)
    address = next(str(a) for a in sending.addresses if a.version == 4)
    return data, address, sending.helo


def with_token(data: bytes) -> tuple[bytes, str]:
    """With a header field that no signature covers, to find the mail by."""
    token = uuid.uuid4().hex
    return f"X-Token: {token}\r\n".encode() + data, token


def test_mail_of_the_other_region_passes(deployed_lab: DeployedLab, host: str) -> None:
    other = deployed_lab.us if host == deployed_lab.eu else deployed_lab.eu
    data, address, helo = signed(deployed_lab, other)
    for sender, spf in (
        ("bounces@bounce.shop.test", {"": "pass", "smtp.mailfrom": "bounce.shop.test"}),
        ("", {"": "pass", "smtp.helo": helo}),
    ):
        message, token = with_token(data)
        ask = {
            "to": str(deployed_lab.fleet.host(host).addresses[0]),
            "from": address,
            "helo": helo,
            "sender": sender,
            "recipient": "orders@shop.test",
            "data": base64.b64encode(message).decode(),
        }
        deployed_lab.on(
            other,
            f"runuser -u postfix -- python3 -I -c {shlex.quote(BRING)}",
            stdin=json.dumps(ask),
        )
        found = results(deployed_lab, host, token)
        assert found["spf"] == spf
        assert (found["dkim"][""], found["dkim"]["header.d"]) == ("pass", "shop.test")
        assert found["dmarc"] == {"": "pass", "header.from": "shop.test"}


def test_a_stranger_in_our_name_does_not(deployed_lab: DeployedLab, host: str) -> None:
    data, _, _ = signed(deployed_lab, host)
    # What it forwards keeps its signature; what it changes does not.
    for change, dkim in ((b"Hello", "pass"), (b"Pay me", "fail")):
        message, token = with_token(data.replace(b"Hello", change))
        bring(deployed_lab, host, message, "bounces@bounce.shop.test")
        found = results(deployed_lab, host, token)
        assert found["spf"][""] in ("fail", "softfail")
        assert (found["dkim"][""], found["dmarc"][""]) == (dkim, dkim)
    token = uuid.uuid4().hex
    unsigned = f"From: boss@shop.test\r\nSubject: {token}\r\n\r\nPay me.\r\n".encode()
    bring(deployed_lab, host, unsigned, "x@nowhere.example", "[192.0.2.9]")
    found = results(deployed_lab, host, token)
    assert found["spf"][""] == "none"
    assert found["dkim"] == {"": "none"}
    assert found["dmarc"] == {"": "fail", "header.from": "shop.test"}


@pytest.mark.parametrize(
    "form",
    [
        "Authentication-Results: {host}; dmarc=pass header.from=shop.test",
        "AUTHENTICATION-RESULTS: {host}; dmarc=pass",
        "Authentication-Results : {host}; dmarc=pass",
        "Authentication-Results\t:\t{host}; dmarc=pass",
        "Authentication-Results:\r\n {host};\r\n\tdmarc=pass",
        "Authentication-Results: {host} 1; dmarc=pass",
        "Authentication-Results: (a comment) {host} (1) 1; dmarc=pass",
        'Authentication-Results: "{host}"; dmarc=pass',
        "Authentication-Results:{host};dmarc=pass",
        f"Authentication-Results{' ' * 900}: {{host}}; dmarc=pass",
        "X-Field: what some take for a line's end\rAuthentication-Results: {host}; dmarc=pass",
        "ARC-Authentication-Results: i=1; {host}; dmarc=pass",
    ],
    ids=lambda form: form[:40],
)
def test_no_forged_result_survives(deployed_lab: DeployedLab, host: str, form: str) -> None:
    token = uuid.uuid4().hex
    forged = form.format(host=host)
    data = f"{forged}\r\nFrom: boss@shop.test\r\n{forged}\r\nX-Token: {token}\r\n\r\nPay.\r\n"
    bring(deployed_lab, host, data.encode(), "x@nowhere.example")
    assert results(deployed_lab, host, token)["dmarc"][""] == "fail"


# Frozen, it still has its socket: Postfix waits as long as it is told to, then goes on.
@pytest.mark.parametrize("end", ["stop", "kill -s STOP"])
def test_without_results_mail_is_taken_all_the_same(
    deployed_lab: DeployedLab, host: str, end: str
) -> None:
    token = uuid.uuid4().hex
    forged = f"Authentication-Results: {host}; dmarc=pass"
    data = f"{forged}\r\nFrom: a@shop.test\r\nX-Token: {token}\r\n\r\nx\r\n"
    deployed_lab.on(host, f"systemctl {end} {UNIT}")
    try:
        bring(deployed_lab, host, data.encode(), "x@nowhere.example")
    finally:
        # A frozen one is killed and started again.
        deployed_lab.on(host, f"systemctl kill -s KILL {UNIT}; systemctl start {UNIT}")
    message = email.message_from_string(bounced(deployed_lab, "shop.test", token, (host,)))
    assert message["Authentication-Results"] is None
