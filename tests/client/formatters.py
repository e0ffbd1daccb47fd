"""Log lines as structlog's formatter and as a plain JSON formatter write them."""

import io
import json
import logging
from contextlib import suppress
from typing import Any

import structlog

from ihuyi_voice import VoiceError
from ihuyi_voice.simulator import Fault
from tests.support.vendor import CONTENT, MOBILE, in_process, vendor
from tests.support.virtual_time import run_virtual


class Json(logging.Formatter):
    """Writes what a record has beyond what all have."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = {name: value for name, value in vars(record).items() if name.startswith("voice_")}
        return json.dumps({"event": record.getMessage(), **fields})


def written(form: str) -> dict[str, Any]:
    """Make a call that is refused, and return the line that a formatter wrote of it."""
    renderer = structlog.processors.JSONRenderer()
    of_structlog = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(of_structlog if form == "structlog" else Json())
    logger = logging.getLogger("ihuyi_voice.outcomes")
    logger.addHandler(handler)
    try:
        run_virtual(_refused())
    finally:
        logger.removeHandler(handler)
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


async def _refused() -> None:
    async with in_process(vendor(Fault("code", code=4072))) as client:
        with suppress(VoiceError):
            await client.submit(MOBILE, CONTENT)
