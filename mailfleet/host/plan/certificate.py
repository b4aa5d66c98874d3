"""Whether a deploy would make or order a certificate."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from mailfleet.host.certificates import fits, is_good
from mailfleet.host.observed import TlsState
from mailfleet.host.state import WantedCertificate

_MODE = "640 root root"
_KEY_MODE = "600 root root"


@dataclass(frozen=True)
class CertificatePlan:
    """Texts say why; empty where there is nothing to do."""

    replace: str = ""
    """Why services could not start with what is there: the host signs one itself."""
    order: str = ""
    """Why the authority is asked for another one, once all services run."""

    @property
    def is_empty(self) -> bool:
        return not self.replace and not self.order


def plan_certificate(
    wanted: WantedCertificate, observed: TlsState, now: dt.datetime
) -> CertificatePlan:
    """Compare the wanted certificate with the one that the host serves at `now`."""
    replace = _unusable(observed)
    if replace:
        return CertificatePlan(replace, "the host's own is not an authority's")
    if not is_good(observed.certificate, observed.public_key, wanted.names, now):
        return CertificatePlan(order="it is not an authority's, has ended, or has other names")
    if observed.applied_config_hash != wanted.config_hash:
        return CertificatePlan(order="it was ordered by another configuration")
    return CertificatePlan()


def _unusable(observed: TlsState) -> str:
    if not observed.chains:
        return "there is none"
    if not fits(observed.certificate, observed.public_key):
        return "it does not fit its key"
    if (observed.mode, observed.key_mode, observed.web_mode) != (_MODE, _KEY_MODE, _MODE):
        return "others can read its key, or a file of it is missing"
    return ""
