"""What keeps a node from starting."""


class DamagedError(Exception):
    """A stored state that cannot be trusted: one sentence says why, and what to do. Nothing was written."""
