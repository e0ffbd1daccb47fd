"""A program with a ledger, to be killed: `python -m tests.ledger.victim JSON`.

It writes a line for each outcome to a file as soon as it is told of it.
"""

import asyncio
import json
import os
import random
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from ihuyi_voice import Message, RetryPolicy, VoiceClient
from ihuyi_voice.errors import CallInFlight, OutcomeUnknown, VoiceError
from ihuyi_voice.ledger import Ledger

RUN: Final = "nightly"


@attrs.frozen
class Order:
    """What a victim is to do.

    Attributes:
        what: `run` or `keys`.
        ledger: Where its ledger is.
        vendor: The vendor's address.
        account: The account.
        out: The file of outcomes.
        count: How many messages there are.
        concurrency: How many are in flight.
        takeover: Whether the run is taken from whoever has it.
        seed: In which order the keys are called.
        again: How often a keyed call is called that is in flight elsewhere.
        largest: How many bytes a file of its may have; None for any.
    """

    what: str
    ledger: str
    vendor: str
    account: str
    out: str
    count: int
    concurrency: int = 20
    takeover: bool = False
    seed: int = 0
    again: int = 20
    largest: int | None = None

    def command(self) -> list[str]:
        """Return what starts a victim."""
        return [sys.executable, "-m", "tests.ledger.victim", json.dumps(attrs.asdict(self))]


def message(place: int) -> Message:
    """Return a message."""
    return Message(f"139{place:08d}", f"order {place}", f"m{place}")


@asynccontextmanager
async def client_of(order: Order) -> AsyncGenerator[VoiceClient]:
    """Open the ledger, and a client."""
    async with (
        Ledger.open(order.ledger) as ledger,
        VoiceClient(
            order.account, "simulator-key", base_url=order.vendor, ledger=ledger,
            retry=RetryPolicy(attempts=1), timeout=30.0,
        ) as client,
    ):  # fmt: skip
        yield client


async def send_run(order: Order, told: Any) -> None:
    """Send the run to its end."""
    messages = (message(place) for place in range(order.count))
    async with (
        client_of(order) as client,
        client.submit_many(
            messages, run=RUN, concurrency=order.concurrency, takeover=order.takeover
        ) as run,
    ):
        async for outcome in run:
            text = "" if outcome.error is None else str(outcome.error)
            told(outcome.message.reference, outcome.status.name, outcome.voice_id, text)


async def call_keys(order: Order, told: Any) -> None:
    """Call every key, in an order of this victim's own."""
    places = list(range(order.count))
    random.Random(order.seed).shuffle(places)
    left = iter(places)

    async def worker(client: VoiceClient) -> None:
        for place in left:
            await call(client, place, order, told)

    async with client_of(order) as client:
        await asyncio.gather(*(worker(client) for _ in range(order.concurrency)))


async def call(client: VoiceClient, place: int, order: Order, told: Any) -> None:
    """Call a key until it is known what became of it."""
    wanted = message(place)
    key = str(wanted.reference)
    for _ in range(order.again):
        try:
            submission = await client.submit(wanted.mobile, wanted.content, key=key, max_wait=30.0)
        except CallInFlight:
            continue
        except OutcomeUnknown:
            told(key, "UNKNOWN", None, "")
        except VoiceError as error:
            told(key, error.status.name, None, str(error))
        else:
            told(key, "ACCEPTED", submission.voice_id, "")
        return
    told(key, "NOT_SENT", None, "in flight")


async def main(order: Order) -> None:
    """Do as told."""
    if order.largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.largest, order.largest))
    out = os.open(order.out, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def told(*what: str | None) -> None:
        os.write(out, (json.dumps(what) + "\n").encode())

    await {"run": send_run, "keys": call_keys}[order.what](order, told)
    os.close(out)


if __name__ == "__main__":
    asyncio.run(main(Order(**json.loads(sys.argv[1]))))
