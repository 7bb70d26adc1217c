"""Small mistakes made by machine, and what notices them."""
