"""Keeps the token of the pushes' address out of the access logs of the web servers before us.

The address is all that proves a push, and uvicorn writes it at every request. So whoever makes a
receiver has the loggers of the servers filtered, in this process, before any handler sees a line.
"""

import logging
import re
from contextlib import suppress
from typing import Final

_LOGGERS: Final = (
    "uvicorn.access",
    "uvicorn.asgi",  # whole scopes, at the level `trace`
    "uvicorn.error",
    "hypercorn.access",
    "hypercorn.error",
    "granian.access",
    "gunicorn.access",
)
_HIDDEN: Final = "***"
_SHORT: Final = 8  # characters: what is shorter may be a word, and stand in any line


class _Hiding(logging.Filter):
    """Puts `***` in the place of each token that it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, re.Pattern[str]] = {}

    def tell(self, token: str) -> None:
        """Hide this token, too, plain or percent-encoded."""
        # A new dict each time: other threads may be logging.
        self._tokens = self._tokens | {token: _pattern(token)}

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, without tokens."""
        with suppress(Exception):  # a line that nobody can format is its handlers' business
            message = record.getMessage()
            hidden = self._hide(message)
            if hidden != message:
                self._rewrite(record, hidden)
        return True

    def _rewrite(self, record: logging.LogRecord, hidden: str) -> None:
        # uvicorn's formatter takes the arguments apart, so they stay what they are if possible.
        if isinstance(record.args, tuple):
            record.args = tuple(self._hide(x) if isinstance(x, str) else x for x in record.args)
        if record.getMessage() != hidden:
            record.msg, record.args = hidden, ()

    def _hide(self, text: str) -> str:
        for pattern in self._tokens.values():
            text = pattern.sub(_HIDDEN, text)
        return text


def _pattern(token: str) -> re.Pattern[str]:
    chars = "".join(f"(?:{re.escape(char)}|%{ord(char):02x})" for char in token)
    if len(token) < _SHORT:
        chars = rf"(?<=/){chars}(?![\w.~%-])"  # a whole segment of a path
    return re.compile(chars, re.IGNORECASE)


_hiding: Final = _Hiding()


def hide(token: str) -> None:
    """Keep a token out of what the web servers of this process log from now on."""
    _hiding.tell(token)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_hiding)  # once, however often it is added
