"""The results file of a run without a ledger: it grows row by row, and ends at a whole row.

Each row is given to the system before the next outcome is looked at, and about once a second all of
them are forced onto the disk. What can't be written is cut off again, so that nobody ever reads
half a row. That the file is still there is looked at as often: what is written into a deleted one
goes nowhere.

While a run writes in it, no other one may: both would write over each other's rows.
"""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from ihuyi_voice.cli.language import text
from ihuyi_voice.errors import InvalidRequest

if sys.platform != "win32":
    import fcntl

_EVERY: Final = 1.0  # seconds from one look at the disk to the next
_BOM: Final = b"\xef\xbb\xbf"  # or the spreadsheets of our users would guess another encoding


class GrowingFile:
    """A CSV file to which rows are added.

    Args:
        path: Where it is made.
        header: Its first row.
        force: Whether it may take an older file's place.

    Raises:
        InvalidRequest: Another run writes in it.
        FileExistsError: There is one already.
        OSError: It can't be made.
    """

    def __init__(self, path: Path, header: Iterable[object], *, force: bool) -> None:
        self.path = path
        flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags | (0 if force else os.O_EXCL), 0o666)
        _claim(self._file, path)
        os.ftruncate(self._file, 0)  # not before it is ours
        self._whole = 0  # bytes of whole rows
        self._safe = 0  # those that are known to be on the disk
        self._looked = monotonic()
        try:
            self._append(_BOM + _line(header))
        except BaseException:
            self._abandon()
            raise

    def add(self, cells: Iterable[object]) -> None:
        """Add a row.

        Raises:
            OSError: It is not in the file, which ends at the row before; or the file is gone.
        """
        if monotonic() - self._looked >= _EVERY:
            self.settle()
        self._append(_line(cells))

    def settle(self) -> None:
        """Have everything on the disk.

        Raises:
            OSError: It isn't, or the file is gone; `lost` tells what may be missing.
        """
        os.fsync(self._file)
        if not self.is_there:
            raise FileNotFoundError(None, os.strerror(2), str(self.path))
        self._safe = self._whole
        self._looked = monotonic()

    @property
    def is_there(self) -> bool:
        """Whether it is still the file of its name, and neither deleted nor replaced."""
        try:
            here, there = os.fstat(self._file), self.path.stat()
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    def lost(self) -> Iterator[str]:
        """Yield the lines that were written and may be on no disk: after a failure."""
        start = self._safe if self.is_there else 0
        with suppress(OSError):
            os.lseek(self._file, start, os.SEEK_SET)
            with os.fdopen(os.dup(self._file), encoding="utf-8-sig", newline="") as file:
                yield from (line.rstrip("\r\n") for line in file)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)

    def _append(self, data: bytes) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._whole)
                os.lseek(self._file, self._whole, os.SEEK_SET)
            raise
        self._whole += len(data)

    def _abandon(self) -> None:
        os.close(self._file)
        with suppress(OSError):
            self.path.unlink()


def _claim(file: int, path: Path) -> None:
    """Keep other runs from a file until it is closed, where the system and its disk can do that.

    Raises:
        InvalidRequest: Another one has it.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise InvalidRequest(text("send.out.in_use", out=str(path))) from None
    except OSError:  # a network file system without locks
        return


def _line(cells: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")
