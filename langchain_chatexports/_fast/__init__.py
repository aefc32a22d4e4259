"""Optimized implementations with the same results as plain ones.

`python -m benchmarks.fast` compares the two.
"""
