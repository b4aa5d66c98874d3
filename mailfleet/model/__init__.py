"""The fleet model: pure values that describe machines, identities and how they belong together."""

from mailfleet.model.addresses import Address, Network
from mailfleet.model.build import HostEntry, build_fleet
from mailfleet.model.fleet import (
    Domain,
    Fleet,
    Host,
    Limits,
    OpenPort,
    ProviderSettings,
    Region,
    Retry,
    Scan,
    SendingAddress,
    Stream,
)
from mailfleet.model.policies import Bimi, Caa, Dkim, Dmarc, MtaSts, Spf

__all__ = [
    "Address",
    "Bimi",
    "Caa",
    "Dkim",
    "Dmarc",
    "Domain",
    "Fleet",
    "Host",
    "HostEntry",
    "Limits",
    "MtaSts",
    "Network",
    "OpenPort",
    "ProviderSettings",
    "Region",
    "Retry",
    "Scan",
    "SendingAddress",
    "Spf",
    "Stream",
    "build_fleet",
]
