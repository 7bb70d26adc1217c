"""Real Raft libraries, unmodified, each behind an adapter of tests/peers: built, driven, reported on."""
