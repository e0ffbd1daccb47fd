"""Log lines that break nothing: not their caller, and no terminal that shows them."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.redaction import shown

_A_WHILE: Final = 60.0  # seconds
_SINCE: Final = ", %d since the last such line"


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


@attrs.define(eq=False)
class Trouble:
    """What goes wrong again and again: told at once, then once a minute at most, and once it ends.

    Attributes:
        logger: Where it is told.
        clock: Seconds, from any beginning, that never go back.
        count: How often it went wrong since it was told to be over.
    """

    logger: logging.Logger
    clock: Callable[[], float] = time.monotonic
    count: int = attrs.field(default=0, init=False)
    _told_of: int = attrs.field(default=0, init=False)
    _quiet_until: float = attrs.field(default=float("-inf"), init=False)
    _is_told: bool = attrs.field(default=False, init=False)

    def note(self, message: str, *args: object) -> None:
        """Warn of it, and of those that were not told, unless that was done a moment ago."""
        self.count += 1
        now = self.clock()
        if now < self._quiet_until:
            return
        since, self._told_of = self.count - self._told_of, self.count
        self._quiet_until, self._is_told = now + _A_WHILE, True
        if since > 1:
            message, args = message + _SINCE, (*args, since)
        tell(self.logger, logging.WARNING, message, *args)

    def over(self, message: str, *args: object) -> None:
        """Tell that it is over, if anybody was warned of it."""
        if self._is_told:
            self._is_told = False
            self.count = self._told_of = 0
            tell(self.logger, logging.WARNING, message, *args)
