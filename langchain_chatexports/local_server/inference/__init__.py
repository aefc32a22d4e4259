"""Answers: the base model with its adapters, generation and scoring."""
