"""TLS policies of receivers: DANE before MTA-STS."""
