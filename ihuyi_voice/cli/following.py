"""`ledger show --follow`: where a run stands over all its workers, live, until it is done."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.live import Live
from rich.text import Text

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.output import add_row, print_json, say, table
from ihuyi_voice.cli.streams import console
from ihuyi_voice.common.redaction import mask_numbers, shown
from ihuyi_voice.models import OutcomeStatus

if TYPE_CHECKING:
    from ihuyi_voice.ledger import Ledger, PartInfo, RunProgress  # databases load slowly

EVERY: Final = 1.0
_STATUSES: Final = (*OutcomeStatus, "OPEN")
_LEFT: Final = "OPEN"
_MOST_NAMED: Final = 12

Values = Mapping[str, Any]


async def follow(ledger: "Ledger", run: str, account: str | None, *, as_json: bool) -> Exit:
    """Show a run until it is done or stopped; return the exit code.

    On a terminal it is one view that is kept up to date, else a line for each change.

    Raises:
        InvalidRequest: There is no such run, or several accounts have one.
        LedgerUnavailable: The ledger could not be asked.
    """
    with _shown(as_json=as_json) as show:
        while True:
            values = progress_values(run, await ledger.parts.progress(run, account))
            show(values)
            if is_over(values) and not await _in_use(ledger, run, account):
                break
            await asyncio.sleep(EVERY)
    if values["stopped"] and not as_json:
        say("follow.stopped", cause=values["cause"] or "")
    outcomes: Mapping[str, int] = values["outcomes"]
    whole = outcomes[OutcomeStatus.ACCEPTED] == sum(outcomes.values())
    return Exit.DONE if whole else Exit.NOT_ALL


async def _in_use(ledger: "Ledger", run: str, account: str | None) -> bool:
    """Return whether somebody still works on a run; on one of many parts its parts say so."""
    return any(
        each.in_use and each.key == run and account in {None, each.account}
        for each in await ledger.runs()
    )


def is_over(values: Values) -> bool:
    """Return whether nothing more will happen to a run by itself."""
    return bool(values["stopped"]) or values["done"] == values["parts"]


def progress_values(run: str, progress: "RunProgress") -> dict[str, Any]:
    """Return where a run stands, as JSON has it."""
    cause = None if progress.cause is None else mask_numbers(progress.cause)
    return {
        "run": run,
        "outcomes": {str(status): progress.counts.get(status, 0) for status in _STATUSES},
        "parts": len(progress.parts),
        "done": progress.done,
        "stopped": progress.stopped,
        "cause": cause,
        "workers": [*_workers(progress)],
    }


def _workers(progress: "RunProgress") -> Iterable[dict[str, Any]]:
    held: dict[str, list[PartInfo]] = {}
    for part in progress.parts:
        if part.owner is not None and not part.done:
            held.setdefault(part.owner, []).append(part)
    for owner, parts in sorted(held.items()):
        left = sum(progress.by_part.get(part.part, {}).get(_LEFT, 0) for part in parts)
        yield {
            "worker": owner,
            "alive": parts[0].alive,
            "beat": None if parts[0].beat is None else round(parts[0].beat, 1),
            "parts": [part.part for part in parts],
            "left": left,
        }


@contextmanager
def _shown(*, as_json: bool) -> Generator[Callable[[Values], None]]:
    """Yield what shows where a run stands."""
    if as_json or not console.is_terminal:
        yield _Lines(print_json if as_json else _say).show
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda values: live.update(view(values), refresh=True)


class _Lines:
    """Shows where a run stands whenever that has changed; beats alone are no news."""

    def __init__(self, write: Callable[[Values], None]) -> None:
        self._write = write
        self._last: object = None

    def show(self, values: Values) -> None:
        """Show it."""
        workers = [(each["worker"], each["alive"], each["parts"]) for each in values["workers"]]
        news = {**values, "workers": workers}
        if news != self._last:
            self._last = news
            self._write(values)


def _say(values: Values) -> None:
    say("follow.line", parts=values["parts"], done=values["done"], outcomes=_outcomes(values),
        workers=sum(each["alive"] for each in values["workers"]))  # fmt: skip


def _outcomes(values: Values) -> str:
    counts: Mapping[str, int] = values["outcomes"]
    return ", ".join(
        f"{word('outcome', name)} {count:,}" for name, count in counts.items() if count
    )


def view(values: Values) -> Group:
    """Return where a run stands, for a terminal."""
    rows = table("follow.workers", "follow.worker", "follow.beat", "follow.parts", "follow.left")
    for each in values["workers"]:
        beat = "" if each["beat"] is None else text("follow.ago", seconds=each["beat"])
        state = "" if each["alive"] else text("follow.dead")
        add_row(rows, (each["worker"], beat + state, _named(each["parts"]), f"{each['left']:,}"))
    head = text("follow.head", run=values["run"], done=values["done"], parts=values["parts"])
    return Group(Text(head), Text(shown(_outcomes(values))), rows)


def _named(parts: list[int]) -> str:
    more = len(parts) - _MOST_NAMED
    names = ", ".join(map(str, parts[:_MOST_NAMED]))
    return f"{names}, +{more}" if more > 0 else names
