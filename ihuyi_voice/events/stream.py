"""The stream: tells events to a hook, and first asks whether anybody wants to hear of them."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias, TypeVar

import attrs

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.options import uncallable
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.events.every import EVERY, Event

logger = logging.getLogger("ihuyi_voice.outcomes")

Hook: TypeAlias = Callable[[Event], object]
E = TypeVar("E")
_NONE: Final[frozenset[type[Event]]] = frozenset()


def checked_hook(hook: Hook | None) -> Hook | None:
    """Return a hook that can be called.

    Raises:
        InvalidRequest: It can't.
    """
    wrong = None if hook is None else uncallable("on_event", hook)
    if wrong is not None:
        raise InvalidRequest(wrong, field="on_event")
    return hook


@attrs.define(eq=False)
class Stream:
    """Tells events to somebody's hook, if there is one.

    Events cost something: who tells one looks into `kinds` first, or asks `wants`.

    Attributes:
        hook: The caller's; None for nobody.
        kinds: The classes of the events that it wants to hear of, as it said when it was asked.
        is_choosy: Whether it has said so, and may say something else the next time.
    """

    hook: Hook | None = None
    kinds: frozenset[type[Event]] = attrs.field(init=False, default=_NONE)
    is_choosy: bool = attrs.field(init=False, default=False)
    _has_failed: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        if self.hook is not None:
            self.kinds = EVERY
            self.is_choosy = _has_kinds(self.hook)
            self.ask()

    def ask(self) -> None:
        """Ask the hook which kinds it wants, if it has an opinion; else it wants all."""
        if self.is_choosy:
            try:
                given: object = getattr(self.hook, "kinds", EVERY)
            except ENDING:
                raise
            except BaseException as exc:  # noqa: BLE001 - it is the caller's code
                self._complain(exc)
                given = EVERY
            self.kinds = given if isinstance(given, frozenset) else EVERY

    def wants(self, kind: type[Event]) -> bool:
        """Say whether anybody wants to hear of such an event now."""
        if self.is_choosy:
            self.ask()
        return kind in self.kinds

    def tell(self, event: Event) -> None:
        """Tell one.

        Whoever tells may be about to write something down. So KeyboardInterrupt and SystemExit of
        the hook, by which it ends the program, strike in the event loop's next turn.
        """
        try:
            self.tell_at_once(event)
        except ENDING as exc:
            asyncio.get_running_loop().call_soon(_raise, exc)

    def tell_at_once(self, event: Event) -> None:
        """Tell one; what ends the program is raised here, where whoever tells is prepared for it.

        Raises:
            KeyboardInterrupt, SystemExit: The hook did.
        """
        failure = None if self.hook is None else call_hook(self.hook, event)
        if failure is not None:
            self._complain(failure)

    def _complain(self, failure: BaseException) -> None:
        if not self._has_failed:
            self._has_failed = True
            text = "on_event failed (%s); what it fails at later is not told"
            tell(logger, logging.WARNING, text, type(failure).__name__)


def _has_kinds(hook: object) -> bool:
    try:
        return hasattr(type(hook), "kinds") or hasattr(hook, "kinds")
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - as above
        return False


def call_hook(hook: Callable[[E], object], event: E) -> BaseException | None:
    """Call the caller's hook, which may do anything and changes nothing; return what it raised.

    Raises:
        KeyboardInterrupt, SystemExit: It did, and ends the program by that.
    """
    try:
        given = hook(event)
        if given is not None and inspect.iscoroutine(given):
            given.close()
            return TypeError("a hook is called, not awaited; give a plain function")
    except ENDING:
        raise
    except BaseException as exc:  # noqa: BLE001 - it is the caller's code
        return exc
    return None


def _raise(exc: BaseException) -> NoReturn:
    raise exc
