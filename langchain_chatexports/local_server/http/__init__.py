"""OpenAI's protocol over a workspace and an engine."""
