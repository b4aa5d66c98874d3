"""A stand-in for Cloudflare's API: it keeps state, listens on loopback and fails on demand."""

from tests.fakes.cloudflare.account import Account, FakeZone
from tests.fakes.cloudflare.server import FakeCloudflare, Fault

__all__ = ["Account", "FakeCloudflare", "FakeZone", "Fault"]
