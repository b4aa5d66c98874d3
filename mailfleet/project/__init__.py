"""A user's folder: the inventory and the domain files."""
