"""Faster implementations with the same results as a plain version.

`python -m benchmarks.fast` compares each of them with the plain version.
"""
