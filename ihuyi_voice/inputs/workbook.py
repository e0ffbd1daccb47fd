"""Rows of an Excel workbook (.xlsx), read lazily: cells as a person sees them.

Numbers are ids and phones, so they come as text without a decimal point or an exponent; dates come
as their format shows them. Needs the extra `excel`.
"""

import importlib.util
import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.records import Record
from ihuyi_voice.inputs.sheets import hidden_rows, unvalued_cells

_MOST_COLUMNS: Final = 1_000
_LARGEST: Final = 10**15  # from there on, Excel itself has lost digits
_QUOTED: Final = re.compile(r'"([^"]*)"|\\(.)|\[[^\]]*\]|_.|;.*')
_PARTS: Final = re.compile(r"(y+|m+|d+|h+|s+|AM/PM)", re.IGNORECASE)


@attrs.frozen
class Unseen:
    """What is in a workbook that a person who looks at it may not think of.

    Attributes:
        hidden: How many of its rows are hidden, by a filter for example; they are read.
        sheet: The sheet that is read.
        others: Further visible sheets, which are not.
    """

    hidden: int
    sheet: str
    others: tuple[str, ...]


def workbook_records(path: Path) -> Iterator[Record]:
    """Yield the rows of a workbook's first visible sheet but for blank ones.

    Raises:
        ImportError: The extra is not installed.
        InvalidRequest: It is no workbook, or is protected by a password.
        OSError: The file can't be read.
    """
    with _opened(path) as (sheet, *_):
        rows = _rows(sheet)
        while True:
            with _readable(path):  # a sheet is parsed as it is read
                record = next(rows, None)
            if record is None:
                return
            yield record


def unseen(path: Path) -> Unseen:
    """Return what a person may not see of a workbook; raises what `workbook_records` does."""
    with _opened(path) as (sheet, *others), _readable(path):
        hidden = hidden_rows(sheet)
        body = islice(_rows(sheet), 1, None) if hidden else ()
        count = sum(record.line in hidden for record in body)
        return Unseen(count, sheet.title, tuple(each.title for each in others))


@contextmanager
def _opened(path: Path) -> Generator[list[Any]]:
    """Yield the visible sheets of a workbook, one at least."""
    if importlib.util.find_spec("openpyxl") is None:
        raise ImportError(".xlsx needs an extra: pip install 'ihuyi-voice[excel]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles that a sheet lacks, and the like
        with _readable(path):
            book = _load(path)
        try:
            yield _visible(book, path)
        finally:
            book.close()


def _load(path: Path) -> Any:  # noqa: ANN401 - openpyxl's
    import openpyxl  # noqa: PLC0415 - an extra

    return openpyxl.load_workbook(path, read_only=True, data_only=True)


@contextmanager
def _readable(path: Path) -> Generator[None]:
    """Say of whatever its parser raises that it is no workbook: that is no closed list."""
    try:
        yield
    except (OSError, InvalidRequest, GeneratorExit):
        raise
    except Exception as exc:
        raise InvalidRequest(
            f"{path.name} is no workbook that can be read ({type(exc).__name__}); open it in Excel"
            " and save it again as .xlsx"
        ) from exc


def _visible(book: Any, path: Path) -> list[Any]:  # noqa: ANN401 - openpyxl's
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise InvalidRequest(f"{path.name} has no visible sheet")
    sheets[0].reset_dimensions()  # some writers tell a wrong size
    return sheets


def _rows(sheet: Any) -> Iterator[Record]:  # noqa: ANN401 - openpyxl's
    unvalued = unvalued_cells(sheet)
    width = 0  # the header's; a row's last cells are left out if they are empty
    for number, row in enumerate(sheet.iter_rows(max_col=_MOST_COLUMNS), 1):
        cells = [_text(cell) for cell in row]
        lacking = frozenset(unvalued.get(number, ()))
        while cells and not cells[-1].strip() and len(cells) - 1 not in lacking:
            cells.pop()
        if cells:
            width = width or len(cells)
            cells += [""] * (width - len(cells))
            yield Record(number, tuple(cells), "\t".join(cells), unvalued=lacking)


def _text(cell: Any) -> str:  # noqa: ANN401 - openpyxl's
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST:
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return _shown(value, cell.number_format or "")
    return str(value)


def _shown(moment: datetime | date | time, number_format: str) -> str:
    """Return a date as its format shows it, as far as it has years, months, days and times."""
    wanted = _QUOTED.sub(lambda match: match[1] or match[2] or "", number_format)
    parts = _PARTS.split(wanted)
    if len(parts) == 1:
        return str(moment)
    half = any(part.lower() == "am/pm" for part in parts)
    return "".join(
        _part(moment, part, _code(parts, place, half=half)) if place % 2 else part
        for place, part in enumerate(parts)
    )


def _part(moment: datetime | date | time, part: str, code: str) -> str:
    shown = moment.strftime(code)
    return (shown.lstrip("0") or "0") if len(part) == 1 else shown


def _code(parts: list[str], place: int, *, half: bool) -> str:
    """Return what strftime calls a part of a format."""
    part = parts[place].lower()
    if part == "am/pm":
        return "%p"
    letter = "n" if part[0] == "m" and _is_minute(parts, place) else part[0]
    if letter == "y":
        return "%Y" if len(part) > 2 else "%y"  # noqa: PLR2004 - yyyy or yy
    return {"m": "%m", "d": "%d", "h": "%I" if half else "%H", "n": "%M", "s": "%S"}[letter]


def _is_minute(parts: list[str], place: int) -> bool:
    """Say whether an `m` stands behind an hour or before a second."""
    before = parts[place - 2].lower() if place >= 2 else ""  # noqa: PLR2004 - the code before
    behind = parts[place + 2].lower() if place + 2 < len(parts) else ""
    return before.startswith("h") or behind.startswith("s")
