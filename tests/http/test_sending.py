"""Signed when taken, closed when done, and told in words what a failure of TLS means."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice import NotSent, RetryPolicy, VoiceClient
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.simulator import Simulator
from tests.http.servers import accept, counting, reply, sender_to, wire_to
from tests.support.servers import make_certificate
from tests.support.sockets import never, serving
from tests.support.vendor import CONTENT, MOBILE, ONCE

PASSWORD_LIVES = 5.0  # seconds


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_signature_is_no_older_than_the_wait_for_a_connection(method: Any) -> None:
    """40 in flight over 2 connections, a second each, and passwords live for 5: all pass."""
    now = [1_700_000_000.0]
    ages: list[float] = []

    async def check(writer: asyncio.StreamWriter) -> None:
        _, _, rest = vendor.requests[-1].partition(b"time=")
        ages.append(now[0] - float(rest[:10]))
        now[0] += 1.0
        fine = ages[-1] <= PASSWORD_LIVES
        body = b'{"code":%d,"msg":"","voiceid":"77"}' % (2 if fine else 40501)
        await reply(writer, body)

    async with counting(check) as vendor:
        async with VoiceClient(
            "a", "key", base_url=vendor.url, max_connections=2, clock=lambda: now[0], method=method
        ) as client:
            numbers = [f"139{place:08d}" for place in range(40)]
            await asyncio.gather(*(client.submit(number, CONTENT) for number in numbers))
    assert len(ages) == 40
    assert max(ages) <= 2.0


async def test_a_failure_of_tls_says_what_the_document_says_and_what_that_costs(
    tmp_path: Path,
) -> None:
    """An unknown authority, a server that doesn't speak TLS, and one that just hangs up."""
    certificate = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    for answer, tls in ((_talk, context), (_talk, None), (_hang_up, None)):
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
        async with server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/voice.php"
            async with VoiceClient("a", "key", base_url=url, retry=ONCE) as client:
                with pytest.raises(NotSent) as caught:
                    await client.submit(MOBILE, CONTENT)
        assert "http://api.vm.ihuyi.com/webservice/voice.php" in str(caught.value)
        assert "can be read on the way" in str(caught.value)
        assert "Nothing is sent so by itself" in str(caught.value)


async def test_a_server_that_is_silent_instead_of_tls_says_the_same() -> None:
    """As one that speaks none, or a firewall that swallows; nothing was sent, the step is told."""
    async with serving(never) as port:
        place, limits = f"127.0.0.1:{port}", httpx.Timeout(5.0, connect=0.1)
        async with VoiceClient(
            "a", "key", base_url=f"https://{place}/v.php", retry=ONCE, timeout=limits
        ) as client:
            with pytest.raises(NotSent) as caught:
                await client.submit(MOBILE, CONTENT)
    assert f"connected to {place}, but no TLS answer within 0.1 s" in str(caught.value)
    assert "http://api.vm.ihuyi.com/webservice/voice.php" in str(caught.value)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something that isn't TLS."""
    try:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def test_a_refused_connection_or_a_proxy_says_nothing_of_tls() -> None:
    """It has nothing to do with it."""
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as proxy:
        place = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        for through in (None, place):
            async with VoiceClient(
                "a", "k", base_url="https://127.0.0.1:9/v.php", retry=ONCE, proxy=through
            ) as client:
                with pytest.raises(NotSent) as caught:
                    await client.balance()
            assert "TLS" not in str(caught.value)


class Slow:
    """A vendor that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        """Wait, then say yes."""
        self.asked.set()
        await self.answer.wait()
        await accept(writer)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("closers", [1, 2])
async def test_closing_waits_for_those_in_flight_also_twice_at_once(
    closers: int, *, injected: bool
) -> None:
    """Both closers come back when the reply is there, and not before."""
    slow = Slow()
    async with counting(slow) as vendor, httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if injected else {}
        client = VoiceClient("a", "key", base_url=vendor.url, **options)
        call = asyncio.create_task(client.submit(MOBILE, CONTENT))
        await slow.asked.wait()
        closing = [asyncio.create_task(client.aclose()) for _ in range(closers)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(task.done() for task in closing)
        slow.answer.set()
        await asyncio.gather(*closing)
        assert (await call).voice_id == "77"
        with pytest.raises(RuntimeError, match="closed"):
            await client.balance()
        await client.aclose()


@pytest.mark.parametrize("when", ["request", "response"])
async def test_a_hook_that_closes_the_client_does_not_wait_for_its_own_request(when: str) -> None:
    """An injected client goes on, and the call ends."""

    async def close(_: object) -> None:
        await client.aclose()

    async with counting(accept) as vendor, httpx.AsyncClient() as http_client:
        http_client.event_hooks = {when: [close]}
        client = VoiceClient("a", "key", base_url=vendor.url, http_client=http_client)
        assert (await client.submit(MOBILE, CONTENT, timeout=20.0)).voice_id == "77"


async def test_a_close_from_another_loop_fails_and_spoils_nothing() -> None:
    """The client goes on where it belongs, and is closed there."""
    async with counting(accept) as vendor:
        client = VoiceClient("a", "key", base_url=vendor.url)
        assert await client.balance() == 5
        for close in (client.aclose, client.http_client.aclose):

            def elsewhere(close: Any = close) -> None:
                asyncio.run(close())

            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(elsewhere)
        assert await client.balance() == 5
        await client.aclose()


async def test_an_injected_client_is_left_open() -> None:
    """Whoever made it closes it."""
    async with counting(accept) as vendor, httpx.AsyncClient() as http_client:
        async with VoiceClient("a", "key", base_url=vendor.url, http_client=http_client) as client:
            assert client.http_client is http_client
            await client.balance()
        assert not http_client.is_closed


async def test_a_shared_client_that_somebody_closed_is_told_as_what_it_is() -> None:
    """It was their doing; nothing was sent."""
    client = VoiceClient("a", "key", base_url="http://127.0.0.1:9/v.php")
    await client.http_client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.submit(MOBILE, CONTENT)


async def test_our_own_queue_uses_up_no_retries() -> None:
    """Of 40 calls over 2 connections most wait in vain for a slot, again and again; all arrive."""
    simulator = Simulator(limits=(), latency=0.02)
    async with simulator.serve() as url:
        client = VoiceClient(
            simulator.account,
            simulator.api_key,
            base_url=url,
            max_connections=2,
            timeout=httpx.Timeout(30.0, pool=0.01),
            retry=RetryPolicy(attempts=2, initial=0.0),
        )
        async with client:
            calls = [client.submit(f"139{place:08d}", CONTENT) for place in range(40)]
            submissions = await asyncio.gather(*calls)
    assert {submission.attempts for submission in submissions} == {1}
    assert len(simulator.arrivals) == 40


async def test_700_calls_gathered_over_2_connections_all_arrive() -> None:
    """Our own queue is not the vendor's trouble: no timeout bounds it, no retry is spent on it."""
    async with counting(accept) as vendor:
        options: dict[str, Any] = {"max_connections": 2, "timeout": 5.0, "retry": RetryPolicy(1)}
        async with VoiceClient("a", "key", base_url=vendor.url, **options) as client:
            numbers = [f"139{place:08d}" for place in range(700)]
            done = await asyncio.gather(*(client.submit(number, CONTENT) for number in numbers))
            assert client.http_client.pool.statistics().opened == 2  # type: ignore[attr-defined]
    assert {each.attempts for each in done} == {1}
    assert vendor.arrivals == 700


@pytest.mark.parametrize("injected", [False, True])
async def test_a_cancellation_passes_and_what_it_cut_off_is_known(*, injected: bool) -> None:
    """Before the first byte nothing was sent; after it, it may have arrived."""
    slow = Slow()
    async with counting(slow) as vendor, httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if injected else {}
        sender, wire, sent = sender_to(vendor.url, **options), wire_to(vendor.url), Sent()
        call = asyncio.create_task(sender.send(wire, sent))
        assert not sent.may_have_arrived
        await slow.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert sent.may_have_arrived
        early = Sent()
        call = asyncio.create_task(sender.send(wire, early))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not early.may_have_arrived
        await sender.aclose()
