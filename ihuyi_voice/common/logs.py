"""Log lines that break nothing: not their caller, and no terminal that shows them."""

import logging
from contextlib import suppress

from ihuyi_voice.common.redaction import shown


def tell(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Log a line; what it quotes steers no terminal, and an error takes no second line.

    Filters and handlers are other people's code: whatever they raise is dropped, for nobody could
    be told.
    """
    if not logger.isEnabledFor(level):
        return
    with suppress(Exception):  # there is no place left to say so
        logger.log(level, message, *map(_harmless, args))


def _harmless(arg: object) -> object:
    if isinstance(arg, BaseException):
        return shown(str(arg))
    if isinstance(arg, str) and not arg.isprintable():
        return "\n".join(map(shown, arg.split("\n")))  # tracebacks have lines
    return arg
