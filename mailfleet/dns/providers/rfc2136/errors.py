"""What goes wrong between us and a name server, in plain words with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dns.exception
import dns.rcode
import dns.tsig
import dns.xfr

from mailfleet.errors import MailfleetError
from mailfleet.model import Rfc2136Settings
from mailfleet.secrets import variable

_CHANGED = ("it was changed by somebody else since it was read", "run the command again")


@contextmanager
def explained(peer: Rfc2136Settings, zone: str, doing: str) -> Iterator[None]:
    """Turn whatever the network and dnspython raise into a MailfleetError.

    `doing` completes "cannot", e.g. "read"; `zone` is what it is done to.
    """
    try:
        yield
    except dns.exception.DNSException as error:
        reason, hint = _reason(error, peer, zone)
    except EOFError:
        reason = "the server closed the connection"
        hint = (
            "see the server's log; it may refuse this client's address, or hang up on one that reads "
            "slowly (Knot: tcp-io-timeout)"
        )
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"is the name server up, and does TCP port {peer.port} reach it from here?"
    else:
        return
    raise failure(peer, zone, doing, reason, hint)


def failure(peer: Rfc2136Settings, zone: str, doing: str, reason: str, hint: str) -> MailfleetError:
    """The error of one request."""
    return MailfleetError(f"cannot {doing} {zone} at {peer.address}: {reason}", hint)


def refusal(rcode: dns.rcode.Rcode, peer: Rfc2136Settings, zone: str) -> tuple[str, str]:
    """Reason and hint for an answer's RCODE (RFC 2136 §2.2, RFC 1035 §4.1.1)."""
    text = dns.rcode.to_text(rcode)
    match rcode:
        case dns.rcode.NXRRSET | dns.rcode.YXRRSET | dns.rcode.NXDOMAIN | dns.rcode.YXDOMAIN:
            return _CHANGED
        case dns.rcode.REFUSED:
            return (
                f"the server refuses it ({text})",
                f"allow transfer and update of the zone to the key {peer.key}",
            )
        case dns.rcode.NOTAUTH:
            return (
                f"the server does not serve {zone}, or not to this key ({text})",
                f"check zone, server and key in [dns]; the server must know the key {peer.key}",
            )
        case dns.rcode.NOTIMP:
            return (
                f"the server takes no updates ({text})",
                "name the primary server, and switch dynamic update on for the zone",
            )
        case dns.rcode.NOTZONE:
            return (f"a record lies outside of the zone ({text})", "check zone in [dns]")
    return f"the server answers {text}", "see the server's log for the reason"


def _reason(error: dns.exception.DNSException, peer: Rfc2136Settings, zone: str) -> tuple[str, str]:
    secret = variable(f"tsig-{peer.key}")
    match error:
        case dns.exception.Timeout():
            return "no answer in time", (
                f"is the name server up, and does TCP port {peer.port} reach it from here?"
            )
        case dns.xfr.TransferError():
            return refusal(error.rcode, peer, zone)
        case dns.tsig.PeerBadKey() | dns.tsig.BadKey():
            return f"the server does not know the TSIG key {peer.key}", (
                "set key in [dns] to the name that the server's configuration gives the key"
            )
        case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
            return "the clocks of this machine and of the server differ by more than 5 minutes", (
                "set both clocks by NTP"
            )
        case dns.tsig.PeerError() | dns.tsig.BadSignature() | dns.tsig.BadAlgorithm():
            return f"the secret of the TSIG key {peer.key} is not the server's", (
                f"compare {secret} with the server's key file, the algorithm included"
            )
        case dns.exception.FormError():
            # Knot and PowerDNS answer unsigned to a zone or key that they do not know.
            return "the server answers without a signature", (
                f"either it does not serve {zone}, or it does not accept the key {peer.key} "
                f"with this secret: compare zone, key and {secret} with its configuration"
            )
    return f"{type(error).__name__}: {error}", "see the server's log for the reason"
