"""A stub of the vendor that costs next to nothing: it takes any submission after a set time.

    python -m benchmarks.vendor SERVER_MS

It prints its address. `GET /rung` answers with how many contents were submitted, and how many of
them more than once: how many phones rang twice.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from subprocess import PIPE, Popen
from typing import ClassVar
from urllib.request import urlopen

_XML = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<SubmitResult xmlns="http://106.ihuyi.com/">\n'
    b"<code>2</code>\n<msg>ok</msg>\n<voiceid>%d</voiceid>\n</SubmitResult>\n"
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"


class Stub(asyncio.Protocol):
    """One connection."""

    contents: ClassVar = Counter[str]()
    delay = 0.0
    voice_ids = 16_842_079_209_571_520_000

    def __init__(self) -> None:
        self._data = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._data += data
        while True:
            head, mark, rest = self._data.partition(b"\r\n\r\n")
            length = _length(head) if mark else 0
            if not mark or len(rest) < length:
                return
            self._data = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /rung"):
            twice = sum(count > 1 for count in self.contents.values())
            told = json.dumps([len(self.contents), twice]).encode()
            self._write(_HEAD % (b"application/json", len(told), told))
            return
        self.contents[_content(body)] += 1
        Stub.voice_ids += 1
        reply = _XML % self.voice_ids
        whole = _HEAD % (b"text/xml; charset=utf-8", len(reply), reply)
        if self.delay:
            self._loop.call_later(self.delay, self._write, whole)
        else:
            self._write(whole)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


def _length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return 0 if place < 0 else int(head[place + 15 :].split(b"\r\n", 1)[0])


def _content(body: bytes) -> str:
    place = body.find(b"mobile=")  # here each message has a number of its own
    return body[place + 7 : place + 18].decode()


async def serve(server_ms: float) -> None:
    """Serve until the parent ends this process."""
    Stub.delay = server_ms / 1000
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/webservice/voice.php", flush=True)
    await server.serve_forever()


def vendor(server_ms: float = 0.0) -> AbstractContextManager[str]:
    """Run the stub in another process, and yield its address."""
    return address_of("benchmarks.vendor", str(server_ms))


@contextmanager
def address_of(module: str, *arguments: str) -> Generator[str]:
    """Run a module in another process until the end, and yield the address that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    process = Popen(command, stdout=PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def rung(url: str) -> tuple[int, int]:
    """Return how many messages the stub behind an address has had, and how many of them twice."""
    with urlopen(f"{url.partition('/webservice')[0]}/rung") as reply:  # noqa: S310 - ours
        several, twice = json.loads(reply.read())
    return several, twice


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
