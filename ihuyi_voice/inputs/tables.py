"""A table of people: a CSV file or a workbook, whatever it is called; anything else by its name."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final
from zipfile import BadZipFile, ZipFile

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.encodings import encoding_of
from ihuyi_voice.inputs.records import Record, csv_records
from ihuyi_voice.inputs.workbook import workbook_records

_STRANGE: Final = (
    (b"\xd0\xcf\x11\xe0", "an .xls of Excel 97, or a workbook with a password"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "a text of Word"),
    (b"\x1f\x8b", "a .gz archive"),
    (b"7z\xbc\xaf", "a .7z archive"),
    (b"Rar!", "a .rar archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "a database of SQLite"),
)
_PAGES: Final = (b"<!doctype html", b"<html", b"<table", b"<meta", b"<?xml")
_IN_ZIPS: Final = (
    ("word/", "a document of Word"),
    ("content.xml", "a sheet of OpenDocument (.ods)"),
)
_START: Final = 512
_ZIP: Final = b"PK\x03\x04"


@attrs.frozen
class TableFile:
    """A file of records, the first of which is its header.

    Attributes:
        path: The file.
        delimiter: What stands between the cells of a CSV file; None to find out.
    """

    path: Path
    delimiter: str | None = None

    def __iter__(self) -> Iterator[Record]:
        """Yield its records but for blank ones.

        Raises:
            InvalidRequest: It is neither; the error says what it is, and what to do.
            ImportError: It needs an extra that is not installed.
            OSError: It can't be read.
        """
        if self.is_workbook():
            yield from workbook_records(self.path)
            return
        with self.path.open(encoding=encoding_of(self.path), errors="replace") as lines:
            yield from csv_records(lines, self.delimiter)

    def is_workbook(self) -> bool:
        """Return whether it is a workbook, and not text.

        Raises:
            InvalidRequest: It is neither.
            OSError: It can't be read.
        """
        with self.path.open("rb") as file:
            start = file.read(_START)
        what = _named(self.path, start)
        if what is not None:
            raise InvalidRequest(f"{self.path.name} is {what}: save it as .xlsx or as .csv")
        return start.startswith(_ZIP)


def _named(path: Path, start: bytes) -> str | None:
    """Return what a file is that is no table; None if it may be one."""
    for magic, what in _STRANGE:
        if start.startswith(magic):
            return what
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return "a web page, or a table of XML"
    return _named_zip(path) if start.startswith(_ZIP) else None


def _named_zip(path: Path) -> str | None:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except BadZipFile:
        return "a .zip archive that was cut off"
    if any(name.startswith("xl/") for name in names):
        return "a binary workbook (.xlsb)" if "xl/workbook.bin" in names else None
    told = (what for part, what in _IN_ZIPS if any(name.startswith(part) for name in names))
    return next(told, "a .zip archive")


def _stdin() -> IO[bytes]:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - `<&-`
        raise InvalidRequest("stdin is closed, so there is no list to be read from it")
    return sys.stdin.buffer


@contextmanager
def readable_twice(path: Path) -> Generator[Path]:
    """Yield a file that can be read again: this one, or a copy of a pipe, or of `-`.

    Raises:
        InvalidRequest: It is `-`, and nothing is there; or what was piped ends within a line: who
            writes a list may die at any place, and half a number is a stranger's.
        OSError: It can't be read.
    """
    if path.is_file() or (not path.exists() and str(path) != "-"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as file:
            if str(path) == "-":
                shutil.copyfileobj(_stdin(), file)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
        _check_end(copy)
        yield copy


def _check_end(copy: Path) -> None:
    with copy.open("rb") as file:
        start = file.read(len(_ZIP))
        file.seek(-min(copy.stat().st_size, 4), os.SEEK_END)
        end = file.read().rstrip(b"\0")  # of UTF-16
    if start and start != _ZIP and not end.endswith((b"\n", b"\r")):
        raise InvalidRequest(
            "the list ends in the middle of a line, as if its writer had been cut off; if it is"
            " whole, put a line end there"
        )
