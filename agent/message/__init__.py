"""The judge of a stream's messages, before its signer and after it."""
