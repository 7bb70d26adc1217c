"""Histories of clients: did they see one object, whose operations took effect one by one?"""

from oneleader.conformance.histories.judging import JudgedHistory, judge
from oneleader.conformance.histories.objects import CAS, READ, WRITE, BadOperation
from oneleader_raft.testbench.clients import Operation

__all__ = ["CAS", "READ", "WRITE", "BadOperation", "JudgedHistory", "Operation", "judge"]
