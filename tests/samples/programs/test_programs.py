"""The samples do what they say, against the simulator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from ihuyi_voice import Message, Outcome, OutcomeStatus, VoiceClient
from ihuyi_voice.pushes import DeliveryReport, Inbox, PushReceiver
from ihuyi_voice.simulator import Fault
from ihuyi_voice.testing import ServedSimulator

from . import bars, frames, rows, tasks

NUMBERS = [f"1390000000{n}" for n in range(5)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with five reminders, one of them to no number."""
    engine = create_engine(f"sqlite:///{tmp_path / 'reminders.db'}")
    rows.Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(
            rows.Reminder(mobile=mobile, day="12月1日") for mobile in [*NUMBERS[:4], "1"]
        )
    yield engine
    engine.dispose()


async def test_rows_come_in_and_outcomes_go_out(
    engine: Engine, ihuyi_client: VoiceClient, ihuyi_simulator: ServedSimulator
) -> None:
    """One row each, errors included, from which the outcome can be made anew."""
    ihuyi_simulator.add_fault(Fault("code", mobile=NUMBERS[1], code=4082))
    ihuyi_simulator.add_fault(Fault("disconnect_after", mobile=NUMBERS[2]))
    await rows.remind(engine, ihuyi_client)
    with Session(engine) as session:
        called = {row.reference: row for row in session.scalars(select(rows.Called))}
        assert {reference: row.status for reference, row in called.items()} == {
            "1": "ACCEPTED",
            "2": "REJECTED",
            "3": "UNKNOWN",
            "4": "ACCEPTED",
            "5": "NOT_SENT",
        }
        columns = [column.name for column in rows.Called.__table__.columns if column.name != "id"]
        again = Outcome.from_dict({name: getattr(called["2"], name) for name in columns})
    assert again.message == Message(NUMBERS[1], "您预约的日期是：12月1日。请准时到达。", "2")
    assert again.error is not None
    assert again.error.to_dict()["code"] == 4082


async def test_reports_are_rows_too(
    engine: Engine, ihuyi_client: VoiceClient, ihuyi_simulator: ServedSimulator, tmp_path: Path
) -> None:
    """With what the vendor wrote as JSON."""
    async with Inbox.open(tmp_path / "pushes.db") as inbox:
        ihuyi_simulator.pushes_to(PushReceiver(inbox, token="s3cret"), "/s3cret")
        voice_id = (await ihuyi_client.submit(NUMBERS[0], "您好。")).voice_id
        await ihuyi_simulator.deliver()
        report = await inbox.report_of(voice_id, timeout=30)
    with Session(engine) as session, session.begin():
        session.add(rows.row_of_report(report))
    with Session(engine) as session:
        row = session.get_one(rows.Heard, voice_id)
        columns = [column.name for column in rows.Heard.__table__.columns]
        again = DeliveryReport.from_dict({name: getattr(row, name) for name in columns})
    assert again.answered
    assert again.raw == report.raw


async def test_a_frame_comes_in_and_a_frame_goes_out(ihuyi_client: VoiceClient) -> None:
    """By the index of the first; pandas made the numbers integers, which is understood."""
    frame: Any = pd.DataFrame({"mobile": [int(n) for n in NUMBERS], "order": range(9633, 9638)})
    called = await frames.called(frame, ihuyi_client)
    assert sorted(called.index) == ["0", "1", "2", "3", "4"]
    assert set(called["status"]) == {"ACCEPTED"}


def test_tasks_share_what_the_guard_knows(
    ihuyi_simulator: ServedSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a loop of its own; the vendor never says 4080."""
    monkeypatch.setattr(tasks, "guard", type(tasks.guard)())  # by the clock of this test
    ids = {tasks.remind(NUMBERS[0], f"12月{n}日") for n in range(3)}
    assert len(ids) == 3
    assert set(ihuyi_simulator.codes) == {2}


@pytest.mark.parametrize("bar", [bars.with_tqdm, bars.with_rich])
async def test_a_bar_shows_how_far_it_is(
    bar: Any, ihuyi_client: VoiceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """To its end."""
    messages = [Message(mobile, "您好。") for mobile in NUMBERS]
    assert await bar(ihuyi_client, messages) == {
        status: 5 if status is OutcomeStatus.ACCEPTED else 0 for status in OutcomeStatus
    }
    told = capsys.readouterr()
    assert "100%" in told.out + told.err
