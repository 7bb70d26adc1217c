"""An answer of Amazon's that is lost: boto3 sends the request again, as it does for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def answer_lost(client: Any, event: str, then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The next request of this kind is carried out, its answer is lost, and `then` happens before it is sent
    again. `event`: as in `s3.PutObject`."""
    from botocore.exceptions import ConnectionClosedError

    left = [1]

    def lose(event_name: str, **_: Any) -> None:
        if left and event_name.endswith(event):
            left.clear()
            then()
            raise ConnectionClosedError(endpoint_url="http://moto")

    client.meta.events.register_last("before-send", lose)  # moto has answered by then
    try:
        yield
    finally:
        client.meta.events.unregister("before-send", lose)
    assert not left, "nothing was sent"
