"""Messages of the caller's own classes, whose fields can't always be had."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import count

import pytest

from ihuyi_voice import Message, Outcome
from tests.bulk.test_hooks_that_end import Listing
from tests.bulk.test_named_runs import ACCEPTED, RUN, messages, settled
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, in_process, vendor
from tests.support.virtual_time import run_virtual

FIELDS = ("mobile", "content", "reference")


def moody(mobile: str, field: str, nth: int, kind: type[BaseException]) -> Message:
    """Return a message that raises when a field is had for the nth time, and from then on."""
    had = count(1)

    class Moody(Message):
        def __getattribute__(self, name: str) -> object:
            if name == field and next(had) >= nth:
                raise kind(f"{field} can't be had")
            return super().__getattribute__(name)

    return Moody(mobile, CONTENT)


def outcomes_of(
    given: Iterable[Message], kind: type[BaseException], run: str | None
) -> list[Outcome]:
    """Return all outcomes of a run that may be ended by what a message raises."""
    ledger, found = FakeLedger(), list[Outcome]()
    settled(ledger.store, messages(4), vendor().account, ledger)

    async def main() -> None:
        async with in_process(vendor(), ledger=ledger) as client:
            bulk = client.submit_many(given, run=run)
            try:
                async with bulk:
                    async for outcome in bulk:
                        found.append(outcome)
            finally:
                found.extend(await bulk.drain())

    with suppress(kind):
        run_virtual(main())
    return found


@pytest.mark.parametrize("mobile", ["13900000009", "no number"])
@pytest.mark.parametrize("nth", range(1, 7))
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("run", [None, RUN])
@pytest.mark.parametrize("kind", [LookupError, SystemExit])
def test_a_field_that_can_not_be_had_takes_no_message_with_it(
    kind: type[BaseException], run: str | None, field: str, nth: int, mobile: str
) -> None:
    """Each that was read has one outcome; what was settled earlier has the one that it had."""
    plain = messages(4)
    listing = Listing([*plain[:2], moody(mobile, field, nth, kind), *plain[2:]])
    found = outcomes_of(listing, kind, run)
    assert Counter(id(each.message) for each in found) == Counter(map(id, listing.read))
    if run:
        known = [each for each in found if type(each.message) is Message]
        assert {(each.status, each.replayed) for each in known} == {(ACCEPTED, True)}
        assert len(known) == 4 or kind is SystemExit
