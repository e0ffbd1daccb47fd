"""An application behind uvicorn on a real socket, in this process, its lifespan included."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn

from ihuyi_voice.simulator.server import running


def serving(app: Any, **options: Any) -> AbstractAsyncContextManager[str]:
    """Serve while inside; yield the address, without a path."""
    return running(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", **options))
