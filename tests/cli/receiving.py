"""`ihuyi-voice receive` as a process of its own, and pushes to it."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import httpx

from tests.pushes.support import FORM
from tests.support.command import quick_program

TOKEN = "s3cret-token-0123456789"


@contextmanager
def receiving(
    *args: str, said: str = "listening at http://127.0.0.1:"
) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Run `ihuyi-voice receive` in a process of its own; yield it and its address."""
    command = [*quick_program(), "receive", "--port", "0", *args]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(said), line
            yield process, "http" + line.partition("http")[2].strip()
        finally:
            process.kill()


def push(address: str, body: bytes, kind: str = FORM) -> httpx.Response:
    """Push as the vendor does."""
    url = address.replace("<token>", TOKEN)
    headers = {"Content-Type": kind}
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30.0)
