"""The host's certificate: when to order it, and how the services get it."""
