"""All proofs together: each goes through with its hint, and not by the luck of Z3's random seed."""

from __future__ import annotations

import os

import pytest

from oneleader.language.model import Model
from oneleader.models import MODELS
from oneleader.readers.prove.hints import hints_file, load_hints
from oneleader.readers.prove.prove import prove
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


LONG = ("membership", "snapshots", "logless", "lease_read")  # long: other seeds of them in deep alone


def seeds(model: Model) -> range:
    """Five with seed 0, which the tests of each model take; in CI two, of the short ones."""
    if os.environ.get("ONELEADER_PROFILE") == "deep":
        return range(1, 5)
    return range(1, 1 if model.name in LONG else 2)


SEEDS = [pytest.param(model, seed, id=f"{model.name}-{seed}") for model in HINTED for seed in seeds(model)]


@pytest.mark.parametrize(("model", "seed"), SEEDS)
def test_every_seed_proves_everything(model: Model, seed: int) -> None:
    proof = prove(model, seed=seed)
    assert {row.key: row.verdict for row in proof.rows if row.verdict is not HOLDS} == {}
    assert load_hints(model).keys() == {row.key for row in proof.rows}
    assert {row.hint for row in proof.rows} == {"used"}
