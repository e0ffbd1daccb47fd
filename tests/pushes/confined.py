"""A receiver in a process that may not write as much as it wants: `… MODULE FILE BYTES`.

It prints the answers to pushes while its files may grow to so many bytes, and after that, when
they may grow on.
"""

import asyncio
import json
import logging
import resource
import sys

from ihuyi_voice.pushes import Inbox, PushReceiver
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import report_form


async def main(path: str, limit: str) -> None:
    """Push until nothing fits any more, and some more."""
    logging.basicConfig(stream=sys.stderr)
    inbox = Inbox.open(path)
    receiver = PushReceiver(inbox, token=TOKEN)
    answers: list[int] = []
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with inbox:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
        while answers.count(503) < 5:
            answers.append(await status(receiver, push(report_form(str(len(answers) + 1)))))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        for _ in range(5):
            answers.append(await status(receiver, push(report_form(str(len(answers) + 1)))))
    print(json.dumps(answers))  # noqa: T201 - its parent reads it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
