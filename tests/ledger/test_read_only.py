"""A ledger on a disk that may only be read: told in words before anything is sent."""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

from ihuyi_voice.ledger import Ledger
from tests.ledger.killing import ROOT
from tests.support.ledgers import ACCOUNT, accepted, draft

PROGRAM: Final = """
import asyncio, os, sys
from ihuyi_voice.ledger import Ledger, LedgerUnavailable
from tests.support.ledgers import ACCOUNT, draft

async def main():
    try:
        async with Ledger.open(sys.argv[1]) as ledger:
            print("granted:", await ledger.calls(ACCOUNT).intend(draft("new")))
    except LedgerUnavailable as exc:
        print(exc)

if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
asyncio.run(main())
"""


async def made(path: Path) -> None:
    """Make a ledger with one call in it."""
    async with Ledger.open(path) as ledger:
        assert await ledger.calls(ACCOUNT).intend(draft()) is None
        await ledger.calls(ACCOUNT).settle(draft(), accepted())


def allow(path: Path, mode: int) -> None:
    """Say who may do what with a file or a folder."""
    path.chmod(mode)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["folder", "folder with a file", "file"])
async def test_what_may_not_be_written_is_told_and_nothing_is_granted(which: str) -> None:
    """A folder without a file, with one, and a file by itself; what is there stays as it is."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders let nobody else in
        path = Path(name) / "calls.db"
        if which != "folder":
            await made(path)
            allow(path, 0o444 if which == "file" else 0o666)
        allow(path.parent, 0o777 if which == "file" else 0o555)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(path)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        told = "readonly database|unable to open database file"
        assert re.match(f"the ledger's database failed: OperationalError: .*({told})", out.decode())
        allow(path.parent, 0o777)
        if which != "folder":
            allow(path, 0o666)
            async with Ledger.open(path) as ledger:
                assert await ledger.calls(ACCOUNT).look([draft()]) == [accepted()]
