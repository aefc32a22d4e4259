"""What is in an export, in figures and on one page; aggregates only."""
