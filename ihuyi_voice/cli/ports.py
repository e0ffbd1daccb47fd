"""A port that can't be listened on, in words."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ihuyi_voice.cli.language import text

_WORDS: Final = {
    errno.EADDRINUSE: "port.taken",
    errno.EACCES: "port.forbidden",
    errno.EADDRNOTAVAIL: "port.elsewhere",
}


@contextmanager
def told_if_taken(host: str, port: int) -> Generator[None]:
    """Put what the system says of a port into words that say what to do.

    Raises:
        OSError: It can't be listened on.
    """
    try:
        yield
    except OSError as exc:
        key = None if exc.filename is not None else _WORDS.get(exc.errno or 0)
        if key is None:
            raise
        raise OSError(text(key, host=host, port=port)) from exc
