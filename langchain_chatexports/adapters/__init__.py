"""Adapters at langchain-community's paths."""
