"""Servers of the session."""

from tests.services import postgres_server, redis_server

__all__ = ["postgres_server", "redis_server"]
