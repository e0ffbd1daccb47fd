"""The connections that wait for a request: the one used last goes first, the rest grow old."""

import asyncio

from ihuyi_voice.http.pool.connection import Connection
from ihuyi_voice.http.pool.lifetimes import Lifetimes


class IdleConnections:
    """Those that may be used again, as long as they may.

    A timer closes what is over, and comes back while anything is idle.
    """

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._lifetimes = lifetimes
        self._waiting: dict[Connection, None] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, loop: asyncio.AbstractEventLoop) -> Connection | None:
        """Take the one that was used last, if it can be trusted."""
        if not self._waiting:
            return None
        now = loop.time()
        while self._waiting:
            connection, _ = self._waiting.popitem()
            if not self._lifetimes.is_over(connection, now) and connection.is_fresh():
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Keep a clean connection for the next request."""
        self._waiting[connection] = None
        if self._sweeper is None:
            self._sweep_later(connection.lost.get_loop())

    def forget(self, connection: Connection) -> None:
        """Drop one that is lost."""
        self._waiting.pop(connection, None)

    def doubt(self, since: float) -> None:
        """Drop those that have shown no life since a request was written that got no reply.

        What cut that one off without a word, a firewall or a server that is gone, has cut them off,
        too; and each of them would cost a call whose outcome is unknown.
        """
        for connection in list(self._waiting):
            if connection.idle_since < since:
                del self._waiting[connection]
                connection.abort()

    def clear(self) -> None:
        """Drop all."""
        self._waiting.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        pause = self._lifetimes.pause(loop.time())
        self._sweeper = loop.call_later(pause, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = None
        now = loop.time()
        for connection in list(self._waiting):
            if not connection.clean or self._lifetimes.is_over(connection, now):
                del self._waiting[connection]
                connection.abort()
        if self._waiting:
            self._sweep_later(loop)
