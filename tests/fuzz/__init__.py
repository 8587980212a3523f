"""Fuzz campaigns: seeded damage of every input, and how the result is told. Not part of the test suite.

`python -m tests.fuzz --help` lists the campaigns. Every trial has a number; campaign, seed and number give the
same trial again, so that a fault can be looked at alone.
"""
