"""The vendor that the commands under test talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.simulator import Simulator
from tests.cli.receiving import TOKEN
from tests.support.command import KEY, ServedVendor


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests read English, whatever the machine speaks; those of Chinese ask for it."""
    monkeypatch.setenv("IHUYI_LANG", "en")
    choose(Language.EN)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A vendor that the environment points to."""
    with ServedVendor() as served:
        monkeypatch.setenv("IHUYI_ACCOUNT", served.simulator.account)
        monkeypatch.setenv("IHUYI_API_KEY", KEY)
        monkeypatch.setenv("IHUYI_BASE_URL", served.url)
        yield served.simulator


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of an inbox, and the environment that the commands read."""
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", TOKEN)
    monkeypatch.setenv("IHUYI_INBOX", str(tmp_path / "pushes.sqlite3"))
    return str(tmp_path / "pushes.sqlite3")
