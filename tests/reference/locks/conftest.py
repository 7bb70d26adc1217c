"""Servers of the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oneleader_raft.node.local import LocalCluster
from tests.services import (
    dynamodb_client,
    etcd_server,
    postgres_server,
    redis_server,
    s3_client,
    temporary_folder,
)

__all__ = ["dynamodb_client", "etcd_server", "postgres_server", "redis_server", "s3_client"]


@pytest.fixture(scope="session")
def nodes() -> Iterator[LocalCluster]:
    """Three nodes of the reference, one of which leads."""
    with temporary_folder() as folder:
        cluster = LocalCluster(folder)
        try:
            cluster.start()
            cluster.leader()
            yield cluster
        finally:
            cluster.stop()
