"""What reads a model: explore, prove, TLC, replay."""
