"""The faulty cores by id, for whoever wants nothing else of the catalogue."""

from oneleader.faults.catalogue import variants

RAFT_FAULTS = variants()
