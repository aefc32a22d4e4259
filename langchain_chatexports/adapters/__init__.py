"""Adapters with the import paths of langchain-community."""
