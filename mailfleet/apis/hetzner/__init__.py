"""Hetzner Cloud: one project's API, for its DNS zones, its addresses and its servers."""
