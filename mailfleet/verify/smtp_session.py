"""One look at an SMTP port: banner, TLS, and what it answers to senders and recipients.

Runs here and on mail hosts, there with Debian's own Python: standard library only. It reads a JSON
list of asks from its first argument and prints a JSON list of looks. No message is ever sent: each
transaction ends before DATA, or in the middle of it.
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
# Tries in one session: after ten mistakes a server begins to wait before each answer.
_A_SESSION = 8


def look(ask: dict[str, Any]) -> dict[str, Any]:
    """Connect as `ask` says and tell what was found; `error` is why it ended early.

    An ask has: address, port, name (for TLS's server name), implicit (TLS from the first byte),
    source (address to bind to, or None), helo, tries (pairs of reverse and forward path), ca (whom to
    trust, see `context`). With `attacks`, a table, it also tries what must fail, each on a
    connection of its own: TLS 1.1, `suites` (OpenSSL's list of others than planned), commands out of
    turn, and `ends` (wrong ends of a message, by name) in a message to `recipient`.
    """
    result: dict[str, Any] = {
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
        "other_suite": "",
        "out_of_turn": [],
        "ends": {},
    }
    try:
        try:
            _converse(ask, result, context(ask["ca"]), ask["tries"][:_A_SESSION])
        except ssl.SSLCertVerificationError as error:
            result["untrusted"] = error.verify_message
            _converse(ask, result, context(None), ask["tries"][:_A_SESSION])
        for start in range(_A_SESSION, len(ask["tries"]), _A_SESSION):
            _converse(ask, result, context(None), ask["tries"][start : start + _A_SESSION])
        if ask["attacks"]:
            _attack(ask, result)
    except (OSError, smtplib.SMTPException) as error:
        result["error"] = _words(error)
    return result


def _converse(
    ask: dict[str, Any],
    result: dict[str, Any],
    tls: ssl.SSLContext,
    tries: list[tuple[str, str]],
) -> None:
    with _connected(ask, tls if ask["implicit"] else None) as connection:
        result["source"] = connection.getsockname()[0]
        with _client(ask, connection) as smtp:
            _talk(smtp, ask, result, tls)
            for sender, recipient in tries:
                reply = _reply(smtp.docmd("MAIL", f"FROM:{sender}"))
                if reply[0] == 250:
                    reply = _reply(smtp.docmd("RCPT", f"TO:{recipient}"))
                result["replies"].append([sender, recipient, *reply])
                smtp.docmd("RSET")


def _talk(
    smtp: smtplib.SMTP, ask: dict[str, Any], result: dict[str, Any], tls: ssl.SSLContext
) -> None:
    code, text = smtp.getreply()
    result["banner"] = f"{code} {_decoded(text)}"
    result["helo"] = _reply(smtp.ehlo(ask["helo"]))
    if not ask["implicit"]:
        result["plain_features"] = sorted(smtp.esmtp_features)
        if smtp.has_extn("starttls"):
            _start_tls(smtp, ask, tls)
            smtp.ehlo(ask["helo"])
    if isinstance(smtp.sock, ssl.SSLSocket):
        result["tls"] = smtp.sock.version()
        der = smtp.sock.getpeercert(binary_form=True) or b""
        result["certificate"] = base64.b64encode(der).decode()


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
    if ca is None:
        # Not the default context, which first reads all of this machine's roots: 40 ms for nothing.
        settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        settings.check_hostname = False
        settings.verify_mode = ssl.CERT_NONE
        return settings
    file = None if ca == SYSTEM else ca
    settings = ssl.create_default_context(cafile=file)
    settings.check_hostname = False
    # The authorities in a file are trusted as they are, whoever has signed them.
    settings.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN if file else 0
    return settings


def _attack(ask: dict[str, Any], result: dict[str, Any]) -> None:
    """Try what a server must not go along with."""
    old = context(None)
    # Debian's OpenSSL offers nothing that old unless told to.
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    result["old_tls"] = _negotiated(ask, old)[0]
    other = context(None)
    other.set_ciphers(ask["attacks"]["suites"])
    other.maximum_version = ssl.TLSVersion.TLSv1_2
    result["other_suite"] = _negotiated(ask, other)[1]
    result["out_of_turn"] = _out_of_turn(ask)
    for name, end in ask["attacks"]["ends"].items():
        result["ends"][name] = _ends(ask, end)


def _negotiated(ask: dict[str, Any], tls: ssl.SSLContext) -> tuple[str, str]:
    """The version and the suite that a client gets; empty where it is turned away."""
    try:
        with _connected(ask, tls if ask["implicit"] else None) as connection:
            with _client(ask, connection) as smtp:
                smtp.getreply()
                if not ask["implicit"]:
                    smtp.ehlo(ask["helo"])
                    _start_tls(smtp, ask, tls)
                if isinstance(smtp.sock, ssl.SSLSocket):
                    cipher = smtp.sock.cipher()
                    return str(smtp.sock.version()), cipher[0] if cipher else ""
    except (ssl.SSLError, smtplib.SMTPException, ConnectionError):
        pass
    return "", ""


def _out_of_turn(ask: dict[str, Any]) -> list[int]:
    """The replies to two commands at once where the second may only follow the first's reply."""
    with _connected(ask, context(None) if ask["implicit"] else None) as connection:
        with _client(ask, connection) as smtp:
            smtp.getreply()
            smtp.send(f"EHLO {ask['helo']}\r\nNOOP\r\n".encode())
            codes: list[int] = []
            try:
                while len(codes) < 2:
                    codes.append(smtp.getreply()[0])
            except smtplib.SMTPServerDisconnected:
                pass
            return codes


def _ends(ask: dict[str, Any], end: str) -> str:
    """The reply to a message that ends in `end` only; empty where the server waits for the real end.

    It waits in vain: the connection ends first, and a server keeps nothing of a message so begun.
    """
    with _connected(ask, None) as connection:
        with _client(ask, connection) as smtp:
            smtp.getreply()
            smtp.ehlo(ask["helo"])
            recipient = ask["attacks"]["recipient"]
            for command in ("MAIL FROM:<>", f"RCPT TO:<{recipient}>", "DATA"):
                code, text = smtp.docmd(command)
                if code not in (250, 354):
                    raise smtplib.SMTPResponseException(code, text)
            smtp.send(f"Subject: a check of mailfleet verify\r\n\r\nNo mail.{end}".encode())
            connection.shutdown(socket.SHUT_WR)
            try:
                code, text = smtp.getreply()
            except smtplib.SMTPServerDisconnected:
                return ""
            return f"{code} {_decoded(text)}"


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
