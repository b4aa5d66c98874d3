"""SPF: its terms, what it answers for an address, and what an answer costs. Pure."""
