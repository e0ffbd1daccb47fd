"""Results as files of the two kinds that people open: CSV, and workbooks (.xlsx, an extra).

In a workbook every cell is text: ids, numbers and what begins with `=` stay what they are.
"""

import csv
import importlib.util
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ihuyi_voice.cli.language import text
from ihuyi_voice.common.redaction import shown
from ihuyi_voice.errors import InvalidRequest

Write = Callable[[Sequence[Any]], object]

_WORKBOOK: Final = ".xlsx"
_OTHERS: Final = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".json", ".pdf", ".doc", ".docx"})


def check_format(path: Path | None) -> None:
    """See to it that a file of results can be of the kind that its name says.

    Raises:
        InvalidRequest: It can't.
        ImportError: It needs an extra.
    """
    suffix = "" if path is None else path.suffix.lower()
    if suffix in _OTHERS:
        raise InvalidRequest(text("send.out.format", suffix=suffix))
    if suffix == _WORKBOOK and importlib.util.find_spec("openpyxl") is None:
        raise ImportError(text("send.out.extra"))


def is_workbook(path: Path) -> bool:
    """Say whether a file's name is a workbook's."""
    return path.suffix.lower() == _WORKBOOK


@contextmanager
def writing(path: Path, *, workbook: bool) -> Generator[Write]:
    """Yield what writes a row into a file, which is on the disk when this is left.

    Raises:
        OSError: It can't be written.
    """
    with _workbook(path) if workbook else _csv(path) as write:
        yield write
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _csv(path: Path) -> Generator[Write]:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        yield csv.writer(file).writerow


@contextmanager
def _workbook(path: Path) -> Generator[Write]:
    from openpyxl import Workbook  # noqa: PLC0415 - an extra
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet()

    def cell(value: object) -> Any:  # noqa: ANN401 - openpyxl's
        made = WriteOnlyCell(sheet, _writable("" if value is None else str(value)))
        made.data_type = "s"
        return made

    try:
        yield lambda cells: sheet.append([cell(value) for value in cells])
        book.save(path)
    finally:
        if not sheet.closed:  # or its generators complain when they are collected
            with suppress(Exception):
                sheet.close()


def _writable(value: str) -> str:
    """Return a text without what no workbook can hold: most control characters are spelled out."""
    if value.isprintable():
        return value
    return "\n".join(shown(line) for line in value.splitlines())
