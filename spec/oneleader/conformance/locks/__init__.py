"""Bring your own lock: an adapter, a driver, observations, and the model `fencing` beside it."""
