"""The command as tests run it, and a vendor in another thread that it can talk to."""

import asyncio
import atexit
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from typer.testing import CliRunner, Result

from ihuyi_voice.cli.app import app
from ihuyi_voice.simulator import Simulator
from tests.support import quick
from tests.support.long import LONG
from tests.support.servers import Certificate

PROGRAM = (sys.executable, "-m", "ihuyi_voice.cli")
KEY = "1q784322ba1d9bb88d50cf5cdfd89k7d"
TEMPLATE = "您的订单号是：【变量】。"
CONTENT = "您的订单号是：9633。"
MOBILE = "13900000000"


@cache
def quick_program() -> Sequence[str]:
    """Return what starts the command without loading it anew each time: see `support.quick`."""
    if not hasattr(os, "pidfd_open"):
        return PROGRAM
    room = tempfile.TemporaryDirectory(prefix="ihuyi-quick-")
    address = str(Path(room.name) / "socket")
    server = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tests.support.quick_server", address],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for whoever started the tests
    )
    atexit.register(room.cleanup)
    atexit.register(server.communicate)  # with the end of its stdin it ends
    assert server.stdout is not None
    assert server.stdout.readline()
    return (sys.executable, "-I", "-S", quick.__file__, address)


def program() -> Sequence[str]:
    """Return what starts the command: itself in the long run, and what is quicker in the short."""
    return PROGRAM if LONG else quick_program()


class ServedVendor:
    """A simulator that serves from a thread of its own, because the command owns the main one.

    Args:
        tls: The certificate of a server that speaks https.
    """

    def __init__(self, tls: Certificate | None = None) -> None:
        self.simulator = Simulator(api_key=KEY, templates=[TEMPLATE], balance=856, limits=())
        self._tls: dict[str, Any] = (
            {"ssl_certfile": str(tls.chain), "ssl_keyfile": str(tls.key)} if tls else {}
        )
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self.simulator.serve(**self._tls) as self.url:
            self._ready.set()
            await self._stop.wait()


def seen(vendor: Simulator, count: int, running: "subprocess.Popen[str]") -> None:
    """Wait until the vendor has seen so many requests of a command that runs."""
    while len(vendor.arrivals) < count:
        with suppress(subprocess.TimeoutExpired):
            running.wait(0.005)
        assert running.poll() is None, running.communicate()


class Answering:
    """A vendor in another thread that answers in JSON whatever a function makes of the form.

    Args:
        answer: The function.
        date: The reply's Date; empty for none, None for the right one.
    """

    def __init__(self, answer: Callable[[str], dict[str, object]], date: str | None = None) -> None:
        self.asked = asked = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                data = json.dumps(answer(sent)).encode()
                asked.append(self.path)
                if date is None:
                    self.send_response(200)
                else:
                    self.send_response_only(200)
                if date:
                    self.send_header("Date", date)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._server.server_port

    def point(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the environment point here."""
        monkeypatch.setenv("IHUYI_ACCOUNT", "VM00000000")
        monkeypatch.setenv("IHUYI_API_KEY", KEY)
        monkeypatch.setenv("IHUYI_BASE_URL", f"http://127.0.0.1:{self.port}/voice.php")


def run(*args: str) -> Result:
    """Run the command; its key must never show."""
    logging.disable(logging.NOTSET)
    result = CliRunner().invoke(app, args)
    assert KEY not in result.output
    return result
