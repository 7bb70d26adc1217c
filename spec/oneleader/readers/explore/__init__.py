"""Every reachable state within bounds, and walks beyond them."""
