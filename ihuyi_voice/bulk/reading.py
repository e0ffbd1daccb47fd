"""A caller's iterable for whoever just awaits one item after the other, closed in any case.

The rule for what is closed is that of `sources`, which reads ahead, for a run.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager

from ihuyi_voice.bulk.sources import close_of
from ihuyi_voice.common.foreign import PASSING, words
from ihuyi_voice.common.logs import tell

logger = logging.getLogger("ihuyi_voice.bulk")


@asynccontextmanager
async def reading(
    messages: Iterable[object] | AsyncIterable[object],
) -> AsyncGenerator[AsyncIterator[object]]:
    """Yield what gives the items of an iterable; left, however that happens, it is closed.

    What `iter` or `aiter` raises passes through, and so does what closing raises, unless something
    else went wrong before: that is the caller's to hear, and what closing raises is told beside it.
    """
    iterator, name = (
        (aiter(messages), "aclose")
        if isinstance(messages, AsyncIterable)
        else (iter(messages), "close")
    )
    close = close_of(iterator, messages, name)
    try:
        async with aclosing(_each(iterator)) as items:
            yield items
    except BaseException:
        try:
            await _closed(close)
        except PASSING:
            raise
        except BaseException as exc:  # noqa: BLE001 - it is the caller's code
            tell(logger, logging.WARNING, "a list could not be closed: %s", words(exc))
        raise
    await _closed(close)


async def _closed(close: object) -> None:
    result = close() if callable(close) else None
    if inspect.isawaitable(result):
        await result


async def _each(iterator: Iterator[object] | AsyncIterator[object]) -> AsyncGenerator[object]:
    if isinstance(iterator, AsyncIterator):
        async for item in iterator:
            yield item
    else:
        for item in iterator:
            yield item
