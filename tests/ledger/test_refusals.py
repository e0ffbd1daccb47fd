"""What can't be right is refused by the name of the argument, and in words."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import pytest

from ihuyi_voice import InvalidRequest, OutcomeStatus
from ihuyi_voice.errors import LedgerClosed
from ihuyi_voice.ledger import Ledger
from tests.support.ledgers import ACCOUNT, accepted, draft, unknown

Asked: TypeAlias = Callable[[Ledger], Awaitable[Any]]


async def _entries(ledger: Ledger, *given: Any) -> None:
    async for _ in ledger.entries(*given):
        pass


REFUSED: Final[dict[str, tuple[str | None, str, Asked]]] = {
    "run without a name": (
        "run",
        "^a run needs a name$",
        lambda ledger: ledger.run(ACCOUNT, "").__aenter__(),
    ),
    "run with half a character": (
        "run",
        "^a run needs a name$",
        lambda ledger: ledger.run(ACCOUNT, "\ud800").__aenter__(),
    ),
    "run that nobody has": (
        "run",
        "^the ledger has no run 'else'$",
        lambda ledger: ledger.summary("else"),
    ),
    "run that this account has not": (
        "run",
        "^the ledger has no run 'run' of nobody$",
        lambda ledger: ledger.summary("run", "nobody"),
    ),
    "run of two accounts": (
        "account",
        "^several accounts have a run 'both': VM1, VM2$",
        lambda ledger: ledger.results("both", ["k"]),
    ),
    "keys that are one text": (
        "keys",
        "^keys must be a list of keys$",
        lambda ledger: ledger.results("run", "sure"),
    ),
    "keys that are none": (
        "keys",
        "^keys must be a list of keys, not 7$",
        lambda ledger: ledger.results("run", cast("Any", 7)),
    ),
    "more than can be listed": (
        "listed",
        "^listed is -1; it can't be negative$",
        lambda ledger: ledger.report("run", listed=-1),
    ),
    "keyed calls stopped": (
        "run",
        "^keyed calls can't be stopped: nobody runs them$",
        lambda ledger: ledger.stop(""),
    ),
    "no status": (
        "status",
        "^'HUNG' is no status of an entry$",
        lambda ledger: _entries(ledger, "run", "HUNG"),
    ),
    "no decision": (
        "status",
        "^a person can say ACCEPTED or NOT_SENT$",
        lambda ledger: ledger.settle("run", "unsure", OutcomeStatus.HELD),
    ),
    "no entry": (
        "key",
        "^the run has no entry of this key$",
        lambda ledger: ledger.settle("run", "else", OutcomeStatus.ACCEPTED),
    ),
    "nothing to decide": (
        "key",
        "^the entry is ACCEPTED, and only UNKNOWN can be settled$",
        lambda ledger: ledger.settle("run", "sure", OutcomeStatus.NOT_SENT),
    ),
    "part of a local run": (
        "part",
        "^the run 'run' has no part 1$",
        lambda ledger: ledger.parts.is_done(ACCOUNT, "run", 1),
    ),
    "part of no number": (
        "part",
        "^the run 'run' has no part 0$",
        lambda ledger: ledger.parts.is_done(ACCOUNT, "run", 0),
    ),
    "part of no number to hold": (
        "part",
        "^0 is no number of a part$",
        lambda ledger: ledger.parts.hold(ACCOUNT, "run", 0).__aenter__(),
    ),
    "many processes on one file": (
        "ledger",
        "^a run of many processes needs a ledger in PostgreSQL$",
        lambda ledger: ledger.parts.begin(ACCOUNT, "new", 10),
    ),
}


async def _filled(ledger: Ledger) -> None:
    for account, run in ((ACCOUNT, "run"), ("VM1", "both"), ("VM2", "both")):
        async with ledger.run(account, run) as journal:
            for key, end in (("sure", accepted()), ("unsure", unknown())):
                assert await journal.intend(draft(key)) is None
                await journal.settle(draft(key), end)


async def test_what_can_not_be_right_is_refused_by_its_name(tmp_path: Path) -> None:
    """Programs read the name, people the words."""
    async with Ledger.open(tmp_path / "calls.db") as ledger:
        await _filled(ledger)
        for case, (field, words, ask) in REFUSED.items():
            with pytest.raises(InvalidRequest, match=words) as caught:
                await ask(ledger)
            assert (case, caught.value.field) == (case, field)


@pytest.mark.parametrize("prefix", ["", "a b", "语音", "1st", "x" * 41])
def test_a_prefix_that_no_table_can_have_is_refused(prefix: str) -> None:
    """It would stand in every statement."""
    with pytest.raises(InvalidRequest, match=r"^the prefix must be an identifier$") as caught:
        Ledger.open("calls.db", prefix=prefix)
    assert caught.value.field == "prefix"


def test_a_prefix_of_forty_characters_is_taken() -> None:
    """With what follows it, it is as long as a name in PostgreSQL may be."""
    assert not Ledger.open("calls.db", prefix="x" * 40).is_open


@pytest.mark.parametrize("name", ["key", "mobile", "content"])
async def test_a_text_that_no_database_takes_is_named(tmp_path: Path, name: str) -> None:
    """By whoever looks, and by whoever intends."""
    wrong = draft(**{name: "a\0b"})
    words = f"the {name} can't be written into a ledger"
    async with Ledger.open(tmp_path / "calls.db") as ledger, ledger.run(ACCOUNT, "run") as journal:
        for end in [*await journal.look([wrong]), await journal.intend(wrong)]:
            assert isinstance(end, InvalidRequest)
            assert (end.field, str(end)) == (name, words)


def test_a_ledger_that_is_not_open_says_how_it_is_entered() -> None:
    """For whatever it is asked."""
    ledger = Ledger.open("calls.db")
    with pytest.raises(LedgerClosed) as caught:
        ledger.calls(ACCOUNT)
    assert str(caught.value) == "the ledger is not open: enter it with `async with`"
