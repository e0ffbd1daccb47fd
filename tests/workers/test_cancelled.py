"""Workers and lists that are cancelled at each of their waits, and again in their clean-up."""

import asyncio
import secrets
from itertools import count

import pytest

from ihuyi_voice import Message, OutcomeStatus
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part, work
from tests.support.cancelling import EACH, Again, cancelled_at, gone
from tests.support.databases import broom
from tests.support.looking import comes_true
from tests.workers.support import ACCOUNT, client_of, execute, own_ledger, rung

pytestmark = pytest.mark.timeout(60)

NUMBERS = [f"139{number:08d}" for number in range(6)]
MESSAGES = [Message(mobile, f"您的验证码是：{mobile[-4:]}。") for mobile in NUMBERS]
_CONNECTED = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"


async def no_connections(url: str, name: str) -> None:
    """Return once the database has none of this name; while there are some, the test waits."""
    await comes_true(lambda: not broom(url).execute(_CONNECTED, (name,)).fetchone())


@pytest.mark.slow
@pytest.mark.parametrize("again", EACH)
async def test_a_worker_leaves_no_connection_whenever_it_is_cancelled(
    postgres: str, again: Again
) -> None:
    """Nor a task; also while it connects, and while it disconnects."""
    before = asyncio.all_tasks()
    async with client_of(Simulator()) as client, own_ledger(postgres) as (_, prefix):
        for at in count(1):
            name = f"seams{secrets.token_hex(4)}"
            url = f"{postgres}?application_name={name}"
            async with Ledger.open(url, prefix=prefix) as ledger:
                end = await cancelled_at(at, again, work(client, ledger, until_done=True))
            await no_connections(postgres, name)
            if not end.waited:
                break
    await gone(before)


@pytest.mark.slow
@pytest.mark.parametrize("again", EACH)
async def test_a_list_leaves_no_connection_whenever_its_distribution_is_cancelled(
    postgres: str, again: Again
) -> None:
    """Nor a table, once it is distributed again; and it is whole then."""
    before = asyncio.all_tasks()
    async with own_ledger(postgres) as (_, prefix):
        for at in count(1):
            name = f"seams{secrets.token_hex(4)}"
            async with Ledger.open(f"{postgres}?application_name={name}", prefix=prefix) as ledger:
                loading = distribute(ledger, "r", iter(MESSAGES), account=ACCOUNT)
                end = await cancelled_at(at, again, loading)
            await no_connections(postgres, name)
            if not end.waited:
                break
        async with Ledger.open(postgres, prefix=prefix) as ledger:
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
            progress = await ledger.parts.progress("r")
            assert (len(progress.parts), progress.counts) == (1, {"OPEN": 6})
        named = "SELECT 1 FROM pg_tables WHERE tablename LIKE $1"
        assert await execute(postgres, named, f"{prefix}\\_load\\_%") == []
    await gone(before)


@pytest.mark.slow
@pytest.mark.parametrize("again", EACH)
async def test_a_part_that_is_cancelled_anywhere_rings_nobody_twice(
    postgres: str, again: Again
) -> None:
    """Nor is it held, or an outcome lost: the same process works it to its end afterwards."""
    async with own_ledger(postgres) as (ledger, _):
        for at in count(1):
            simulator, name = Simulator(limits=()), f"r{at}"
            await distribute(ledger, name, MESSAGES, account=ACCOUNT)
            async with client_of(simulator) as client:
                before = asyncio.all_tasks()
                end = await cancelled_at(at, again, run_part(client, ledger, name, 1))
                await gone(before)
                assert (await run_part(client, ledger, name, 1)).done
            summary = await ledger.summary(name)
            assert len(set(rung(simulator))) == len(rung(simulator)) == 6
            assert summary[OutcomeStatus.ACCEPTED] + summary[OutcomeStatus.UNKNOWN] == 6
            if not end.waited:
                break
