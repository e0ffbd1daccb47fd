"""Inboxes of a test's own, and a log that fails."""

import logging
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import attrs
import pytest

from ihuyi_voice.pushes import Inbox
from tests.pushes.support import Place
from tests.support import databases


@pytest.fixture
def place(place: databases.Place, postgres_or_none: str | None) -> Place:
    """Return the same place, where inboxes can be opened."""
    # The parameter is asked for here, too: pytest 8 doesn't see it through what this replaces.
    return Place(**attrs.asdict(place))


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncGenerator[Inbox]:
    """Yield an open inbox on SQLite."""
    async with Inbox.open(tmp_path / "pushes.sqlite3") as inbox:
        yield inbox


@pytest.fixture
def log_that_fails() -> Generator[list[str]]:
    """Let every line of the inbox's logger raise; yield those lines."""
    lines: list[str] = []

    def fail(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        raise ZeroDivisionError

    logger = logging.getLogger("ihuyi_voice.pushes")
    logger.addFilter(fail)
    yield lines
    logger.removeFilter(fail)
