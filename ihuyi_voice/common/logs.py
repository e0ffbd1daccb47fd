"""Log lines that break nothing: filters and handlers are other people's code."""

import logging
from contextlib import suppress


def tell(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Log a line; whatever a filter or a handler raises is dropped, for nobody could be told."""
    if not logger.isEnabledFor(level):
        return
    with suppress(Exception):  # there is no place left to say so
        logger.log(level, message, *args)
