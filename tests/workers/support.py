"""Workers for tests: tables and a schema of the test's own, and what is left in them."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Simulator

ACCOUNT = "VM00000000"
CONTENT = "您的验证码是：1234。"


@asynccontextmanager
async def own_ledger(url: str) -> AsyncGenerator[tuple[Ledger, str]]:
    """Yield an open ledger whose tables, and queue, are dropped afterwards, and their prefix."""
    prefix = f"w{secrets.token_hex(4)}"
    try:
        async with Ledger.open(url, prefix=prefix) as ledger:
            yield ledger, prefix
    finally:
        await _drop(url, prefix)


async def _drop(url: str, prefix: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        named = "SELECT tablename FROM pg_tables WHERE tablename LIKE $1"
        for row in await connection.fetch(named, f"{prefix}\\_%"):
            await connection.execute(f'DROP TABLE "{row["tablename"]}"')
        await connection.execute(f"DROP SCHEMA IF EXISTS {prefix}_jobs CASCADE")
        await connection.execute("DELETE FROM ihuyi_schema WHERE name = $1", f"{prefix}_ledger")
    finally:
        await connection.close()


def rung(simulator: Simulator) -> list[tuple[str, str]]:
    """Return number and content of each call that the vendor made, in order."""
    return [
        (each.mobile, each.fields["content"])
        for each in simulator.arrivals
        if each.operation == "Submit" and each.code == 2
    ]
