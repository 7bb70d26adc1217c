"""Faults of kinds that implementations have had are found, within walks as many as a minute has."""

from __future__ import annotations

import pytest

from oneleader.conformance.conform import Driving, names
from oneleader.conformance.network import Network
from tests.conformance.faulty_rafts import FAULTY

WALKS = 200
# Of three, whatever two have stored stays; the other is found later with three, and not from every seed.
FIVE = {"keeps its match indices", "reads before it applies"}


@pytest.mark.parametrize("fault", FAULTY)
def test_it_is_found(fault: str) -> None:
    made = type("Made", (FAULTY[fault],), {"network": Network.udp()})
    search = Driving(made, names(5 if fault in FIVE else 3), 7, shortens=False)
    while not search.found.causes and search.found.walks < WALKS:
        search.walk(search.found.walks)
    assert search.found.causes, search.found.text
