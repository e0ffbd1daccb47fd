"""What openpyxl doesn't tell of a sheet that it reads row by row, read from the sheet's own XML.

Where another version of it keeps the sheet elsewhere, nothing is found: a list is sent anyway.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_CHUNK: Final = 1 << 16
_LONGEST: Final = 1 << 18  # bytes of a cell: Excel has 32,767 characters in one
_ROW: Final = re.compile(rb"<(?:\w+:)?row\b.*", re.DOTALL)
_NUMBER: Final = re.compile(rb"""\sr=["'](\d+)["']""")
_HIDDEN: Final = re.compile(rb"""\shidden=["'](?:1|true)["']""")
_CELLS_END: Final = re.compile(rb"</(?:\w+:)?c>")
_CELL: Final = re.compile(rb"""<(?:\w+:)?c\s(?:[^>]*\s)?r=["']([A-Z]{1,3})(\d+)["'][^>]*>""")
_TEXT: Final = re.compile(rb"""\st=["']str["']""")
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s/>]")
_VALUE: Final = re.compile(rb"<(?:\w+:)?(?:v|t)\b[^>]*>[^<]")
_EMPTY_VALUE: Final = re.compile(rb"<(?:\w+:)?v\s*/?>")


def hidden_rows(sheet: Any) -> set[int]:  # noqa: ANN401 - openpyxl's
    """Return the numbers of a sheet's hidden rows."""
    found, number = set[int](), 0
    for piece in _pieces(sheet, re.compile(b">")):
        row = _ROW.search(piece)
        if row is not None:
            told = _NUMBER.search(row[0])
            number = int(told[1]) if told else number + 1
            if _HIDDEN.search(row[0]):
                found.add(number)
    return found


def unvalued_cells(sheet: Any) -> dict[int, set[int]]:  # noqa: ANN401 - openpyxl's
    """Return the places, from 0 on, of cells whose formula has no stored value, by their rows.

    A program that writes workbooks may leave the values to whoever opens them.
    """
    found: dict[int, set[int]] = {}
    for piece in _pieces(sheet, _CELLS_END):
        formula = _FORMULA.search(piece)
        if formula is None:
            continue
        cells = list(_CELL.finditer(piece, 0, formula.start()))  # empty ones stand before it
        if cells and not _has_value(piece, cell := cells[-1]):
            found.setdefault(int(cell[2]), set()).add(_place(cell[1]))
    return found


def _has_value(piece: bytes, cell: re.Match[bytes]) -> bool:
    if _VALUE.search(piece, cell.end()):
        return True
    return bool(_TEXT.search(cell[0]) and _EMPTY_VALUE.search(piece, cell.end()))  # a text of none


def _place(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place - 1


def _pieces(sheet: Any, end: re.Pattern[bytes]) -> Iterator[bytes]:  # noqa: ANN401 - openpyxl's
    """Yield a sheet's XML in pieces, each without what ends it."""
    try:
        archive, name = sheet.parent._archive, sheet._worksheet_path  # noqa: SLF001 - as above
    except AttributeError:
        return
    rest = b""
    with archive.open(name) as source:
        while chunk := source.read(_CHUNK):
            *whole, rest = end.split(rest + chunk)
            yield from whole
            rest = rest[-_LONGEST:]  # of a million empty cells, say
