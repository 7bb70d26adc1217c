"""The formats of recordings."""
