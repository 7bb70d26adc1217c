"""Our own core beside the models: scenarios, locks, recovery."""
