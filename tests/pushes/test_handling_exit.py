"""A handler that asks for the end of the program gets it, once everything has been stored."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.pushes.handlers import row
from tests.pushes.support import Place, states

pytestmark = pytest.mark.long


async def run(*arguments: str) -> tuple[int | None, str]:
    """Run the program; return how it exits, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-m", "tests.pushes.quitter", *arguments),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("how", [(), ("eager",)], ids=["", "eager"])
async def test_sys_exit_in_a_handler_ends_the_program(place: Place, how: tuple[str, ...]) -> None:
    """By its code, without a word about event loops; it counts as a failure of this one."""
    status, said = await run(place.url, place.table, "SystemExit", *how)
    assert status == 3, said
    first, *_ = said.splitlines()
    assert first.startswith("push 4: handler failed, next try in ")
    assert first.endswith(" s: SystemExit: 3")
    for word in ("asyncio", "never retrieved", "destroyed", "unhandled", "loop"):
        assert word not in said
    await left(place, tries=1)


async def test_ctrl_c_in_a_handler_ends_the_program(place: Place) -> None:
    """As it does anywhere, and it is nobody's failure."""
    status, said = await run(place.url, place.table, "KeyboardInterrupt")
    assert status == -2, said
    assert said.strip().endswith("KeyboardInterrupt")
    assert "push 4" not in said
    for word in ("never retrieved", "destroyed", "unhandled"):
        assert word not in said
    await left(place, tries=0)


async def left(place: Place, *, tries: int) -> None:
    """Find what the program has left: nothing is claimed any more."""
    async with place.inbox() as inbox:
        await states(inbox, pending=4)
        found = [await row(inbox, str(number)) for number in (1, 2, 3, 4)]
        assert [each.tries for each in found] == [0, 0, 0, tries]
        assert [each.owner for each in found] == [None] * 4
