"""How a zone gets from what it has to what the fleet needs. Pure."""
