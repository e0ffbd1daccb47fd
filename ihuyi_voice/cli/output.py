"""What the command prints, and the exit codes that scripts rely on."""

import json
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ihuyi_voice.errors import (
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    VendorError,
    VoiceError,
)
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.protocol.codes import SUBMIT, SUCCESS

EXIT_CODES: Final = (
    # the first family that fits counts
    (InvalidRequest, 2),
    (RateLimited, 4),
    (VendorError, 3),
    (NotSent, 4),
    (OutcomeUnknown, 5),
)
EXIT_HELP: Final = (
    "Exit codes: 0 done; 1 a bulk run in which not every message was accepted, or a report that "
    "has not come; 2 wrong usage or input; 3 refused by the vendor; 4 not sent or held back, safe "
    "to try again; 5 unknown, do not just send it again."
)

console = Console()
errors = Console(stderr=True)


def exit_code(error: VoiceError) -> int:
    """Return the exit code for an error."""
    return next((code for family, code in EXIT_CODES if isinstance(error, family)), 1)


@contextmanager
def reporting(*, as_json: bool) -> Generator[None]:
    """Turn an error inside into a message and an exit code."""
    try:
        yield
    except VoiceError as error:
        report_error(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from error
    except (OSError, ImportError) as error:
        errors.print(f"ihuyi-voice: {error}", markup=False, style="red", soft_wrap=True)
        raise typer.Exit(2) from error


def report_error(error: VoiceError, *, as_json: bool) -> None:
    """Print an error for a person, or as JSON for a program."""
    if as_json:
        code = error.code if isinstance(error, VendorError) else None
        print_json({"error": type(error).__name__, "code": code, "message": str(error)})
    else:
        errors.print(f"{type(error).__name__}: {error}", markup=False, style="red", soft_wrap=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def outcome_table(counts: Mapping[OutcomeStatus, int]) -> Table:
    """Return how many messages ended in which way."""
    table = Table("outcome", "messages", "safe to send again?", title="Outcomes")
    advice = {
        OutcomeStatus.ACCEPTED: "no, the phone will ring",
        OutcomeStatus.REJECTED: "see the codes",
        OutcomeStatus.HELD: "yes, after retry_at",
        OutcomeStatus.NOT_SENT: "yes, once what is wrong is mended",
        OutcomeStatus.UNKNOWN: "no, it may ring already",
    }
    for status in OutcomeStatus:
        table.add_row(status.value, f"{counts.get(status, 0):,}", advice[status])
    return table


def code_table(codes: Counter[int]) -> Table:
    """Return the vendor's codes that came, with their meaning."""
    table = Table("code", "messages", "the vendor's text", "what to do", title="Codes")
    for code, count in sorted(codes.items()):
        text, action = _meaning(code)
        table.add_row(str(code), f"{count:,}", text, action)
    return table


def _meaning(code: int) -> tuple[str, str]:
    if code == SUCCESS:
        return "提交成功", "nothing"
    row = SUBMIT.get(code)
    return (row.text, row.action.value) if row else ("in no table", "fix_request")
