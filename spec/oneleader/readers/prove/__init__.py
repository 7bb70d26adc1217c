"""Inductive proofs for any number of nodes, with Z3."""
