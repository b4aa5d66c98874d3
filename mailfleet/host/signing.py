"""How a stream's mail is judged and signed on a host: units, sockets and files. Pure.

Each stream has a judge of its own (`agent/message/main.py`) and an OpenDKIM of its own, which knows no other
domain's key: whatever From a message has, it is signed as its own stream or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailfleet.errors import MailfleetError
from mailfleet.host import paths
from mailfleet.host.scanning import Capacity
from mailfleet.model import Fleet, Host, Stream

"""The folder of the private keys: KEYS/DOMAIN/SELECTOR.private."""
_MB = 2**20
# Of a judge, in MB: the program, a small message from each of Postfix's processes, and parts in a
# hundred thousand lines. tests/unit/agent/message/test_message_memory.py holds both figures.
_JUDGE = 80
_TIMES = 14
"""How many times its octets a message takes while it is encoded, and another one comes in."""


@dataclass(frozen=True)
class WantedKey:
    """A DKIM key that the host shall have."""

    domain: str
    selector: str
    bits: int


@dataclass(frozen=True)
class StreamSigner:
    """What signs for one stream, and what lets only its mail through."""

    stream: str
    domain: str
    """DKIM's d=."""
    also: tuple[str, ...] = ()
    """Further From domains that it signs for as `domain`: the return path.

    A mail that is submitted without From gets its sender as From, and a signature of the parent
    domain aligns with it (RFC 9989 §5.1).
    """
    message_octets: int = field(kw_only=True)
    """Of the largest message."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Where From addresses may be."""
        return (self.domain, *self.also)

    @property
    def unit(self) -> str:
        return f"opendkim@{self.stream}.service"

    @property
    def socket(self) -> str:
        return f"/run/opendkim-{self.stream}/opendkim.sock"

    @property
    def config(self) -> str:
        return f"{paths.OPENDKIM}/{self.stream}.conf"

    @property
    def key_table(self) -> str:
        return f"{paths.OPENDKIM}/{self.stream}.key.table"

    @property
    def signing_table(self) -> str:
        return f"{paths.OPENDKIM}/{self.stream}.signing.table"

    @property
    def judge(self) -> str:
        """The unit of `agent/message/main.py`."""
        return f"mailfleet-message@{self.stream}.service"

    @property
    def judge_memory(self) -> int:
        """What the judge may take, in MB: above, the kernel ends it, and mail waits at the client."""
        return _JUDGE + _TIMES * -(-self.message_octets // _MB)

    @property
    def judge_config(self) -> str:
        return f"{paths.STREAM_CONFIGURATION}/{self.stream}.json"

    @property
    def check_socket(self) -> str:
        """Asked before the signer."""
        return f"/run/mailfleet-message-{self.stream}/check.sock"

    @property
    def signed_socket(self) -> str:
        """Asked after the signer."""
        return f"/run/mailfleet-message-{self.stream}/signed.sock"


def stream_signer(stream: Stream) -> StreamSigner:
    """The signer of a stream."""
    own = (stream.return_path,) if stream.return_path != stream.from_domain else ()
    octets = stream.limits.message_bytes
    return StreamSigner(stream.name, stream.from_domain, own, message_octets=octets)


def stream_signers(fleet: Fleet, host: Host) -> tuple[StreamSigner, ...]:
    """The signers of a host's streams."""
    return tuple(stream_signer(stream) for _, stream in fleet.host_streams(host))


def check_memory(fleet: Fleet, host: Host, capacity: Capacity) -> None:
    """MailfleetError where a stream's largest message would take more than half of the host's memory."""
    for signer in stream_signers(fleet, host):
        if 2 * signer.judge_memory > capacity.memory:
            raise MailfleetError(
                f"{host.name} has {capacity.memory} MB of memory, and the judge of stream "
                f"{signer.stream} needs up to {signer.judge_memory} MB, more than half of it, for "
                f"messages of {signer.message_octets} octets",
                f"give the host more memory, or lower message_bytes in [streams.{signer.stream}.limits]",
            )
