"""What answers: one protocol, with llama.cpp and transformers in child processes."""
