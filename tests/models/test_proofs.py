"""All proofs together: each goes through with its hint, and not by the luck of Z3's random seed."""

from __future__ import annotations

import pytest

from oneleader.language.model import Model
from oneleader.models import MODELS
from oneleader.readers.prove.prove import hints_file, load_hints, prove
from oneleader.verdict import HOLDS

HINTED = [model for model in MODELS.values() if hints_file(model).is_file()]


def test_each_part_of_raft_has_its_hints() -> None:
    parts = {
        "election",
        "pre_vote",
        "replication",
        "membership",
        "snapshots",
        "lease",
        "lease_read",
        "fencing",
    }
    assert parts | {"fencing"} <= {model.name for model in HINTED}


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("model", HINTED, ids=lambda model: str(model.name))
def test_every_seed_proves_everything(model: Model, seed: int) -> None:
    """The tests of each model prove it with seed 0."""
    proof = prove(model, seed=seed)
    assert {row.key: row.verdict for row in proof.rows if row.verdict is not HOLDS} == {}
    assert load_hints(model).keys() == {row.key for row in proof.rows}
    assert {row.hint for row in proof.rows} == {"used"}
