"""Publishing a fleet's records: prepared, planned, carried out, reported."""
