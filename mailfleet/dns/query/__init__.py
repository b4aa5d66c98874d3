"""Asking DNS: the resolver, and the authoritative servers of a zone."""
