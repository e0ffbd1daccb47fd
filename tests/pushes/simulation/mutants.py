"""Inboxes that break a promise, each in one place: the worlds must find them out."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from ihuyi_voice.pushes import PushState, claims, subjects
from ihuyi_voice.pushes.calling import Caller
from ihuyi_voice.pushes.claims import Verdict
from ihuyi_voice.pushes.handling import Dispatcher
from ihuyi_voice.pushes.store import Store

Mutant: TypeAlias = Callable[[], AbstractContextManager[object]]

_LEFT: Final[set[asyncio.Task[None]]] = set()


def success_comes_first() -> AbstractContextManager[object]:
    """A push is answered before it is stored."""
    put = Store.put

    async def soon(store: Any, push: Any, now: float) -> None:
        _LEFT.add(asyncio.create_task(put(store, push, now)))

    return patch.object(Store, "put", soon)


def a_failure_is_no_failure() -> AbstractContextManager[object]:
    """What a handler failed at is handled."""

    def failed(_: object, claim: Any, __: object) -> Verdict:
        return Verdict(claim, PushState.HANDLED)

    return patch.object(Caller, "_failed", failed)


def an_earlier_one_is_never_late() -> AbstractContextManager[object]:
    """A report that comes after a later one of its call is handled all the same."""
    facts = vars(subjects)["_facts"]

    def none_is_overtaken(table: Any, *, replayed: bool) -> str:
        told: str = facts(table, replayed=replayed)
        return told.replace("o.tries > 0", "o.tries > 99")

    return patch.object(subjects, "_facts", none_is_overtaken)


def each_try_is_news() -> AbstractContextManager[object]:
    """The vendor's second try of a push is another push."""

    def begin(self: Any, *given: Any, **options: Any) -> None:
        made(self, *given, **options)
        self._tries_within = 0.001

    made = Store.__init__
    return patch.object(Store, "__init__", begin)


def nobody_takes_over() -> AbstractContextManager[object]:
    """What a dead process had claimed stays claimed."""
    claim = claims.claimed

    def for_ever(table: Any, room: Any, terms: Any) -> Any:
        return (yield from claim(table, room, terms._replace(lease=1e9)))

    return patch.dict(Store.turn.__globals__, {"claimed": for_ever})


def what_was_cut_off_is_done() -> AbstractContextManager[object]:
    """A handler that was cut off when its process closed is not called again."""

    def handled(claim: Any) -> Verdict:
        return Verdict(claim, PushState.HANDLED)

    return patch.dict(Caller.run.__globals__, {"interrupted": handled})


def a_cancelled_dispatcher_is_silent() -> AbstractContextManager[object]:
    """Whoever closes an inbox is told that they are cancelled."""

    async def ended(task: Any, *, at_once: bool = False) -> None:
        if at_once:
            task.cancel()
        await task

    return patch.dict(Dispatcher.__aexit__.__globals__, {"ended": ended})


ALL: Final[tuple[Mutant, ...]] = (
    success_comes_first,
    a_failure_is_no_failure,
    an_earlier_one_is_never_late,
    each_try_is_news,
    nobody_takes_over,
    what_was_cut_off_is_done,
    a_cancelled_dispatcher_is_silent,
)
