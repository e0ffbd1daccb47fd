"""What one would take instead of a ledger: dbos, a workflow a message, on PostgreSQL.

    python -m benchmarks.durable URL POSTGRES MANY

A step in flight when the process dies is run again when it has started again: that is a phone
that rings twice.
"""

import asyncio
import json
import sys
import time

from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.ledger import client_of, message
from ihuyi_voice import VoiceClient

IN_FLIGHT = 100
_clients: list[VoiceClient] = []


@DBOS.step()
async def submit(place: int) -> str:
    """Call one number."""
    wanted = message(place)
    return (await _clients[0].submit(wanted.mobile, wanted.content)).voice_id


@DBOS.workflow()
async def call(place: int) -> str:
    """Call one number, durably."""
    return await submit(place)


async def main(url: str, postgres: str, many: int) -> None:
    """Send all of them and print what it cost."""
    config: DBOSConfig = {
        "name": "benchmark", "system_database_url": postgres, "log_level": "ERROR",
    }  # fmt: skip
    async with client_of(url, None, IN_FLIGHT) as client:
        _clients.append(client)
        DBOS(config=config)
        DBOS.launch()
        cpu, started = time.process_time(), time.perf_counter()
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(place: int) -> None:
            async with room:
                with SetWorkflowID(f"m{place}"):
                    handle = await DBOS.start_workflow_async(call, place)
                await handle.get_result()

        await asyncio.gather(*(one(place) for place in range(many)))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        DBOS.destroy()
    print(json.dumps({"per_second": many / seconds, "cpu_us": cpu / many * 1e6}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
