"""Training: the job queue, and the process that trains an adapter."""
