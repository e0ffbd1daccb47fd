"""The parts of a run that many processes work on: loaded, opened, and watched."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.ledger.held import HeldPart, standing_of
from ihuyi_voice.ledger.loading import STEP, Load, Loading
from ihuyi_voice.ledger.progress import PartInfo, RunProgress, progress, undone
from ihuyi_voice.ledger.runs import check_account
from ihuyi_voice.ledger.states import opens
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Address, Work

if TYPE_CHECKING:
    from ihuyi_voice.ledger.desk import Desk


_MOST: Final = 2**31 - 1  # of the column


@attrs.frozen
class Loaded:
    """What a load came to.

    Attributes:
        parts: How many parts the run has.
        new: How many messages came into it.
        others: The rows of the list whose key is another message's.
    """

    parts: int
    new: int
    others: Sequence[int]


class Parts:
    """What many processes that work on one run need of its ledger.

    Args:
        desk: The ledger's.
        address: Where it is.
    """

    def __init__(self, desk: "Desk", address: Address) -> None:
        self._desk = desk
        self._owners = desk.owners
        self.address = address
        self.prefix = desk.owners.say.prefix

    # --- loading

    async def begin(self, account: str, run: str, size: int) -> Load:
        """Begin to load a list into a run, in place of a load that died.

        Args:
            account: Whose run it is.
            run: Its name.
            size: About how many messages a part is to have.

        Raises:
            InvalidRequest: The ledger is in SQLite, or the run is worked on by one process alone.
            LedgerUnavailable: It is not begun.
        """
        if self.address.dialect != "postgresql":
            text = "a run of many processes needs a ledger in PostgreSQL"
            raise InvalidRequest(text, field="ledger")
        check_account(account)
        token = os.urandom(6).hex()
        loading = self._loading
        return await self._desk.heart.write(lambda: loading.begin(account, run, size, token))

    async def add(self, load: Load, drafts: Sequence[tuple[int, Draft]]) -> None:
        """Add messages to a load, each with its row in the list.

        Raises:
            RunInUse: A later load of the run has begun.
            LedgerUnavailable: They are not added; the load is to be begun anew.
        """
        await self._desk.heart.write(partial(self._loading.add, load, drafts))

    async def end(self, load: Load, rows: int, last: int) -> Loaded:
        """Let the messages of a load, so many in all, be worked on.

        Args:
            load: The load.
            rows: How many messages were added.
            last: The last row of the list.

        Raises:
            RunInUse: A later load of the run has begun.
            LedgerUnavailable: The load is to be begun anew.
        """
        write, loading = self._desk.heart.write, self._loading
        parts = await write(partial(loading.divide, load, rows))
        new, others = 0, list[int]()
        for after in range(0, last, STEP):
            moved, odd = await write(partial(loading.move, load, parts, after))
            new += moved
            others += odd
        await self._desk.impatiently(partial(loading.end, load))
        return Loaded(parts, new, others)

    # --- working

    def hold(
        self,
        account: str,
        run: str,
        part: int,
        *,
        takeover: bool = False,
        retry_rejected: bool = False,
    ) -> AbstractAsyncContextManager[HeldPart]:
        """Open a part, as `Ledger.run` opens a run.

        Raises:
            RunInUse: A living process holds it.
            RunStopped: The run was stopped.
            LedgerUnavailable: The ledger could not be asked.
        """
        if not _is_part(part):
            raise InvalidRequest(f"{part!r:.40} is no number of a part", field="part")
        return self._hold(account, run, part, takeover=takeover, retry_rejected=retry_rejected)

    @asynccontextmanager
    async def _hold(
        self, account: str, run: str, part: int, *, takeover: bool, retry_rejected: bool
    ) -> AsyncGenerator[HeldPart]:
        opening = self._desk.part(
            account, run, part, takeover=takeover, retry_rejected=retry_rejected
        )
        async with opening as (book, journal):
            highest = opens(retry_rejected=retry_rejected)
            yield HeldPart(self._desk.heart, self._owners, book, journal, highest)

    async def is_done(self, account: str, run: str, part: int) -> bool:
        """Return whether there is nothing to do for a part.

        Raises:
            InvalidRequest: There is no such run, or it has no such part.
            LedgerUnavailable: The ledger could not be asked.
        """
        where = {"run": await self._desk.found(run, account), "part": part}
        row = None
        if _is_part(part):
            row = await self._desk.heart.read(partial(standing_of, self._owners, where))
        if row is None:
            raise InvalidRequest(f"the run {run!r} has no part {part!r}", field="part")
        return bool(row["done"])

    async def undone(self, account: str) -> list[PartInfo]:
        """Return the parts of an account's runs that are not done, but for stopped runs.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        check_account(account)
        return await self._desk.heart.read(partial(undone, self._owners, account))

    async def progress(self, run: str, account: str | None = None) -> RunProgress:
        """Return where a run stands, over all processes.

        Raises:
            InvalidRequest: There is no such run, or several accounts have one.
            LedgerUnavailable: The ledger could not be asked.
        """
        return await self._desk.heart.read(lambda: self._progress(run, account))

    def _progress(self, run: str, account: str | None) -> Work[RunProgress]:
        row = yield from self._desk.runs.named(run, account)
        return (yield from progress(self._owners, row))

    @property
    def _loading(self) -> Loading:
        return Loading(self._owners, self.prefix)


def _is_part(given: object) -> bool:
    """Say whether a database could have it; else it would fail as if it were away."""
    return type(given) is int and 0 < given <= _MOST
