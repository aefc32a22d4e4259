"""Base models: which there are, how they get here, weights and devices."""
