"""Programs that tests run, and that have ended when the test has."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).parents[2]
_LOOK: Final = 0.05


async def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    out: bool = False,
    log: IO[bytes] | None = None,
    apart: bool = False,
) -> asyncio.subprocess.Process:
    """Start a program.

    Args:
        command: The program, and its arguments.
        environment: What is told to it beside this process's own environment.
        out: Whether what it prints is to be read.
        log: Where it writes otherwise.
        apart: Whether it has a group of its own.
    """
    given: dict[str, Any] = {"stdout": log, "stderr": log} if log is not None else {}
    if out:
        given["stdout"] = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        start_new_session=apart,
        **given,
    )


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kill it, if it lives, and wait until it is dead."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a program while inside; it is killed then."""
    process = await start(command, environment, **options)
    try:
        yield process
    finally:
        await kill(process)


async def written(path: Path, words: str) -> None:
    """Return once a program has written these words to a file."""
    for _ in count():
        if words in path.read_text(encoding="utf-8"):  # noqa: ASYNC240 - a few lines
            return
        await asyncio.sleep(_LOOK)  # another process's file can't be awaited in any other way
