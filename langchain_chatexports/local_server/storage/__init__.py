"""The data directory: files, jobs, models, locks and deletion."""
