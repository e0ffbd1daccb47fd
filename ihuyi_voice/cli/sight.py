"""How runs and entries look: in tables, as JSON and as rows of CSV; numbers masked unless asked."""

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.output import add_row, table
from ihuyi_voice.cli.tally import meaning
from ihuyi_voice.common.redaction import mask_mobile, mask_numbers, shown
from ihuyi_voice.errors import VendorError
from ihuyi_voice.models import DELIVERY_STATUSES, OutcomeStatus
from ihuyi_voice.protocol.codes import SUCCESS

if TYPE_CHECKING:
    from ihuyi_voice.ledger import Entry, RunInfo, RunReport, Status  # databases load slowly

_STATUSES: Final = (*OutcomeStatus, "OPEN")
_LEFT: Final = ("OPEN", OutcomeStatus.HELD, OutcomeStatus.NOT_SENT)
COLUMNS: Final = (
    "mobile", "content", "reference", "status", "voice_id", "code", "error", "attempts", "at",
    "delivery_code", "delivery", "talk_time", "key", "run",
)  # fmt: skip


def page() -> Any:  # noqa: ANN401 - a module
    """Return what renders a run's page.

    Raises:
        ImportError: The extra that it needs is missing; the error names it.
    """
    try:
        return importlib.import_module("ihuyi_voice.cli.page")
    except ModuleNotFoundError as exc:
        raise ImportError(text("ledger.html.extra", reason=str(exc))) from exc


def run_values(info: "RunInfo", counts: Mapping["Status", int]) -> dict[str, Any]:
    """Return a run as JSON has it."""
    return {
        "run": info.key,
        "account": info.account,
        "in_use": info.in_use,
        "stopped": info.stopped,
        "cause": info.cause,
        "created_at": info.created_at.isoformat(),
        "used_at": info.used_at.isoformat(),
        "outcomes": {str(status): counts.get(status, 0) for status in _STATUSES},
    }


def runs_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of runs, for people."""
    rows = table(
        "ledger.runs.title", "ledger.runs.run", "ledger.runs.state", "table.messages",
        "ledger.runs.accepted", "ledger.runs.uncertain", "ledger.runs.left", "ledger.runs.used",
    )  # fmt: skip
    for each in runs:
        counts: Mapping[str, int] = each["outcomes"]
        state = "in_use" if each["in_use"] else "stopped" if each["stopped"] else "idle"
        numbers = (
            sum(counts.values()), counts[OutcomeStatus.ACCEPTED], counts[OutcomeStatus.UNKNOWN],
            sum(counts[status] for status in _LEFT),
        )  # fmt: skip
        name = each["run"] or text("ledger.runs.keyed")
        used = each["used_at"][:16].replace("T", " ")
        add_row(rows, (name, word("run", state), *(f"{number:,}" for number in numbers), used))
    return rows


def report_values(report: "RunReport") -> dict[str, Any]:
    """Return what a run came to, as JSON has it."""
    return {
        "run": report.run,
        "account": report.account,
        "outcomes": {str(status): report.states.get(status, 0) for status in _STATUSES},
        "people": {fate.value: count for fate, count in report.people.items()},
        "codes": {str(each.code): each.count for each in report.codes},
        "deliveries": {str(each.code): each.count for each in report.ends},
    }


def report_tables(report: "RunReport") -> Iterator[Table]:
    """Yield the tables of what a run came to, for people."""
    outcomes = table("outcomes.title", "outcomes.outcome", "table.messages", "outcomes.again")
    for status in _STATUSES:
        count = report.states.get(status, 0)
        add_row(outcomes, (word("outcome", status), f"{count:,}", word("again", status)))
    yield outcomes
    if report.codes:
        codes = table("codes.title", "table.code", "table.messages", "table.vendors_text",
                      "codes.action")  # fmt: skip
        for each in report.codes:
            add_row(codes, (str(each.code), f"{each.count:,}", *meaning(each.code)))
        yield codes
    if report.ends:
        ends = table("ends.title", "table.code", "ends.calls", "table.vendors_text", "ends.how")
        for each in report.ends:
            row = DELIVERY_STATUSES.get(each.code)
            told = (each.text, "") if row is None else (row.text, word("end", row.status.value))
            add_row(ends, (str(each.code), f"{each.count:,}", *told))
        yield ends


def entry_values(entry: "Entry", *, numbers: bool) -> dict[str, Any]:
    """Return an entry as JSON has it; its number, and any in its texts, masked unless asked."""
    veil = str if numbers else mask_numbers
    message, since = entry.message, entry.begun_at or entry.at
    return {
        "key": entry.key,
        "mobile": message.mobile if numbers else mask_mobile(message.mobile),
        "reference": None if message.reference is None else veil(message.reference),
        "status": str(entry.status),
        "voice_id": entry.voice_id,
        "since": since.isoformat(),
        "attempts": entry.attempts,
        "error": None if entry.error is None else veil(str(entry.error)),
        "candidates": [report.voice_id for report in entry.candidates],
    }


def entries_table() -> Table:
    """Return the empty table of uncertain entries."""
    return table(
        "ledger.unknown.title", "ledger.entry", "page.number", "page.reference", "page.at",
        "page.why", "ledger.candidates",
    )  # fmt: skip


def entry_cells(values: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of an uncertain entry."""
    since = values["since"][:19].replace("T", " ")
    return (
        values["key"], values["mobile"], values["reference"] or "", since, values["error"] or "",
        ", ".join(values["candidates"]),
    )  # fmt: skip


async def entry_rows(
    entries: "AsyncIterator[Entry]", run: str, *, numbers: bool
) -> AsyncGenerator[list[str]]:
    """Yield the rows of entries as CSV has them, in the order of `COLUMNS`."""
    veil = str if numbers else mask_numbers
    async for entry in entries:
        message, report = entry.message, entry.report
        code = entry.error.code if isinstance(entry.error, VendorError) else None
        if entry.status is OutcomeStatus.ACCEPTED:
            code = SUCCESS
        mobile = message.mobile if numbers else mask_mobile(message.mobile)
        told = ("", "", "") if report is None else (report.code, report.text, report.talk_time)
        error = "" if entry.error is None else veil(shown(str(entry.error)))
        cells = (
            mobile, veil(message.content), veil(message.reference or ""), entry.status,
            entry.voice_id, code, error, entry.attempts, entry.at.isoformat(), *told, entry.key,
            run,
        )  # fmt: skip
        yield ["" if cell is None else str(cell) for cell in cells]
