"""What a message's entry tells its journal, and what not."""

from collections.abc import Sequence
from typing import Any

import pytest

from ihuyi_voice import (
    CallInFlight,
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    Operation,
    OutcomeUnknown,
    RetryPolicy,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.calls import Ending, Entry, Job, Journaling
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.models import Draft
from tests.support.vendor import CONTENT, MOBILE
from tests.support.virtual_time import loop_time, run_virtual

DRAFT = Draft("k", MOBILE, CONTENT)


class Says:
    """A journal that has one word for whatever it is asked, and keeps the ends it is told."""

    def __init__(self, word: VoiceError) -> None:
        self.told: list[Ending] = []
        self._word = word

    async def look(self, drafts: Sequence[Draft]) -> Sequence[VoiceError]:
        """Say it of each."""
        return [self._said() for _ in drafts]

    async def intend(self, _: Draft) -> VoiceError:
        """Say it."""
        return self._said()

    async def settle(self, _: Draft, end: Ending) -> None:
        """Keep it."""
        self.told.append(end)

    def _said(self) -> VoiceError:
        if isinstance(self._word, LedgerUnavailable):
            raise self._word
        return self._word


def entry_in(journal: Any) -> Entry:
    """Return a message's entry in a run."""
    return Entry(DRAFT, Journaling(lambda: journal, Errands()))


@pytest.mark.parametrize("asked", ["look", "intend"])
@pytest.mark.parametrize(
    "word",
    [
        LedgerUnavailable("no database"),
        CallInFlight("elsewhere"),
        RunStopped("by a person"),
        InvalidRequest("another message", field="key"),
        OutcomeUnknown("its process died"),
    ],
)
def test_an_end_that_is_the_journals_own_word_is_not_written_into_it(
    asked: str, word: VoiceError
) -> None:
    """It knows that one; and who can't be asked is not waited for a second time."""

    async def main() -> list[Ending]:
        journal = Says(word)
        entry = entry_in(journal)
        job = Job(MOBILE, CONTENT, loop_time(), Tries(Operation.SUBMIT, RetryPolicy()))
        with pytest.raises(VoiceError) as caught:
            await getattr(entry, asked)(job)
        await entry.close(caught.value)
        return journal.told

    assert run_virtual(main()) == []


def test_an_end_that_no_attempt_came_to_is_written_once() -> None:
    """What was written already is not written again."""

    async def main() -> list[Ending]:
        journal = Says(RunStopped("never asked"))
        entry = entry_in(journal)
        for _ in range(2):
            await entry.close(end)
        return journal.told

    end = NotSent("no connection")
    assert run_virtual(main()) == [end]
