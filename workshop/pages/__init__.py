"""The pages of docs/results, made from what the readers find."""
