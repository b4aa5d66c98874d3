"""pyinfra facts: what a host is now. Each costs one remote command, whatever it covers (D5)."""
