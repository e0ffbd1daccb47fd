"""Workers for tests: a ledger and a queue of the test's own, and what is left in them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import asyncpg

from ihuyi_voice import VoiceClient
from ihuyi_voice.ledger import Ledger, RunProgress
from ihuyi_voice.simulator import Simulator
from tests.support.ready import ready_ledger
from tests.support.vendor import in_process

ACCOUNT = "VM00000000"
CONTENT = "您的验证码是：1234。"


@asynccontextmanager
async def own_ledger(
    url: str, *, queue: bool = True, **options: Any
) -> AsyncGenerator[tuple[Ledger, str]]:
    """Yield an open ledger that nobody else has, with a queue or without, and its prefix."""
    async with (
        ready_ledger(url, queue=queue) as lent,
        Ledger.open(url, prefix=lent.prefix, **options) as ledger,
    ):
        yield ledger, lent.prefix


async def execute(url: str, statement: str, *given: object, path: str = "public") -> list[Any]:
    """Execute a statement, on the tables of a schema."""
    connection = await asyncpg.connect(url, server_settings={"search_path": path})
    try:
        return list(await connection.fetch(statement, *given))
    finally:
        await connection.close()


async def until(ledger: Ledger, predicate: Callable[[RunProgress], bool]) -> RunProgress:
    """Return the progress of the run `r` once it is so."""
    for _ in count():
        progress = await ledger.parts.progress("r")
        if predicate(progress):
            return progress
        await asyncio.sleep(0.02)  # only the database knows
    raise AssertionError


def client_of(simulator: Simulator, **options: Any) -> VoiceClient:
    """Return a client of the simulator, without a guard if none is given."""
    options.setdefault("guard", None)
    return in_process(simulator, **options)


def rung(simulator: Simulator) -> list[tuple[str, str]]:
    """Return number and content of each call that the vendor made, in order."""
    return [
        (each.mobile, each.fields["content"])
        for each in simulator.arrivals
        if each.operation == "Submit" and each.code == 2
    ]
