"""The host's DKIM keys, and whether DNS shows them."""
