"""What a test says where a server's program is missing."""

from __future__ import annotations

import pytest

from tests.services import program


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_missing_program_skips_and_fails_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(
        outcome, match="no-such-server is missing: install it, on Debian by apt-get install none"
    ):
        program("no-such-server", "none")
