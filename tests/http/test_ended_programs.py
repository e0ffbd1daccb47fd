"""What ends the program in the midst of a request: the answer that was read stays the outcome."""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
import httpx2
import pytest

from ihuyi_voice import MemoryGuard, OutcomeStatus, VoiceClient
from tests.http.servers import ACCEPTED, Writer, accept, counting, reply
from tests.support.journals import FakeLedger
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import run_virtual

KINDS = pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
WAYS = pytest.mark.parametrize("way", ["pool", "httpx", "httpx2"])
ENDS = pytest.mark.parametrize("state", ["ACCEPTED", "REJECTED"])
REFUSED = b'{"code":4072,"msg":"no"}'
CLIENTS: dict[str, Any] = {"httpx": httpx.AsyncClient, "httpx2": httpx2.AsyncClient}
LOGS = (
    *("httpx", "httpx2", "ihuyi_voice"),
    *(f"{core}.{part}" for core in ("httpcore", "httpcore2") for part in ("connection", "http11")),
)


async def refuse(writer: Writer) -> None:
    """Say no."""
    await reply(writer, REFUSED)


ANSWERS = {"ACCEPTED": accept, "REJECTED": refuse}


class Raises(logging.Handler):
    """Ends the program at the nth line, and only then.

    Attributes:
        lines: What it was given, up to that.
    """

    def __init__(self, kind: type[BaseException], is_it: Callable[[int, str], bool]) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._kind, self._is_it, self._done = kind, is_it, False

    def emit(self, record: logging.LogRecord) -> None:
        """Raise, if this is it."""
        if self._done:
            return
        self.lines.append(record.getMessage())
        if self._is_it(len(self.lines), self.lines[-1]):
            self._done = True
            raise self._kind


@contextmanager
def handled(handler: logging.Handler, *names: str) -> Generator[None]:
    """Let a handler have every line of these loggers."""
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagates) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagates


@asynccontextmanager
async def client_to(way: str, url: str, **options: Any) -> AsyncGenerator[VoiceClient]:
    """Yield a client of its own, or over an injected one."""
    async with AsyncExitStack() as stack:
        if way != "pool":
            options["http_client"] = await stack.enter_async_context(CLIENTS[way]())
        client = VoiceClient("a", "key", base_url=url, retry=ONCE, **options)
        yield await stack.enter_async_context(client)


async def ended(client: VoiceClient, kind: type[BaseException]) -> None:
    """Make a call that its program's end cuts short."""
    with pytest.raises(kind):
        await client.submit(MOBILE, CONTENT, key="k")


def numbers_counted(guard: MemoryGuard) -> int:
    """Return how many numbers have had a call, when none is in flight any more."""
    statistics = guard.statistics()
    assert statistics.in_flight == 0
    return statistics.numbers


@KINDS
@ENDS
@WAYS
async def test_a_handler_of_httpxs_own_line_ends_it_when_the_answer_is_read(
    way: str, state: str, kind: type[BaseException]
) -> None:
    """That line comes between a reply's head and its body, and made UNKNOWN of it."""
    raises, ledger, guard = Raises(kind, lambda _, __: True), FakeLedger(), MemoryGuard()
    async with (
        counting(ANSWERS[state]) as server,
        client_to(way, server.url, ledger=ledger, guard=guard) as client,
    ):
        with handled(raises, "httpx2" if way == "httpx2" else "httpx"):
            await ended(client, kind)
    assert raises.lines[0].startswith(("HTTP Request", "load_ssl_context"))
    assert ledger.store.states() == {"k": state}
    assert numbers_counted(guard) == (state == "ACCEPTED")


# httpcore itself leaves a socket open that it was about to tell of.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@WAYS
def test_wherever_a_line_is_logged_the_vendors_answer_is_known(way: str) -> None:
    """Nothing is sent, if nothing had left by then; and otherwise the answer is awaited."""
    asyncio.run(raised_at_each_line(way))
    gc.collect()  # with its loop closed; else that socket is told of in a later test


async def raised_at_each_line(way: str) -> None:
    """Let a handler end the program at one line after the other."""
    seen, nth = set[str](), 0
    for nth in range(1, 100):
        raises = Raises(SystemExit, lambda count, _, nth=nth: count == nth)  # type: ignore[misc]  # nth
        ledger, guard = FakeLedger(), MemoryGuard()
        async with (
            counting(accept) as server,
            client_to(way, server.url, ledger=ledger, guard=guard) as client,
        ):
            with handled(raises, *LOGS):
                try:
                    await client.submit(MOBILE, CONTENT, key="k")
                except SystemExit:
                    pass
                else:
                    break
            assert numbers_counted(guard) == server.arrivals
            known = {"k": "ACCEPTED"} if server.arrivals else {"k": "NOT_SENT"}
            assert ledger.store.states() == known, raises.lines[-1]
            seen |= set(ledger.store.states().values())
    assert nth > 2
    assert "ACCEPTED" in seen


@KINDS
@ENDS
@WAYS
async def test_a_response_hook_ends_it_with_the_answer(
    way: str, state: str, kind: type[BaseException]
) -> None:
    """Of the default client, and of injected ones."""

    async def end(_: object) -> None:
        raise kind

    ledger = FakeLedger()
    async with (
        counting(ANSWERS[state]) as server,
        client_to(way, server.url, ledger=ledger) as client,
    ):
        client.http_client.event_hooks["response"].append(end)
        await ended(client, kind)
    assert ledger.store.states() == {"k": state}


@KINDS
@WAYS
async def test_a_request_hook_ends_it_before_anything_is_sent(
    way: str, kind: type[BaseException]
) -> None:
    """And the number is free."""

    async def end(_: object) -> None:
        raise kind

    ledger, guard = FakeLedger(), MemoryGuard()
    async with (
        counting(accept) as server,
        client_to(way, server.url, ledger=ledger, guard=guard) as client,
    ):
        client.http_client.event_hooks["request"].append(end)
        await ended(client, kind)
    assert (server.arrivals, numbers_counted(guard)) == (0, 0)
    assert ledger.store.states() == {"k": "NOT_SENT"}


class Stream(httpx.AsyncByteStream):
    """A reply's body that ends the program behind its last byte, or when it is closed."""

    def __init__(self, kind: type[BaseException], where: str) -> None:
        self._kind, self._where = kind, where

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield ACCEPTED
        if self._where == "end":
            raise self._kind

    async def aclose(self) -> None:
        """Raise, if this is where."""
        if self._where == "close":
            raise self._kind


@KINDS
@pytest.mark.parametrize("where", ["end", "close"])
async def test_a_replys_stream_ends_it_with_the_answer(
    where: str, kind: type[BaseException]
) -> None:
    """Its length was announced, and so much has come."""
    headers, ledger = {"Content-Length": str(len(ACCEPTED))}, FakeLedger()
    stream = Stream(kind, where)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=stream))
    http_client = httpx.AsyncClient(transport=transport)
    options: dict[str, Any] = {"base_url": BASE_URL, "ledger": ledger}
    await ended(VoiceClient("a", "key", http_client=http_client, **options), kind)
    assert ledger.store.states() == {"k": "ACCEPTED"}


@KINDS
@pytest.mark.parametrize("way", ["httpx", "httpx2", "pool"])
async def test_a_wrapped_client_ends_it_with_the_answer(
    monkeypatch: pytest.MonkeyPatch, way: str, kind: type[BaseException]
) -> None:
    """As an instrumentation's span does that is closed after the reply."""
    ledger = FakeLedger()
    async with counting(accept) as server, client_to(way, server.url, ledger=ledger) as client:
        whole = type(client.http_client).send

        async def send(self: Any, request: Any, **options: Any) -> Any:
            await whole(self, request, **options)
            raise kind

        monkeypatch.setattr(type(client.http_client), "send", send)
        await ended(client, kind)
        monkeypatch.undo()
    assert ledger.store.states() == {"k": "ACCEPTED"}


@KINDS
def test_in_a_run_the_answer_that_was_read_is_the_outcome(kind: type[BaseException]) -> None:
    """Whatever a log's handler did to its task; the ledger knows it, too."""
    raises = Raises(kind, lambda _, line: line.startswith("HTTP Request"))
    ledger, found = FakeLedger(), list[OutcomeStatus]()

    async def main() -> None:
        client = in_process(vendor(), ledger=ledger, retry=ONCE)
        run = client.submit_many([(MOBILE, CONTENT)], run="nightly")
        try:
            async with run:
                async for outcome in run:
                    found.append(outcome.status)
        finally:
            found.extend(outcome.status for outcome in await run.drain())

    with handled(raises, "httpx"), pytest.raises(kind):
        run_virtual(main())
    assert found == [OutcomeStatus.ACCEPTED]
    assert [*ledger.store.states("nightly").values()] == ["ACCEPTED"]
