"""pyinfra operations: bring a host to its desired state, with one remote command to find nothing to do."""
