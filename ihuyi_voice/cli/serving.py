"""A server that says where it listens, and that SIGINT and SIGTERM end in good order."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from ihuyi_voice.cli.output import say
from ihuyi_voice.pushes import PushReceiver

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS: Final = 10  # seconds that requests in flight get when the server stops


class _Server(uvicorn.Server):
    """uvicorn's own raises signals again when it has ended, which would cut the inbox short."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        before = {name: signal.signal(name, self.handle_exit) for name in _SIGNALS}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's
        await super().startup(sockets)
        for server in self.servers:
            host, port = server.sockets[0].getsockname()[:2]
            # Not the token: what is on a screen ends up in logs.
            say("receive.listening", host=host, port=port)


async def serve(receiver: PushReceiver, host: str, port: int) -> None:
    """Serve a receiver, whose inbox is open, until a signal comes."""
    config = uvicorn.Config(
        receiver,
        host,
        port,
        lifespan="off",  # the inbox is opened before, where an error can be told
        proxy_headers=False,  # the receiver has its own, stricter, way with them
        log_config=None,
        access_log=False,  # it would write the token
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    await _Server(config).serve()
