"""The fleet model: pure values that describe machines, identities and how they belong together."""

from mailfleet.model.addresses import Address
from mailfleet.model.build import HostEntry, build_fleet
from mailfleet.model.fleet import (
    Dkim,
    Dmarc,
    Domain,
    Fleet,
    Host,
    Limits,
    ProviderSettings,
    Region,
    SendingAddress,
    Spf,
    Stream,
)

__all__ = [
    "Address",
    "Dkim",
    "Dmarc",
    "Domain",
    "Fleet",
    "Host",
    "HostEntry",
    "Limits",
    "ProviderSettings",
    "Region",
    "SendingAddress",
    "Spf",
    "Stream",
    "build_fleet",
]
