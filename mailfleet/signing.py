"""How a stream's mail is judged and signed on a host: units, sockets and files. Pure.

Each stream has a judge of its own (`agent/message.py`) and an OpenDKIM of its own, which knows no other
domain's key: whatever From a message has, it is signed as its own stream or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.model import Fleet, Host, Stream

KEYS = "/etc/opendkim/keys"
"""The folder of the private keys: KEYS/DOMAIN/SELECTOR.private."""


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
        return f"/etc/opendkim/{self.stream}.conf"

    @property
    def key_table(self) -> str:
        return f"/etc/opendkim/{self.stream}.key.table"

    @property
    def signing_table(self) -> str:
        return f"/etc/opendkim/{self.stream}.signing.table"

    @property
    def judge(self) -> str:
        """The unit of `agent/message.py`."""
        return f"mailfleet-message@{self.stream}.service"

    @property
    def judge_config(self) -> str:
        return f"/etc/mailfleet/streams/{self.stream}.json"

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
    return StreamSigner(stream.name, stream.from_domain, own)


def stream_signers(fleet: Fleet, host: Host) -> tuple[StreamSigner, ...]:
    """The signers of a host's streams."""
    return tuple(stream_signer(stream) for _, stream in fleet.host_streams(host))
