"""Rows of a database in, outcomes out, by SQLAlchemy; the list is read as the run goes on."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ihuyi_voice import Message, Outcome, VoiceClient
from ihuyi_voice.pushes import DeliveryReport


class Base(DeclarativeBase):
    """The tables."""


class Reminder(Base):
    """Whom to call, and about what."""

    __tablename__ = "reminders"

    id: Mapped[int] = mapped_column(primary_key=True)
    mobile: Mapped[str]
    day: Mapped[str]


class Called(Base):
    """How it ended; the columns are what an outcome's `to_dict` has."""

    __tablename__ = "called"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(index=True)
    mobile: Mapped[str]
    content: Mapped[str]
    status: Mapped[str]
    voice_id: Mapped[str | None]
    code: Mapped[int | None]
    text: Mapped[str | None]
    error: Mapped[str | None]
    action: Mapped[str | None]
    attempts: Mapped[int]
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    replayed: Mapped[bool]


class Heard(Base):
    """How the call itself went; the columns are what a report's `to_dict` has."""

    __tablename__ = "heard"

    voice_id: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[int]
    status: Mapped[str]
    text: Mapped[str]
    answered: Mapped[bool]
    mobile: Mapped[str]
    talk_time: Mapped[int | None]
    report_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    msg: Mapped[str]
    raw: Mapped[dict[str, Any]] = mapped_column(JSON)
    seq: Mapped[int | None]


def messages(session: Session) -> Iterator[Message]:
    """Yield what is to be said, a hundred rows in memory at a time."""
    for row in session.scalars(
        select(Reminder).order_by(Reminder.id).execution_options(yield_per=100)
    ):
        yield Message(row.mobile, f"您预约的日期是：{row.day}。请准时到达。", reference=str(row.id))


def row_of(outcome: Outcome) -> Called:
    """Return the row of an outcome."""
    return Called(**{**outcome.to_dict(), "retry_at": outcome.retry_at})


def row_of_report(report: DeliveryReport) -> Heard:
    """Return the row of a report."""
    return Heard(**{**report.to_dict(), "report_time": report.report_time})


async def remind(engine: Engine, client: VoiceClient) -> None:
    """Call everybody in the table, and keep how each call ended."""
    with Session(engine) as reading, Session(engine) as writing:
        async with client.submit_many(messages(reading)) as run:
            async for outcome in run:
                writing.add(row_of(outcome))
                writing.commit()
