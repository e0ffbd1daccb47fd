"""Log lines that break nothing: not their caller, and no terminal that shows them."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.redaction import mask_numbers, shown

_A_WHILE: Final = 60.0  # seconds
_SINCE: Final = ", %d since the last such line"
_DIGITS: Final = re.compile(r"\d+")
_MOST: Final = 20


def tell(
    logger: logging.Logger,
    level: int,
    message: str,
    *args: object,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log a line; what it quotes steers no terminal, and an error takes no second line.

    No phone number of an error's text is shown: it may be a ledger's, or a guard's, of anybody's.

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
        return mask_numbers(shown(str(arg)))
    if isinstance(arg, str) and not arg.isprintable():
        return "\n".join(map(shown, arg.split("\n")))  # tracebacks have lines
    return arg


@attrs.define(eq=False)
class Trouble:
    """What goes wrong again and again: told at once, then once a minute at most, and once it ends.

    Attributes:
        logger: Where it is told.
        clock: Seconds, from any beginning, that never go back.
        level: Of its lines.
        count: How often it went wrong since it was told to be over.
    """

    logger: logging.Logger
    clock: Callable[[], float] = time.monotonic
    level: int = logging.WARNING
    count: int = attrs.field(default=0, init=False)
    _told_of: int = attrs.field(default=0, init=False)
    _quiet_until: float = attrs.field(default=float("-inf"), init=False)
    _is_told: bool = attrs.field(default=False, init=False)

    @property
    def is_quiet(self) -> bool:
        """Whether it was told a moment ago, and so is only counted."""
        return self.clock() < self._quiet_until

    def note(self, message: str, *args: object, trace: Callable[[], str] | None = None) -> None:
        """Warn of it, and of those that were not told, unless that was done a moment ago.

        Args:
            message: What went wrong.
            args: For the message.
            trace: Says more, on lines of its own, the first time that it is told.
        """
        self.count += 1
        if self.is_quiet:
            return
        since, self._told_of = self.count - self._told_of, self.count
        if since > 1:
            message, args = message + _SINCE, (*args, since)
        if trace is not None and not self._is_told:
            message, args = message + "\n%s", (*args, trace())
        self._quiet_until, self._is_told = self.clock() + _A_WHILE, True
        tell(self.logger, self.level, message, *args)

    def over(self, message: str, *args: object) -> None:
        """Tell that it is over, if anybody was warned of it."""
        if self._is_told:
            self._is_told = False
            self.count = self._told_of = 0
            tell(self.logger, logging.WARNING, message, *args)


@attrs.define(eq=False)
class Troubles:
    """Troubles told apart by their words, but for the numbers in them: each new one at once.

    There are twenty at a time: a text that is another one each time is one trouble from there on.

    Attributes:
        logger: Where they are told.
        clock: As for `Trouble`.
        level: The same.
    """

    logger: logging.Logger
    clock: Callable[[], float] = time.monotonic
    level: int = logging.WARNING
    _known: dict[str, Trouble] = attrs.field(factory=dict[str, Trouble], init=False)

    def of(self, words: str) -> Trouble:
        """Return the trouble of these words."""
        key = _DIGITS.sub("#", words)
        if key not in self._known and len(self._known) >= _MOST:
            self._known = {key: each for key, each in self._known.items() if each.is_quiet}
            key = key if len(self._known) < _MOST else ""
        if key not in self._known:
            self._known[key] = Trouble(self.logger, self.clock, self.level)
        return self._known[key]

    def over(self, message: str) -> None:
        """Tell of each that it is over, and how often it went wrong, which the message takes."""
        for each in self._known.values():
            each.over(message, each.count)
