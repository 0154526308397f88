"""Training: state, updates, checkpoints, and the loop that yields."""
