"""Models of what goes wrong, each a change of a correct one. They must be found violated."""
