"""The door for programs that judge a history of their own: `judge`, and what it takes and gives."""

from oneleader.conformance.histories import (
    CAS,
    READ,
    WRITE,
    BadOperation,
    JudgedHistory,
    Operation,
    judge,
)

__all__ = ["CAS", "READ", "WRITE", "BadOperation", "JudgedHistory", "Operation", "judge"]
