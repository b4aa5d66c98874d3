"""The three things that a name server is asked for: a zone, a change to it, and who serves a name."""

from __future__ import annotations

import logging

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from mailfleet.dns.providers.rfc2136.errors import explained, failure, refusal
from mailfleet.errors import RefusedError
from mailfleet.model import Rfc2136Settings

_log = logging.getLogger(__name__)

_TIMEOUT = 10.0
_TRANSFER_LIFETIME = 120.0
# A server may serve one of these without the reverse zone that is looked for.
_ROOTS = frozenset({".", "arpa.", "in-addr.arpa.", "ip6.arpa."})


class NameServer:
    """A primary name server. Every method raises MailfleetError, and nothing else."""

    def __init__(self, peer: Rfc2136Settings, key: dns.tsig.Key) -> None:
        self.peer = peer
        self.key = key

    def transfer(self, zone: str) -> dns.zone.Zone:
        """The whole zone by AXFR (RFC 5936)."""
        content = dns.zone.Zone(zone, relativize=False)
        with explained(self.peer, zone, "read"):
            self._transfer(content)
        _log.info("%s: AXFR %s: %d names", self.peer.label, zone, len(content.nodes))
        return content

    def update(self, zone: str, message: dns.update.UpdateMessage) -> None:
        """Send one UPDATE (RFC 2136). RefusedError where the server answers that it does not take it."""
        with explained(self.peer, zone, "change"):
            # The answer comes after the server has committed (RFC 2136 §3.5).
            answer = dns.query.tcp(message, self.peer.server, timeout=_TIMEOUT, port=self.peer.port)
        self._note("UPDATE", zone, answer)
        if answer.rcode() != dns.rcode.NOERROR:
            reason, hint = refusal(answer.rcode(), self.peer, zone)
            error = failure(self.peer, zone, "change", reason, hint)
            # An update is all or nothing, and so is a server's policy about names and types.
            raise RefusedError(error.problem, error.hint)

    def _transfer(self, content: dns.zone.Zone) -> None:
        """Fill the zone; twice where the server hangs up, as Knot does on a client that is slow."""
        for last in (False, True):
            query, _ = dns.xfr.make_query(content, keyring=self.key)
            try:
                return dns.query.inbound_xfr(
                    self.peer.server,
                    content,
                    query,
                    port=self.peer.port,
                    timeout=_TIMEOUT,
                    lifetime=_TRANSFER_LIFETIME,
                )
            except EOFError:
                if last:
                    raise
        return None

    def _note(self, request: str, name: str, answer: dns.message.Message) -> None:
        rcode = dns.rcode.to_text(answer.rcode())
        _log.info("%s: %s %s: %s", self.peer.label, request, name, rcode)

    def zone_of(self, name: str) -> str | None:
        """The zone that the server answers from: a query for a name in it brings its SOA."""
        full = dns.name.from_text(name)
        at = full
        while at.to_text() not in _ROOTS:
            # Unsigned: Knot signs no answer about a zone that it does not serve.
            query = dns.message.make_query(at, dns.rdatatype.SOA)
            with explained(self.peer, name, "find the zone of"):
                answer = dns.query.tcp(
                    query, self.peer.server, timeout=_TIMEOUT, port=self.peer.port
                )
            self._note("SOA", at.to_text(omit_final_dot=True), answer)
            for rrset in (*answer.answer, *answer.authority):
                # A CNAME at the name brings the SOA of its target (RFC 2317).
                inside = full.is_subdomain(rrset.name) and rrset.name.to_text() not in _ROOTS
                if rrset.rdtype == dns.rdatatype.SOA and inside:
                    return rrset.name.canonicalize().to_text(omit_final_dot=True)
                if rrset.rdtype == dns.rdatatype.NS and inside and not answer.answer:
                    return None  # delegated to another server
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return None
            at = at.parent()
        return None
