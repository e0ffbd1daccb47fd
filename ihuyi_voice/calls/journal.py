"""What a call needs of a ledger: told before the first byte, and again after the answer.

For each attempt at a keyed message: *look* (is there an end of it already?), the number's line and
the guard, *intend* (durable; granted to one caller only), the request, *settle* (durable). What a
journal says in `look` and `intend` is an end like any other; None means that it may be sent.

- A `Submission`, a `VendorError` or an `OutcomeUnknown`: it was sent before, and that came of it.
- `CallInFlight`: somebody alive has it in flight; to be asked again.
- `InvalidRequest`: the key was used with another number or content.
- `RunStopped`: the run was stopped, or somebody else has taken it over.

A ledger fulfils these protocols by its shape; it imports nothing from here.
"""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol, TypeAlias

import attrs

from ihuyi_voice.errors import VoiceError
from ihuyi_voice.models import Draft, Submission

Ending: TypeAlias = Submission | VoiceError
"""How a message ended."""


@attrs.frozen(eq=False)
class Page:
    """Some of what was accepted in a run, in the order in which it was begun.

    It is kept as texts, for they are had, and compared, many messages at a time.

    Attributes:
        END: What stands behind each value in a text. No number, content or reference that was sent
            has it.
        last: The place of the last one; 0 if there is none.
        messages: The reference of each (nothing if it has none), its number and its content, with
            `END` behind each of the three.
        voice_ids: Their ids.
        attempts: How many requests were begun for each.
    """

    END: ClassVar = "\x1f"

    last: int = 0
    messages: str = attrs.field(default="", repr=False)
    voice_ids: Sequence[str] = ()
    attempts: Sequence[int] = ()


class Journal(Protocol):
    """The entries of one run, or of the keyed calls (the run "")."""

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it when it was opened, so that there is nothing to look up."""
        ...

    @property
    def has_recent(self) -> bool:
        """Whether `recall` may know a call; False saves asking."""
        ...

    async def look(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Return what became of each, in their order; None if it may be sent.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        ...

    async def accepted(self, after: int | str) -> Sequence[Any]:
        """Return the next of what was accepted, in the order in which it was begun.

        Four values, or none if that was all: the place of the last one, and three texts, with
        `Page.END` behind each value. In the first one stand the reference of each (nothing if it
        has none), its number and its content; in the second one their ids; in the third one how
        many requests were begun for each. What is not among them may have been accepted all the
        same: a journal that can't tell gives nothing, or lacks this method.

        Args:
            after: The place or the key of the one before; 0 for none.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        ...

    def intend(self, draft: Draft) -> Awaitable[Ending | None]:
        """Write durably that this call is about to be made; None if it may be, by this caller only.

        A coroutine, or a future, which is cheaper. Its first step is taken in the caller's task,
        and so is `settle`'s: neither may begin with a timeout or a scope of the running task's. The
        rest is cancelled only when it hangs.

        Raises:
            LedgerUnavailable: It is not written; or nobody knows, and the ledger takes it back.
        """
        ...

    def settle(self, draft: Draft, end: Ending) -> Awaitable[object]:
        """Write durably how a call ended: one that was granted, or that was never intended.

        An end of what was never intended never takes the place of one that says it was sent, nor
        of an attempt in flight at another message of the same key.

        Raises:
            LedgerUnavailable: It is not written.
        """
        ...

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages, in seconds, of each number's calls that count for its limits.

        Those of the last 24 hours and of this account, in any run, that were accepted, may have
        been, or are in flight; numbers without any may be missing.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        ...


class Journals(Protocol):
    """What a client needs of a ledger."""

    def calls(self, account: str, *, retry_rejected: bool = False) -> Journal:
        """Return the journal of an account's keyed calls.

        Args:
            account: Whose calls they are.
            retry_rejected: Whether what the vendor refused by FIX_REQUEST may be sent again.
        """
        ...

    def run(
        self, account: str, key: str, *, takeover: bool = False, retry_rejected: bool = False
    ) -> AbstractAsyncContextManager[Journal]:
        """Open a run, which is free again when the block is left.

        Args:
            account: Whose calls they are.
            key: The run's name.
            takeover: Whether to take it from another living process.
            retry_rejected: As for `calls`.

        Raises:
            RunInUse: Another living process works on it.
            LedgerUnavailable: The ledger could not be asked.
        """
        ...
