"""Anybody's Raft beside the models: adapters, judges, histories."""
