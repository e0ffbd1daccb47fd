"""The shop's orders, in a database by SQLAlchemy; it knows nothing of calls but their ids."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

from sqlalchemy import Engine, Table, create_engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateTable


class Base(DeclarativeBase):
    """The tables."""


class Order(Base):
    """An order: whom to call when it is on its way, and the id of that call."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    mobile: Mapped[str]
    voice_id: Mapped[str | None] = mapped_column(default=None)


_ORDERS = cast("Table", Order.__table__)


class Orders:
    """The orders in a file, for any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Generator[Self]:
        """Open a file, which is made if it is missing, while inside."""
        engine = create_engine(f"sqlite:///{path}")
        try:
            with engine.begin() as connection:  # several workers may start at once
                connection.execute(CreateTable(_ORDERS, if_not_exists=True))
            yield cls(engine)
        finally:
            engine.dispose()

    def add(self, mobile: str) -> int:
        """Keep a new order, and return its number."""
        with self._session() as session:
            order = Order(mobile=mobile)
            session.add(order)
            session.flush()
            return order.id

    def find(self, number: int) -> Order | None:
        """Return an order."""
        with self._session() as session:
            return session.get(Order, number)

    def called(self, number: int, voice_id: str) -> None:
        """Note the id of an order's call."""
        with self._session() as session:
            session.execute(update(Order).where(Order.id == number).values(voice_id=voice_id))

    @contextmanager
    def _session(self) -> Generator[Session]:
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session
