"""Keeps the URLs of our requests out of httpx's own log line: a GET's holds password and number."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_sending: ContextVar[bool] = ContextVar("ihuyi_voice_sending", default=False)


class _HideQuery(logging.Filter):
    """Cuts the query off every URL that httpx logs while a request of ours is being sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.get() and isinstance(record.args, tuple):
            record.args = tuple(_without_query(arg) for arg in record.args)
        return True


_FILTER = _HideQuery()


def _without_query(arg: object) -> object:
    if isinstance(arg, int | bytes):
        return arg
    path, mark, _ = str(arg).partition("?")
    return f"{path}?[redacted]" if mark else arg


@contextmanager
def quiet_httpx() -> Generator[None]:
    """Hide our queries from httpx's logger while inside; other requests are logged as ever."""
    logging.getLogger("httpx").addFilter(_FILTER)  # the same filter is only ever added once
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)
