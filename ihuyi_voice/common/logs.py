"""Log lines that break nothing: not their caller, and no terminal that shows them."""

import logging
from collections.abc import Mapping

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.redaction import shown


def tell(
    logger: logging.Logger,
    level: int,
    message: str,
    *args: object,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log a line; what it quotes steers no terminal, and an error takes no second line.

    `extra` are fields beside it, for handlers that write more than lines.

    Filters and handlers are other people's code: whatever they raise is dropped, for nobody could
    be told.
    """
    if not logger.isEnabledFor(level):
        return
    try:
        logger.log(level, message, *map(_harmless, args), extra=extra)
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001, S110 - there is no place left to say so
        pass


def _harmless(arg: object) -> object:
    if isinstance(arg, BaseException):
        return shown(str(arg))
    if isinstance(arg, str) and not arg.isprintable():
        return "\n".join(map(shown, arg.split("\n")))  # tracebacks have lines
    return arg
