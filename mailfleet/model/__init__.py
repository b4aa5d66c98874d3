"""The fleet model: pure values that describe machines, identities and how they belong together."""

from mailfleet.model.addresses import Address, Network
from mailfleet.model.build import HostEntry, build_fleet
from mailfleet.model.fleet import (
    Domain,
    Fleet,
    Host,
    Region,
    SendingAddress,
    Stream,
)
from mailfleet.model.limits import Limits, Retry
from mailfleet.model.open_ports import OpenPort
from mailfleet.model.policies import Bimi, Caa, Dkim, Dmarc, MtaSts, Spf
from mailfleet.model.provider import (
    CloudflareSettings,
    HetznerSettings,
    ManualSettings,
    OctodnsSettings,
    ProviderSettings,
    Rfc2136Settings,
)
from mailfleet.model.types import Scan

__all__ = [
    "Address",
    "Bimi",
    "Caa",
    "CloudflareSettings",
    "Dkim",
    "Dmarc",
    "Domain",
    "Fleet",
    "HetznerSettings",
    "Host",
    "HostEntry",
    "Limits",
    "ManualSettings",
    "MtaSts",
    "Network",
    "OctodnsSettings",
    "OpenPort",
    "ProviderSettings",
    "Region",
    "Retry",
    "Rfc2136Settings",
    "Scan",
    "SendingAddress",
    "Spf",
    "Stream",
    "build_fleet",
]
