"""Results as files of the two kinds that people open: CSV, and workbooks (.xlsx, an extra).

In a workbook every cell is text: ids, numbers and what begins with `=` stay what they are. A file
takes an older one's place as a whole, and never that of what a command lives on: the list, the
ledger, its own output, a pipe or a device. A link stays one: what it points to is replaced.
"""

import csv
import errno
import importlib.util
import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ihuyi_voice.cli.language import text
from ihuyi_voice.common.redaction import shown
from ihuyi_voice.errors import InvalidRequest

Write = Callable[[Sequence[Any]], object]

_WORKBOOK: Final = ".xlsx"
_OF_WRITING: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_OTHERS: Final = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".json", ".pdf", ".doc", ".docx"})


def check_out(path: Path | None, *spared: Path) -> None:
    """See to it that a file of results can be written, and that nothing is lost by it.

    Args:
        path: The file; None for none.
        spared: What it must not be.

    Raises:
        InvalidRequest: It is one of them, or no file, or can't be of the kind that its name says.
        ImportError: It needs an extra.
    """
    if path is None:
        return
    suffix = path.suffix.lower()
    if suffix in _OTHERS:
        raise InvalidRequest(text("send.out.format", suffix=suffix))
    if suffix == _WORKBOOK and importlib.util.find_spec("openpyxl") is None:
        raise ImportError(text("send.out.extra"))
    check_place(path, *spared)
    check_place(beside(path), *spared)


def check_place(path: Path, *spared: Path) -> None:
    """See to it that a file can be written at a place, and that nothing is lost by it.

    Raises:
        InvalidRequest: As `check_out`.
    """
    if path.exists() and (not path.is_file() or _is_spoken_to(path)):
        raise InvalidRequest(text("send.out.special", out=str(path)))
    needed = next((each for each in spared if _is_same(path, each)), None)
    if needed is not None:
        raise InvalidRequest(text("send.out.wrong", name=needed.name))


def _is_spoken_to(path: Path) -> bool:
    """Say whether a file is what stdout or stderr is written to, /dev/stdout for example."""
    for stream in (1, 2):
        with suppress(OSError):  # it is closed
            if os.path.samestat(path.stat(), os.fstat(stream)):
                return True
    return False


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return _real(path) == _real(other)


def _real(path: Path) -> Path:
    """Return where links lead; `Path.resolve` raises what is no OSError if they lead nowhere."""
    return Path(os.path.realpath(path))


def beside(out: Path) -> Path:
    """Return where rows grow: the file itself, or a CSV beside a workbook."""
    return out.with_name(f"{out.name}.csv") if is_workbook(out) else out


def is_workbook(path: Path) -> bool:
    """Say whether a file's name is a workbook's."""
    return path.suffix.lower() == _WORKBOOK


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a new file beside another one, whose place it takes if all goes well.

    Raises:
        OSError: It can't be written; the old file stays. The error names it, not the new one.
    """
    path = _real(path)
    part = fresh(path)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        with suppress(OSError):  # as the old one, or as a new one would be
            part.chmod(_mode(path))
        part.replace(path)
        _settle(path.parent)
    except BaseException as exc:
        if isinstance(exc, OSError) and (exc.filename == str(part) or _is_of_writing(exc)):
            exc.filename = str(path)
        with suppress(OSError):
            part.unlink()
        raise


def _is_of_writing(exc: OSError) -> bool:
    """Say whether it is about a file that is written, although it names none."""
    return exc.filename is None and exc.errno in _OF_WRITING


def fresh(path: Path) -> Path:
    """Make a file beside another one, and return its path.

    Raises:
        OSError: It can't be made; the error names the other one, which is what was asked for.
    """
    path = _real(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as exc:
        exc.filename = str(path)
        raise
    os.close(handle)
    return Path(name)


def _mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _settle(folder: Path) -> None:
    """Have the file's new name on the disk, too, where folders can be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def writing(path: Path, *, workbook: bool) -> Generator[Write]:
    """Yield what writes a row into a file.

    Raises:
        OSError: It can't be written.
    """
    with _workbook(path) if workbook else _csv(path) as write:
        yield write


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
        with _as_the_system():
            yield lambda cells: sheet.append([cell(value) for value in cells])
            book.save(path)
    finally:
        if not sheet.closed:  # or its generators complain when they are collected
            with suppress(Exception):
                sheet.close()


@contextmanager
def _as_the_system() -> Generator[None]:
    """Raise what lxml says of a disk as the error of the system that it was: IO_ENOSPC."""
    from lxml.etree import SerialisationError  # noqa: PLC0415 - with openpyxl

    try:
        yield
    except SerialisationError as exc:
        kind, _, name = str(exc).partition("_")
        if kind != "IO":
            raise
        number = getattr(errno, name, errno.EIO)
        raise OSError(number, os.strerror(number)) from exc


def _writable(value: str) -> str:
    """Return a text without what no workbook can hold: most control characters are spelled out."""
    if value.isprintable():
        return value
    return "\n".join(shown(line) for line in value.splitlines())
