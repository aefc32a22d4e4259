"""The data directory: uploaded files, jobs, tuned models, locks and deletion."""
