"""Ports of the operator's own services that a host's firewall leaves open."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailfleet.model.types import Networks, Port, Table
from mailfleet.model.values import matching

Purpose = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_./-]+( [A-Za-z0-9_./-]+)*",
        "write letters, digits, and the characters _ . / - with single spaces, e.g. node_exporter",
    ),
    Field(max_length=60),
]


class OpenPort(Table):
    """One of `open_ports`: a port of the operator's own service that the firewall leaves open."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: Networks = ()
    """Whom it is open to. Default: everybody. Example: ["203.0.113.0/24"]."""
    purpose: Purpose = "opened by the operator"
    """What `ufw status` shows beside it. Example: "node_exporter"."""
