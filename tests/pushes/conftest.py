"""Inboxes of a test's own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import pytest

from ihuyi_voice.pushes import Inbox
from tests.pushes.support import Place
from tests.support import databases


@pytest.fixture
def place(place: databases.Place) -> Place:
    """Return the same place, where inboxes can be opened."""
    return Place(**attrs.asdict(place))


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncGenerator[Inbox]:
    """Yield an open inbox on SQLite."""
    async with Inbox.open(tmp_path / "pushes.sqlite3") as inbox:
        yield inbox
