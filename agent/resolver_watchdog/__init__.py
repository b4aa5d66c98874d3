"""A resolver that hangs is ended."""
