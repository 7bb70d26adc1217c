"""The readers: each takes a model and says what it can say of it."""
