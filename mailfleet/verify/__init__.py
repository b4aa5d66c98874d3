"""Comparing live hosts with what they shall be.

What a host is gets read in few commands (`reading`, `sessions`); each other module compares one
subject and returns what is wrong in plain words, an empty list where nothing is. The tests in
`suite/` put both together for the hosts of an inventory.
"""
