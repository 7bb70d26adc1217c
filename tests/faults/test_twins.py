"""Twins compared where mutants of the models need it: at bounds where every action is taken."""

from __future__ import annotations

import pytest

from oneleader.models import replication
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS
from workshop.mutation.model_judge import N2_DECIDES, TWINNED, servers


@pytest.mark.usefixtures("tools")
def test_where_entries_are_replaced() -> None:
    """With two servers and majorities no entry is: the logs of one term conflict with none."""
    bounds = servers(2, 2, N2_DECIDES, Index=2, Value=1)
    assert bounds in TWINNED["replication"]
    found = compare(replication.MODEL, bounds.of(replication.MODEL))
    assert (found.verdict, found.states, found.difference) == (HOLDS, 17_000, "")
