"""Training: the queue of jobs and the process that trains one adapter."""
