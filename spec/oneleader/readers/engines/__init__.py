"""Traced actions as NumPy, C and plain Python."""
