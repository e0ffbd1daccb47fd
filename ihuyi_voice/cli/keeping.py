"""The results of a run without a ledger: a CSV file that grows, a workbook made of it at the end.

A workbook is whole or nothing, so until then a CSV file stands beside it, `a.xlsx.csv`, which has
every row as soon as it has ended. It is taken away when the workbook is on the disk.
"""

import csv
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ihuyi_voice.cli.course import Course, Plan
from ihuyi_voice.cli.growing import GrowingFile
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.listing import Scratch
from ihuyi_voice.cli.output import complain
from ihuyi_voice.cli.results import Headings
from ihuyi_voice.cli.sheets import beside, is_workbook, replacing, writing
from ihuyi_voice.cli.told import Told
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.earlier import OF_ONE_RUN

_TABLE: Final = "CREATE TABLE rows (line INTEGER, cells TEXT)"


@contextmanager
def keeping(plan: Plan, course: Course) -> Generator[None]:
    """Have each row's end in the file of results while inside.

    Raises:
        InvalidRequest, OSError, ImportError: There can be no such file, and nothing was sent.
    """
    out = plan.out
    if out is None:
        yield
        return
    headings = Headings.of(plan.recipients.names(), OF_ONE_RUN)
    file = _begun(out, (*headings.names, *headings.ours), force=plan.force)

    def keep(told: Told) -> None:
        file.add((*headings.cells(told.row.cells), *told.result, told.row.line))

    course.keepers.append(keep)
    try:
        yield
    finally:
        is_there = _close(file, course)
        if is_workbook(out) and is_there:
            _turn_into_workbook(file.path, out, course)


def _begun(out: Path, header: Sequence[str], *, force: bool) -> GrowingFile:
    path = beside(out)
    taken = next((each for each in (out, path) if each.exists()), None)
    if taken is not None and not force:
        raise InvalidRequest(text("send.out.exists", out=str(taken)))
    return GrowingFile(path, header, force=force)


def _close(file: GrowingFile, course: Course) -> bool:
    """Have the file on the disk; tell what may not be there.

    Returns:
        Whether the file of that name is still this one: another's is none of our business.
    """
    try:
        file.settle()
    except OSError as error:
        course.unwritten = course.unwritten or error
        for line in file.lost():
            complain("send.unsaved_line", line=line)
    finally:
        is_there = file.is_there
        file.close()
    return is_there


def _turn_into_workbook(rows: Path, out: Path, course: Course) -> None:
    """Make the workbook; if that fails, the rows stay where they are."""
    try:
        with replacing(out) as part, writing(part, workbook=True) as write:
            for cells in _in_order(rows):
                write(cells)
        rows.unlink()
    except OSError as error:
        course.unwritten = course.unwritten or OSError(str(error))
        if rows.exists():
            complain("send.out.beside", "red", out=str(out), rows=str(rows), reason=str(error))


def _in_order(path: Path) -> Iterator[list[str]]:
    """Yield the header of a file of results, and its rows by their lines."""
    with Scratch(_TABLE) as known:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            yield next(rows)
            told = ((int(cells[-1]), json.dumps(cells)) for cells in rows)
            known.run_for_each("INSERT INTO rows VALUES (?, ?)", told)
        for (cells,) in known.run("SELECT cells FROM rows ORDER BY line"):
            yield json.loads(cells)
