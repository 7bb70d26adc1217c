"""The named bugs: one change each to a correct model, to the reference, or to both."""
