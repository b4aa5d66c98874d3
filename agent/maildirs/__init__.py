"""Age and size of inbound mail."""
