"""Which encoding a text file is in: told from its first bytes, or else from all of it."""

from pathlib import Path
from typing import Final

_CHUNK: Final = 1_048_576
_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_START: Final = 4096
_ZEROS: Final = 4


def encoding_of(path: Path) -> str:
    """Return the encoding of a text: UTF-8 with or without a mark, GB18030, UTF-16 or UTF-32.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    return _without_mark(start) or _utf8_or_gb18030(path)


def _without_mark(start: bytes) -> str | None:
    """Return UTF-16 if zeros stand in every other place, which no other text has."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < _ZEROS * (1 + min(even, odd)):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _utf8_or_gb18030(path: Path) -> str:
    """Return UTF-8 if at least four fifths of a file's non-ASCII bytes make sense in it.

    Not only if all do: one broken byte would turn every name of a UTF-8 file into another name,
    and phones would ring with it. Of Chinese text in GB18030, a third makes sense in UTF-8.
    """
    sense = nonsense = 0
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        while text := file.read(_CHUNK):
            valid = len(text.encode("utf-8", "ignore"))
            sense += valid - len(text.encode("ascii", "ignore"))
            nonsense += len(text.encode("utf-8", "surrogateescape")) - valid
    return "utf-8-sig" if nonsense * 4 <= sense else "gb18030"
