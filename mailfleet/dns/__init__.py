"""DNS: what a fleet needs, how zones get there, and what the world sees."""
