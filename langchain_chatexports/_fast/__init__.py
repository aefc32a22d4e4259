"""Tricks for speed, each for a plain way that gives the same.

`python -m benchmarks.fast` measures each of them against its plain way.
"""
