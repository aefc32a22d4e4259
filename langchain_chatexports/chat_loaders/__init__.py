"""Chat loaders: an export in, one session a conversation out."""
