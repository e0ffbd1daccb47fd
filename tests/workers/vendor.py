"""The vendor in a process of its own, which writes down what arrives: `python -m … RECORD OPTIONS`.

OPTIONS are the simulator's, as JSON; a `silent` one takes everything and answers nothing. It prints
its address.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from ihuyi_voice.simulator.http import Form
from ihuyi_voice.simulator.vendor import Answer
from tests.workers.processes import running

ACCOUNT: Final = "VM00000000"
KEY: Final = "simulator-key"
RATE_CODES: Final = frozenset({4080, 4081, 4082})
_LOOK: Final = 0.05


class _Recording(Simulator):
    """Writes a line a submission: number, content and code."""

    def __init__(self, record: str, *, silent: bool = False, **options: Any) -> None:
        super().__init__(ACCOUNT, KEY, keep_arrivals=0, **options)
        if silent:
            self.add_fault(Fault(FaultKind.SILENCE))
        self._record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _act(self, operation: str, form: Form, fault: Fault | None) -> Answer:
        answer = super()._act(operation, form, fault)
        if operation == "Submit":
            line = json.dumps([form.text["mobile"], form.text["content"], answer.code])
            os.write(self._record, line.encode() + b"\n")
        return answer


@attrs.frozen
class Vendor:
    """A vendor in another process.

    Attributes:
        url: Its address.
        record: The file in which it writes what arrives.
    """

    url: str
    record: Path

    @property
    def environment(self) -> dict[str, str]:
        """What programs are told of it."""
        return {"IHUYI_ACCOUNT": ACCOUNT, "IHUYI_API_KEY": KEY, "IHUYI_BASE_URL": self.url}

    def arrivals(self) -> list[tuple[str, str, int]]:
        """Return number, content and code of what has arrived."""
        lines = self.record.read_text(encoding="utf-8").splitlines()
        return [tuple(json.loads(line)) for line in lines]

    def calls(self) -> list[tuple[str, str]]:
        """Return number and content of each call that was made, in order."""
        return [(mobile, content) for mobile, content, code in self.arrivals() if code == 2]

    def codes(self) -> Counter[int]:
        """Return how often it answered what."""
        return Counter(code for *_, code in self.arrivals())

    async def arrived(self, count: int) -> None:
        """Return once so much has arrived; it is seen in the file alone."""
        seen, lines = 0, 0
        while lines < count:
            with self.record.open("rb") as record:
                record.seek(seen)
                new = record.read()
            seen, lines = seen + len(new), lines + new.count(b"\n")
            await asyncio.sleep(_LOOK)


@asynccontextmanager
async def vendor_of(folder: Path, **options: Any) -> AsyncGenerator[Vendor]:
    """Run a vendor, with options of the simulator's."""
    record = folder / "arrivals"
    record.touch()
    command = [sys.executable, "-m", __name__, str(record), json.dumps(options)]
    async with running(command, out=True) as process:
        assert process.stdout is not None
        yield Vendor((await process.stdout.readline()).decode().strip(), record)


async def main(record: str, options: Mapping[str, Any]) -> None:
    """Serve until killed."""
    async with _Recording(record, **options).serve() as url:
        print(url, flush=True)  # noqa: T201 - its answer
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
