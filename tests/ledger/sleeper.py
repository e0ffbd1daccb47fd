"""A program that stops itself in the midst of a transaction of a ledger's, on PostgreSQL.

`python -m tests.ledger.sleeper JSON`: it stops when a statement that has certain words was prepared
and its values were not sent yet, or when they were and it has read no result, and writes what
became of its call when it goes on.
"""

# pyright: reportPrivateUsage=false

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any, Final

import asyncpg
import attrs

from ihuyi_voice.ledger import Ledger
from ihuyi_voice.models import Draft

ACCOUNT: Final = "VM1"


@attrs.frozen
class Order:
    """What it is to do.

    Attributes:
        ledger: Where its ledger is.
        words: What the statement has in which it falls asleep.
        run: The run; "" for a keyed call.
        sent: Whether the statement is under way when it falls asleep.
    """

    ledger: str
    words: str
    run: str = ""
    sent: bool = False

    def command(self) -> list[str]:
        """Return what starts it."""
        return [sys.executable, "-m", "tests.ledger.sleeper", json.dumps(attrs.asdict(self))]


def fall_asleep_at(words: str, *, sent: bool) -> None:
    """Stop this process once, between the two halves of such a statement, or after both."""
    connection: Any = asyncpg.Connection
    prepare = connection._get_statement
    left = [words]
    loop = asyncio.get_running_loop()

    async def prepared(self: Any, query: str, *given: Any, **options: Any) -> Any:
        statement = await prepare(self, query, *given, **options)
        if left and left[0] in query:
            left.clear()
            if sent:  # the values are, before the loop goes on to anything else
                loop.call_soon(os.kill, os.getpid(), signal.SIGSTOP)
            else:
                os.kill(os.getpid(), signal.SIGSTOP)
        return statement

    connection._get_statement = prepared


async def main(order: Order) -> None:
    """Look a call up and intend it, asleep in between."""
    message = Draft("k", "13900000000", "您好")
    async with Ledger.open(order.ledger) as ledger, AsyncExitStack() as closing:
        if order.run:
            journal = await closing.enter_async_context(ledger.run(ACCOUNT, order.run))
        else:
            journal = ledger.calls(ACCOUNT)
            await journal.look([message])  # by which it is there
        fall_asleep_at(order.words, sent=order.sent)
        (told,) = await journal.look([message])
        told = told or await journal.intend(message)
    print(type(told).__name__)  # noqa: T201 - a program


if __name__ == "__main__":
    asyncio.run(main(Order(**json.loads(sys.argv[1]))))
