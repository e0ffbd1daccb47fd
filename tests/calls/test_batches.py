"""Questions that are asked together of a ledger that fails oddly: whoever asked is told so."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from ihuyi_voice import LedgerUnavailable
from ihuyi_voice.calls.batches import Batches
from ihuyi_voice.calls.errands import Errands
from tests.support.guards import NoException
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("error", [LookupError("x"), NoException("x")])
def test_whatever_a_question_ends_in_is_told_to_each_who_asked(error: BaseException) -> None:
    """Nobody waits for ever; each has an error of its own, that says from what it came."""

    async def ask(_: Sequence[str]) -> Sequence[str]:
        raise error

    async def main() -> list[str | BaseException]:
        batches = Batches(ask, Errands())
        return await asyncio.gather(*map(batches.ask, "ab"), return_exceptions=True)

    ends = run_virtual(main())
    text = f"the ledger could not be asked ({type(error).__name__}: x)"
    assert [(type(end), str(end)) for end in ends] == [(LedgerUnavailable, text)] * 2
    assert ends[0] is not ends[1]
    assert all(isinstance(end, LedgerUnavailable) and end.__cause__ is error for end in ends)


def test_a_question_that_closing_cuts_off_is_told_so() -> None:
    """It and those behind it, in the words that a person reads."""

    async def hangs(_: Sequence[str]) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async def main() -> list[str | BaseException]:
        errands = Errands()
        batches = Batches(hangs, errands)
        asked = [asyncio.ensure_future(batches.ask(each)) for each in "ab"]
        await asyncio.sleep(1.0)
        await errands.aclose()
        return await asyncio.gather(*asked, return_exceptions=True)

    assert list(map(str, run_virtual(main()))) == ["the ledger was not asked in time"] * 2


def test_an_answer_has_its_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """With what was asked, and what the vendor gave."""
    caplog.set_level(logging.DEBUG, "ihuyi_voice")

    async def main() -> str:
        async with in_process(vendor()) as client:
            return (await client.submit(MOBILE, CONTENT)).voice_id

    assert f"Submit accepted: {run_virtual(main())}" in caplog.messages
