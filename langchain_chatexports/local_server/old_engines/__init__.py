"""Engines: llama.cpp in child processes, transformers in this one, and scores."""
