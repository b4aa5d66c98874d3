"""Hetzner: zones and reverse names of one project, through the Hetzner Cloud API."""

from mailfleet.dns.providers.hetzner.driver import Hetzner, open_hetzner

__all__ = ["Hetzner", "open_hetzner"]
