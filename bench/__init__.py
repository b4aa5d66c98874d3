"""Benchmarks: each measures one figure that mailfleet promises, on a lab of its own.

`script/bench` runs them and keeps docs/benchmarks.md. Nothing here asserts: a figure that is missed
is printed as missed. Rates and times are compared side by side within one run, alternating, since a
machine that others use gives no absolute figure twice.
"""
