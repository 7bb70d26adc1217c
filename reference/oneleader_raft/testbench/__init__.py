"""A cluster by hand, a simulator, and what must hold of them."""
