"""A list becomes the parts of a run, each with a job."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.bulk import as_message, check_messages, key_of, reading
from ihuyi_voice.calls import check_ledger
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import check_count, normalise_mobile, validate_content
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.models import Draft, Message
from ihuyi_voice.workers.queue import Queue

Messages: TypeAlias = (
    "Iterable[Message | tuple[str, str]] | AsyncIterable[Message | tuple[str, str]]"
)

_AT_ONCE: Final = 5_000  # rows in memory
_MOST_KEPT: Final = 1_000
_OTHERS: Final = "the key was used with another number or content"


@attrs.frozen
class Distributed:
    """What a list came to.

    Attributes:
        read: How many rows it had.
        new: How many of them came into the run; the others were in it, or can't be sent.
        parts: How many parts the run has.
        bad: Which rows can't be sent, counted from 1, and why; the first thousand.
        bad_count: How many there are.
    """

    read: int
    new: int
    parts: int
    bad: dict[int, InvalidRequest]
    bad_count: int


async def distribute(
    ledger: Ledger,
    run: str,
    messages: Messages,
    part_size: int = 1_000,
    *,
    account: str,
    max_content_length: int | None = None,
) -> Distributed:
    """Load a list into a run, and let all workers of the account work on it.

    Done again, after a crash or not, it goes on: what is in the run already stays as it is, and
    what was held back or not sent gets another chance.

    Args:
        ledger: An open one, in PostgreSQL.
        run: The run's name.
        messages: As for `submit_many`, and closed likewise, whatever happens; a few thousand are
            in memory at a time.
        part_size: About how many messages a part has; settled when the run is loaded first.
        account: Whose run it is: the APIID of the workers' clients.
        max_content_length: As for the client.

    Raises:
        InvalidRequest: An argument can't be right, or the run is worked on by one process alone.
        RunInUse: The same run is being loaded by another process, which began later.
        LedgerUnavailable: It is not loaded, or not whole; do it again.
        ImportError: The extra `workers` is not installed.
    """
    check_ledger(ledger)
    check_count("part_size", part_size)
    if max_content_length is not None:
        check_count("max_content_length", max_content_length)
    check_messages(messages)
    opening, progress = Queue(ledger, account), _Progress(max_content_length)
    async with reading(messages) as rows, opening as queue:
        load = await ledger.parts.begin(account, run, part_size)
        async with aclosing(_drafts(rows, progress)) as batches:
            async for batch in batches:
                await ledger.parts.add(load, batch)
                progress.kept += len(batch)
        loaded = await ledger.parts.end(load, progress.kept, progress.read)
        for row in loaded.others:
            progress.refuse(row, InvalidRequest(_OTHERS, field="key"))
        await queue.defer_undone()
    return Distributed(progress.read, loaded.new, loaded.parts, progress.bad, progress.bad_count)


@attrs.define
class _Progress:
    """How far a list was read.

    Attributes:
        longest: The longest content.
        read: Rows read.
        kept: Rows that were copied.
        bad: The first that can't be sent.
        bad_count: How many can't.
    """

    longest: int | None
    read: int = 0
    kept: int = 0
    bad: dict[int, InvalidRequest] = attrs.field(factory=dict[int, InvalidRequest])
    bad_count: int = 0

    def draft(self, given: object) -> Draft | None:
        """Return a row as it is sent; None if it can't be."""
        self.read += 1
        try:
            message = as_message(given)
            mobile = normalise_mobile(message.mobile)
            content = validate_content(message.content, self.longest)
            return Draft(key_of(message, mobile, content), mobile, content, message.reference)
        except InvalidRequest as error:
            self.refuse(self.read, error)
            return None

    def refuse(self, row: int, error: InvalidRequest) -> None:
        """Note a row that can't be sent."""
        self.bad_count += 1
        if len(self.bad) < _MOST_KEPT:
            self.bad[row] = error


async def _drafts(
    rows: AsyncIterator[object], progress: _Progress
) -> AsyncGenerator[list[tuple[int, Draft]]]:
    batch: list[tuple[int, Draft]] = []
    async for given in rows:
        draft = progress.draft(given)
        if draft is not None:
            batch.append((progress.read, draft))
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
