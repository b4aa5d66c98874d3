"""DNS records: what a fleet needs, and how a zone gets there. Pure: values in, values out."""

from mailfleet.records.change import Change
from mailfleet.records.conflicts import Conflict
from mailfleet.records.desired import Desired, records
from mailfleet.records.dkim import PublicKey
from mailfleet.records.ownership import Slot
from mailfleet.records.plan import Plan, Zone, plan
from mailfleet.records.rrset import RRset, rrset

__all__ = [
    "Change",
    "Conflict",
    "Desired",
    "Plan",
    "PublicKey",
    "RRset",
    "Slot",
    "Zone",
    "plan",
    "records",
    "rrset",
]
