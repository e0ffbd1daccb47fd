"""Questions that are asked while an answer is awaited, and go together in the next round."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.common.foreign import ENDING, words
from ihuyi_voice.errors import LedgerUnavailable

MOST: Final = 500
"""The most questions in one round."""

Q = TypeVar("Q")
A = TypeVar("A")


class Batches(Generic[Q, A]):
    """Asks many callers' questions of a ledger together.

    Args:
        ask: Returns the answers to so many questions, in their order, or raises LedgerUnavailable.
        errands: Where the rounds run, whichever of the callers is cancelled.
    """

    def __init__(
        self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], errands: Errands
    ) -> None:
        self._ask = ask
        self._errands = errands
        self._waiting: deque[tuple[Q, asyncio.Future[A | LedgerUnavailable]]] = deque()
        self._asking = False

    async def ask(self, question: Q) -> A:
        """Return the answer to one question.

        Raises:
            LedgerUnavailable: There is none.
        """
        future: asyncio.Future[A | LedgerUnavailable] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if not self._asking:
            self._asking = True
            self._errands.begin(self._rounds())
        answer = await future
        if isinstance(answer, LedgerUnavailable):  # each caller has an error of its own
            raise type(answer)(*answer.args) from answer.__cause__
        return answer

    async def _rounds(self) -> None:
        try:
            while self._waiting:
                await self._round([self._waiting.popleft() for _ in self._next()])
        finally:
            self._asking = False

    def _next(self) -> range:
        return range(min(len(self._waiting), MOST))

    async def _round(self, batch: "list[tuple[Q, asyncio.Future[A | LedgerUnavailable]]]") -> None:
        answers: Sequence[A | LedgerUnavailable]
        try:
            answers = await self._ask([question for question, _ in batch])
        except LedgerUnavailable as error:
            answers = [error] * len(batch)
        except asyncio.CancelledError:  # the client is being closed: nothing more is asked
            batch = [*batch, *self._waiting]
            self._waiting.clear()
            answers = [LedgerUnavailable("the ledger was not asked in time")] * len(batch)
        except (GeneratorExit, *ENDING):
            raise
        except BaseException as exc:  # noqa: BLE001 - or whoever asked would wait for ever
            failure = LedgerUnavailable(f"the ledger could not be asked ({words(exc)})")
            failure.__cause__ = exc
            answers = [failure] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
