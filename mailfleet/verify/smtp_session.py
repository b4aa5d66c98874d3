"""One look at an SMTP port: banner, TLS, and what it answers to senders and recipients.

Runs here and on mail hosts, there with Debian's own Python: standard library only. It reads a JSON
list of asks from its first argument and prints a JSON list of looks. No message is ever sent: each
transaction ends before DATA.
"""

from __future__ import annotations

import base64
import json
import smtplib
import socket
import ssl
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

TIMEOUT = 10.0


def look(ask: dict[str, Any]) -> dict[str, Any]:
    """Connect as `ask` says and tell what was found; `error` is why it ended early.

    An ask has: address, port, name (for TLS's server name), implicit (TLS from the first byte),
    source (address to bind to, or None), helo, tries (pairs of sender and recipient), ca (whom to
    trust, see `context`) and old_tls (whether to try TLS 1.1 too, on its own connection).
    """
    found: dict[str, Any] = {
        "error": "",
        "banner": "",
        "source": "",
        "helo": [0, ""],
        "plain_features": [],
        "tls": "",
        "certificate": "",
        "untrusted": "",
        "replies": [],
        "old_tls": "",
    }
    try:
        try:
            _converse(ask, found, context(ask["ca"]))
        except ssl.SSLCertVerificationError as error:
            found["untrusted"] = error.verify_message
            _converse(ask, found, context(None))
        if ask["old_tls"]:
            found["old_tls"] = _old_tls(ask)
    except (OSError, smtplib.SMTPException) as error:
        found["error"] = _words(error)
    return found


def _converse(ask: dict[str, Any], found: dict[str, Any], tls: ssl.SSLContext) -> None:
    with _connected(ask, tls if ask["implicit"] else None) as connection:
        found["source"] = connection.getsockname()[0]
        with _client(ask, connection) as smtp:
            _talk(smtp, ask, found, tls)


def _talk(
    smtp: smtplib.SMTP, ask: dict[str, Any], found: dict[str, Any], tls: ssl.SSLContext
) -> None:
    code, text = smtp.getreply()
    found["banner"] = f"{code} {_decoded(text)}"
    found["helo"] = _reply(smtp.ehlo(ask["helo"]))
    if not ask["implicit"]:
        found["plain_features"] = sorted(smtp.esmtp_features)
        if smtp.has_extn("starttls"):
            _start_tls(smtp, ask, tls)
            smtp.ehlo(ask["helo"])
    if isinstance(smtp.sock, ssl.SSLSocket):
        found["tls"] = smtp.sock.version()
        der = smtp.sock.getpeercert(binary_form=True) or b""
        found["certificate"] = base64.b64encode(der).decode()
    for sender, recipient in ask["tries"]:
        reply = _reply(smtp.docmd("MAIL", f"FROM:<{sender}>"))
        if reply[0] == 250:
            reply = _reply(smtp.docmd("RCPT", f"TO:<{recipient}>"))
        found["replies"].append([sender, recipient, *reply])
        smtp.docmd("RSET")


def _connected(ask: dict[str, Any], tls: ssl.SSLContext | None) -> socket.socket:
    source = (ask["source"], 0) if ask["source"] else None
    plain = socket.create_connection((ask["address"], ask["port"]), TIMEOUT, source)
    try:
        return tls.wrap_socket(plain, server_hostname=ask["name"]) if tls else plain
    except BaseException:
        plain.close()
        raise


def _client(ask: dict[str, Any], connection: socket.socket) -> smtplib.SMTP:
    """A client that says QUIT and closes the connection when its context ends."""
    smtp = smtplib.SMTP(local_hostname=ask["helo"], timeout=TIMEOUT)
    smtp.sock = connection
    return smtp


def _start_tls(smtp: smtplib.SMTP, ask: dict[str, Any], tls: ssl.SSLContext) -> None:
    # As smtplib's own starttls does, which knows no name when it connects to an address.
    code, text = smtp.docmd("STARTTLS")
    if code != 220 or smtp.sock is None:
        raise smtplib.SMTPResponseException(code, text)
    smtp.sock = tls.wrap_socket(smtp.sock, server_hostname=ask["name"])
    smtp.file = None


SYSTEM = "system"


def context(ca: str | None) -> ssl.SSLContext:
    """Trusting this machine's roots (SYSTEM), the certificates in the file `ca`, or anybody (None).

    Names are for whoever asked to compare.
    """
    file = None if ca in (None, SYSTEM) else ca
    found = ssl.create_default_context(cafile=file)
    found.check_hostname = False
    # The authorities in a file are trusted as they are, whoever has signed them.
    found.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN if file else 0
    if ca is None:
        found.verify_mode = ssl.CERT_NONE
    return found


def _old_tls(ask: dict[str, Any]) -> str:
    """The version that a client gets which knows no TLS 1.2; empty where it is turned away."""
    old = context(None)
    # Debian's OpenSSL offers nothing that old unless told to.
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with _connected(ask, old if ask["implicit"] else None) as connection:
            if isinstance(connection, ssl.SSLSocket):
                return str(connection.version())
            with _client(ask, connection) as smtp:
                smtp.getreply()
                smtp.ehlo(ask["helo"])
                _start_tls(smtp, ask, old)
                return str(smtp.sock.version()) if isinstance(smtp.sock, ssl.SSLSocket) else ""
    except (ssl.SSLError, smtplib.SMTPException, ConnectionError):
        return ""


def _reply(answer: tuple[int, bytes]) -> list[Any]:
    return [answer[0], _decoded(answer[1])]


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_decoded(error.smtp_error)}"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror
    return str(error) or type(error).__name__


def main() -> None:
    """Look at all ports at once: each waits for the network most of the time."""
    asks = json.loads(sys.argv[1])
    with ThreadPoolExecutor(8) as pool:
        print(json.dumps(list(pool.map(look, asks))))


if __name__ == "__main__":
    main()
