"""Correct Rafts as engineers write them raise no alarm, over either network, and are live."""

from __future__ import annotations

import pytest

from oneleader.conformance.conform import conform
from oneleader.conformance.network import NETWORKS, Network
from oneleader.verdict import HOLDS
from tests.conformance.usual_rafts import ADAPTERS


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("way", ADAPTERS)
def test_none_raises_an_alarm(way: str, network: Network) -> None:
    made = type("Made", (ADAPTERS[way],), {"network": network})
    found = conform(made, walks=16, seed=5, liveness=True)
    assert found.verdict is HOLDS, found.text
    assert found.compared["Leader Completeness"]
    assert found.by_model["replication"]
