"""Clients of the clouds' APIs, shared by all that talks to one of them."""
