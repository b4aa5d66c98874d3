"""Hosts, reached outside of a run of pyinfra."""
