"""Receivers with DANE, with MTA-STS, with both and with neither, right and wrong, within a lab.

All mail servers but one are the lab's receiver under more names, with a certificate that covers some
of them; `plain` is a server of this process that knows no TLS. The policies are served by HTTPS from
this process, too. `receivers` makes all of that and takes it away again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailfleet import lab
from mailfleet.lab import addresses, namespaces
from mailfleet.lab.ca import Authority, new_authority

if TYPE_CHECKING:
    from tests.lab.conftest import DeployedLab

ZONE = addresses.INBOX_ZONE
GATEWAY = str(addresses.CORE.gateways[0])
RECEIVER = str(addresses.RECEIVER[0])
# Mail server of each domain, and its MTA-STS policy's mode, if it has one.
DOMAINS = {
    "dane-bad": ("mx-bad", None),
    # Of one test alone, which mends it: what resolvers and Postfix remember of it is in nobody's way.
    "dane-mended": ("mx-mended", None),
    "sts": ("mx-sts", "enforce"),
    "sts-bad": ("mx-other", "enforce"),
    "sts-testing": ("mx-other", "testing"),
    "both": ("mx", "enforce"),
    "both-bad": ("mx-bad", "enforce"),
    "plain": ("mx-plain", None),
    "encrypt": ("mx-plain", None),
    "secure": ("mx-sts", None),
    "secure-bad": ("mx-other", None),
    "named": ("mx-sts", None),
    "dane-only": ("mx-sts", None),
}
# The certificate of the receiver covers these besides its own.
_COVERED = ("mx-sts", "mx-bad", "mx-mended")
_WRONG = "3 1 1 " + "00" * 32
_CA = "/usr/local/share/ca-certificates/mailfleet-test.crt"


@contextlib.contextmanager
def receivers(deployed: DeployedLab) -> Iterator[Plain]:
    """All receivers while the context lasts; mail to `plain` is kept by what it yields."""
    authority = new_authority("test receivers")
    hosts = (deployed.eu, deployed.us)
    main_cf = deployed.on("receiver", "cat /etc/postfix/main.cf")
    tls_pem = deployed.on("receiver", "cat /etc/postfix/tls.pem")
    with contextlib.ExitStack() as undo:
        undo.callback(update_dns, deployed, dict.fromkeys(records(), ()))
        update_dns(deployed, records())
        undo.callback(set_up_receiver, deployed, main_cf, tls_pem)
        names = ", ".join(f"{domain}.{ZONE}" for domain in DOMAINS)
        set_up_receiver(
            deployed,
            main_cf.replace("virtual_mailbox_domains =", f"virtual_mailbox_domains = {names},"),
            _certified(authority, tls_pem),
        )
        plain = undo.enter_context(_plain_server(deployed))
        undo.enter_context(_policy_server(deployed, authority))
        for host in hosts:
            undo.callback(
                deployed.on, host,
                f"rm -f {_CA}; update-ca-certificates --fresh >/dev/null 2>&1; {_FORGET}",
            )  # fmt: skip
            deployed.on(host, f"cat > {_CA} && update-ca-certificates >/dev/null 2>&1; {_FORGET}",
                        stdin=authority.certificate_pem)  # fmt: skip
        yield plain


_FORGET = (
    "systemctl stop postfix-mta-sts-resolver; rm -f /var/lib/mta-sts/cache.db*;"
    " systemctl start postfix-mta-sts-resolver;"
    " for i in transactional marketing; do postsuper -c /etc/postfix-$i -d ALL 2>/dev/null;"
    " rm -f /var/lib/postfix-$i/smtp_tls_sessions.lmdb; done; postfix reload 2>/dev/null"
)


def records() -> dict[str, tuple[tuple[str, str], ...]]:
    """Names below the zone, and their records."""
    found: dict[str, tuple[tuple[str, str], ...]] = {
        "mx-bad": (("A", RECEIVER),),
        "_25._tcp.mx-bad": (("TLSA", _WRONG),),
        "mx-mended": (("A", RECEIVER),),
        "_25._tcp.mx-mended": (("TLSA", _WRONG),),
        "mx-sts": (("A", RECEIVER),),
        "mx-other": (("A", RECEIVER),),
        "mx-plain": (("A", GATEWAY),),
    }
    for domain, (server, mode) in DOMAINS.items():
        found[domain] = (("MX", f"10 {server}.{ZONE}."),)
        if mode is not None:
            found[f"_mta-sts.{domain}"] = (("TXT", '"v=STSv1; id=1"'),)
            found[f"mta-sts.{domain}"] = (("A", GATEWAY),)
    return found


def update_dns(deployed: DeployedLab, wanted: dict[str, tuple[tuple[str, str], ...]]) -> None:
    """Make these names of the lab's inbox zone hold these records and no others."""
    files = lab.files(deployed.name)
    message = dns.update.UpdateMessage(
        ZONE,
        keyring=dns.tsigkeyring.from_text({files.tsig.name: files.tsig.secret}),
        keyname=dns.name.from_text(files.tsig.name),
        keyalgorithm=files.tsig.algorithm,
    )
    for name, values in wanted.items():
        message.delete(name)
        for kind, value in values:
            message.add(name, 1, kind, value)
    answer = namespaces.inside(
        namespaces.internet(deployed.name),
        lambda: dns.query.tcp(message, str(files.nameserver[0]), timeout=5),
    )
    assert answer.rcode() == dns.rcode.NOERROR


def set_up_receiver(deployed: DeployedLab, main_cf: str, tls_pem: str) -> None:
    """Give the lab's receiver another configuration and certificate."""
    for path, text in (("main.cf", main_cf), ("tls.pem", tls_pem)):
        deployed.on("receiver", f"cat > /etc/postfix/{path}", stdin=text)
    deployed.on("receiver", "postfix reload 2>/dev/null")


def _certified(authority: Authority, tls_pem: str) -> str:
    """The receiver's key, whose TLSA records stay right, with a certificate for more names."""
    key = serialization.load_pem_private_key(tls_pem.encode(), None)
    old = x509.load_pem_x509_certificate(tls_pem[tls_pem.index("-----BEGIN CERT") :].encode())
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    more = [*names, *(x509.DNSName(f"{name}.{ZONE}") for name in _COVERED)]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _pem(key) + _issued(authority, key, more)


def _issued(
    authority: Authority, key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName]
) -> str:
    """A certificate of the test's authority."""
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False
        )
    )
    return (
        builder.sign(authority.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@contextlib.contextmanager
def _policy_server(deployed: DeployedLab, authority: Authority) -> Iterator[None]:
    """https://mta-sts.<domain>/.well-known/mta-sts.txt of every domain with a policy."""
    policies = {
        f"mta-sts.{domain}.{ZONE}": (
            f"version: STSv1\r\nmode: {mode}\r\nmx: {server}.{ZONE}\r\nmax_age: 86400\r\n"
        )
        for domain, (server, mode) in DOMAINS.items()
        if mode is not None
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            policy = policies.get(self.headers.get("Host", ""), "").encode()
            self.send_response(200 if self.path == "/.well-known/mta-sts.txt" else 404)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(policy)))
            self.end_headers()
            self.wfile.write(policy)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    key = ec.generate_private_key(ec.SECP256R1())
    server = _inside(deployed, lambda: http.server.ThreadingHTTPServer((GATEWAY, 443), Handler))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(_pem(key) + _issued(authority, key, [x509.DNSName(name) for name in policies]))
        file.flush()
        context.load_cert_chain(Path(file.name))
    # The handshake is each connection's own thread's business.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    with _served(server):
        yield


class Plain(socketserver.ThreadingTCPServer):
    """A mail server without TLS; `recipients` are those of the mail that it took."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((GATEWAY, 25), _PlainSession)
        self.recipients: list[str] = []


class _PlainSession(socketserver.StreamRequestHandler):
    server: Plain

    def handle(self) -> None:
        self.wfile.write(b"220 mx-plain ESMTP\r\n")
        recipients: list[str] = []
        for raw in self.rfile:
            line = raw.decode("utf-8", "replace").strip()
            verb = line[:4].upper()
            if verb == "RCPT":
                recipients.append(line[line.index("<") + 1 : line.index(">")])
            if verb == "DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.server.recipients += recipients
            self.wfile.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
            if verb == "QUIT":
                return


@contextlib.contextmanager
def _plain_server(deployed: DeployedLab) -> Iterator[Plain]:
    server = _inside(deployed, Plain)
    with _served(server):
        yield server


@contextlib.contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _inside(deployed: DeployedLab, work: Any) -> Any:
    return namespaces.inside(namespaces.internet(deployed.name), work)
