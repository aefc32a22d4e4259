"""Base models: descriptions, preparation, chat templates, weights and devices."""
