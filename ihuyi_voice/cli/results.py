"""A run's results beside the columns of its list, written whole from the ledger.

Into a temporary file beside the old one, which takes its place when everything is on the disk: who
looks at it sees the results of one moment, and a full disk costs nothing that was there.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs

from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.listing import Keyed
from ihuyi_voice.cli.sheets import Write, fresh, is_workbook, replacing, writing
from ihuyi_voice.common.redaction import mask_numbers, shown
from ihuyi_voice.errors import InvalidRequest, RateLimited, VendorError
from ihuyi_voice.inputs import BadRow, TableFile, beside, earlier
from ihuyi_voice.inputs.earlier import OF_A_LEDGER
from ihuyi_voice.ledger import Kept, Ledger
from ihuyi_voice.models import OutcomeStatus, Submission
from ihuyi_voice.protocol.codes import SUCCESS

_BATCH: Final = 500
_ERROR: Final = OF_A_LEDGER.index("error")


@attrs.frozen
class Headings:
    """The columns of a results file.

    Attributes:
        names: Those of the list, without those of an earlier results file.
        ours: Those of the results; where the list has such a name itself, ours is another one.
    """

    names: tuple[str, ...]
    ours: tuple[str, ...]
    _kept: tuple[int, ...]

    @classmethod
    def of(cls, names: Sequence[str], ours: Sequence[str] = OF_A_LEDGER) -> "Headings":
        """Return the columns for a list: the results of an earlier run are taken away."""
        results = earlier(names)
        kept = tuple(place for place in range(len(names)) if place not in results)
        left = tuple(names[place] for place in kept)
        return cls(left, beside(left, ours), kept)

    def cells(self, row: Sequence[str]) -> list[str]:
        """Return the cells of a row of the list that are kept, as many as there are columns."""
        return [row[place] if place < len(row) else "" for place in self._kept]


class ResultsFile:
    """A file that is replaced as a whole.

    Args:
        path: The file; None for none.
        headings: Its columns.
        run: The run that it tells of: its own file is replaced, somebody else's isn't.
        force: Whether any file may be replaced.
    """

    def __init__(self, path: Path | None, headings: Headings, run: str, *, force: bool) -> None:
        self._path = path
        self._headings = headings
        self._run = run
        self._force = force

    @property
    def header(self) -> Sequence[str]:
        """Its first row."""
        return (*self._headings.names, *self._headings.ours)

    def check(self) -> None:
        """Show that it can be written.

        Raises:
            InvalidRequest: There is somebody else's file.
            OSError: Nothing can be written there.
        """
        if self._path is None:
            return
        self._spare(self._path)
        fresh(self._path).unlink()

    def _spare(self, path: Path) -> None:
        if not self._force and path.exists() and not self._is_own(path):
            raise InvalidRequest(text("send.out.taken", out=str(path)))

    def _is_own(self, path: Path) -> bool:
        """Say whether a file has this run's results, or nothing at all."""
        if not path.stat().st_size:
            return True
        try:
            names, *first = islice(TableFile(path), 2)
        except (InvalidRequest, ValueError):  # it is no table, or there is nothing in it
            return False
        ours = len(self._headings.ours)
        if names.cells[-ours:] != self._headings.ours:
            return False
        return not first or first[0].cells[-1:] == (self._run,)

    async def write(self, rows: AsyncGenerator[Sequence[Any]]) -> None:
        """Write all rows, then let them take the old file's place.

        Raises:
            InvalidRequest: Another run has written there meanwhile.
            OSError: They can't be written; the old file stays.
        """
        if self._path is not None:
            await replace(self._path, self.header, rows, check=self._spare)


async def replace(
    path: Path,
    header: Sequence[str],
    rows: AsyncGenerator[Sequence[Any]],
    check: Callable[[Path], None],
) -> None:
    """Write a file that takes an older one's place when it is whole and on the disk.

    Args:
        path: The file.
        header: Its first row.
        rows: The others.
        check: Called when all is written; raises if the older one is to stay.
    """
    with replacing(path) as part:
        with writing(part, workbook=is_workbook(path)) as write:
            await write_rows(write, header, rows)
        check(path)


async def write_rows(
    write: Write,
    header: Sequence[str],
    rows: AsyncGenerator[Sequence[Any]],
) -> None:
    """Write a header, and rows as they come; they are closed: a list may be open behind them."""
    async with aclosing(rows):
        write(header)
        async for row in rows:
            write(row)


async def ended(
    ledger: Ledger, run: str, account: str | None, rows: Iterator[Keyed]
) -> AsyncGenerator[tuple[Keyed, tuple[str, ...]]]:
    """Yield the rows of a list, each with what the ledger knows of it, in the order of OF_A_LEDGER.

    That is all of its cells but the last, the run.
    """
    while batch := list(islice(rows, _BATCH)):
        keys = [each.key for each in batch if each.key]
        known: Mapping[str, Kept] = {}
        if keys:
            known = await ledger.results(run, keys, account)
        for each in batch:
            yield each, tuple(map(_text, _result(each, known.get(each.key))))
        await asyncio.sleep(0)


async def joined(
    ledger: Ledger,
    run: str,
    account: str | None,
    rows: Iterator[Keyed],
    headings: Headings,
    *,
    masked: bool = False,
) -> AsyncGenerator[list[str]]:
    """Yield the rows of a results file: the cells of a list, and those of each row's result."""
    async with aclosing(ended(ledger, run, account, rows)) as all_told:
        async for each, told in all_told:
            cells, result = headings.cells(each.row.cells), list(told)
            if masked:
                cells, result[_ERROR] = list(map(mask_numbers, cells)), mask_numbers(result[_ERROR])
            yield [*cells, *result, run]


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)


def _result(each: Keyed, kept: Kept | None) -> tuple[object, ...]:
    """Return the cells of a row's result, but for the run."""
    row = each.row
    if each.earlier is not None:
        return *each.earlier, each.key
    if isinstance(row, BadRow):
        return OutcomeStatus.NOT_SENT.value, "", "", shown(row.reason), "", 0, ""
    if kept is not None and (kept.draft.mobile, kept.draft.content) != (row.mobile, row.content):
        reason = text("send.key.used", name=each.key)
        return OutcomeStatus.NOT_SENT.value, "", "", shown(reason), "", 0, each.key
    cells = (*result(kept), each.key)
    if not each.same_as:
        return cells
    reason = text("send.same", line=each.same_as)
    return (*cells[:3], reason, *cells[4:])


def result(kept: Kept | None) -> tuple[object, ...]:
    """Return how a message ended: status, voice_id, code, error, retry_at and attempts."""
    if kept is None or kept.end is None:
        flying = kept is not None and kept.flying
        status = OutcomeStatus.UNKNOWN if flying else OutcomeStatus.NOT_SENT
        reason = text("send.in_flight" if flying else "send.not_begun")
        return status.value, "", "", reason, "", 0
    end = kept.end
    if isinstance(end, Submission):
        return OutcomeStatus.ACCEPTED.value, end.voice_id, SUCCESS, "", "", end.attempts
    code = end.code if isinstance(end, VendorError) else ""
    retry_at = end.retry_at if isinstance(end, RateLimited) else None
    return end.status.value, "", code, shown(str(end)), retry_at or "", end.attempts
