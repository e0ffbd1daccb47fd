"""How long a connection may be used: what the peer says, what it was seen to do, and age.

A request that meets the server's close half-way ends as UNKNOWN, so that a connection is given up
a little before the server would close it:

- `Keep-Alive: timeout=5` is taken at its word;
- a server that closes an idle connection after 5 seconds without a word is believed for an hour
  (and then tried again, for it may have been a restart);
- whatever its use, it ends at an age of its own, so that a name that moves is followed.

What is cut without a word, by a firewall that forgets it, shows only when a request gets no reply;
then those are given up that have shown no life since (see `IdleConnections.doubt`).
"""

import random
from typing import Final

from ihuyi_voice.http.pool.connection import Connection

_BELIEVED: Final = 3600.0
"""How long what was seen is believed, in seconds."""

_SHORTEST: Final = 0.1
"""A close that comes sooner tells of no such limit, in seconds: who works hard is never so idle."""

_SPREAD: Final = 0.2
"""The share of the greatest age by which connections differ, lest all end at once."""

_MARGIN: Final = 1.0
"""How long before the server a connection is given up, at most, in seconds; or a fifth."""


class Lifetimes:
    """What is known about one peer.

    Args:
        idle_expiry: The longest that a connection is kept idle, in seconds.
        max_age: The greatest age, in seconds; each connection has one within a fifth below it.
    """

    def __init__(self, idle_expiry: float, max_age: float | None) -> None:
        self._idle_expiry = idle_expiry
        self._max_age = max_age
        self._seen: float | None = None
        self._seen_at = 0.0

    def begin(self, connection: Connection) -> None:
        """Decide when a new connection retires."""
        if self._max_age is not None:
            share = 1.0 - _SPREAD * random.random()  # noqa: S311 - no secret
            connection.retires_at = connection.born + self._max_age * share

    def is_over(self, connection: Connection, now: float) -> bool:
        """Say whether an idle connection must not be used again."""
        idle = now - connection.idle_since
        if now >= connection.retires_at or idle > self._idle_expiry:
            return True
        if connection.kept_for is not None and idle > _before(connection.kept_for):
            return True
        seen = self._seen_lately(now)
        return seen is not None and idle > _before(seen)

    def learn(self, connection: Connection, now: float) -> None:
        """Take note of a connection that the peer closed while it was idle, if it was."""
        idle = connection.closed_after
        if idle is None or idle < _SHORTEST:
            return
        seen = self._seen_lately(now)
        if seen is None or idle <= seen:
            self._seen, self._seen_at = idle, now

    def pause(self, now: float) -> float:
        """Return in how many seconds it is worth a look whether any is over."""
        seen = self._seen_lately(now)
        return self._idle_expiry if seen is None else min(self._idle_expiry, seen)

    def _seen_lately(self, now: float) -> float | None:
        return self._seen if now - self._seen_at <= _BELIEVED else None


def _before(limit: float) -> float:
    return limit - min(_MARGIN, limit / 5)
