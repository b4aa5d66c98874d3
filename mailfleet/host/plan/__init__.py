"""What a deploy would change on a host: the one comparison of a HostState with what is observed. Pure."""
