"""A request finds its way through a proxy, or fails before anything of it is sent."""

import asyncio
import base64
import gc
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from ihuyi_voice.http.pool import PoolTransport, Proxy
from tests.support.proxies import running
from tests.support.servers import Certificate, make_certificate, server_side
from tests.support.sockets import OK, Reader, Writer, never, read_request, serving, until

FAST = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@attrs.define
class Origin:
    """A server behind a proxy: its URL, and what it has seen."""

    url: str
    heads: list[bytes] = attrs.field(factory=list[bytes])


@asynccontextmanager
async def origin(certificate: Certificate | None) -> AsyncGenerator[Origin]:
    """Run a server that says ok, over TLS if it has a certificate."""
    heads: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        while True:
            heads.append(await read_request(reader))
            writer.write(OK)

    tls = None if certificate is None else server_side(certificate)
    scheme = "http" if certificate is None else "https"
    async with serving(serve, tls=tls) as port:
        yield Origin(f"{scheme}://127.0.0.1:{port}/v.php?a=1", heads)


@asynccontextmanager
async def pool_through(
    url: str, proxy: str, certificate: Certificate | None = None, **options: Any
) -> AsyncGenerator[PoolTransport]:
    """Make a pool that goes through a proxy, and close it."""
    verify = True if certificate is None else certificate.trust
    pool = PoolTransport(url, proxy=proxy, verify=verify, **options)
    try:
        yield pool
    finally:
        async with asyncio.timeout(30.0):
            await pool.aclose()


def asked(url: str, events: list[str] | None = None, **timeout: float) -> httpx.Request:
    """Return a request whose trace collects the events."""

    async def trace(event: str, info: dict[str, Any]) -> None:
        if events is not None:
            events.append(event)

    extensions = {"timeout": {**FAST, **timeout}, "trace": trace}
    return httpx.Request("POST", url, content=b"a=1", extensions=extensions)


STARTED = "http11.send_request_headers.started"


@pytest.mark.parametrize("over_tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("secure", [False, True], ids=["http origin", "https origin"])
async def test_requests_go_through_a_proxy_and_keep_their_connection(
    certificate: Certificate, *, over_tls: bool, secure: bool
) -> None:
    """Reached by http or https, for an origin of either; one connection serves three requests."""
    tls = server_side(certificate) if over_tls else None
    async with running(tls=tls) as proxy, origin(certificate if secure else None) as behind:
        address = f"{'https' if over_tls else 'http'}://127.0.0.1:{proxy.port}"
        async with pool_through(behind.url, address, certificate) as pool:
            for _ in range(3):
                response = await pool.handle_async_request(asked(behind.url))
                assert await response.aread() == b"ok"
            assert pool.statistics().opened == 1
        assert len(proxy.heads) == 1
        assert [head.split()[1] for head in behind.heads] == [b"/v.php?a=1"] * 3
        expected = b"CONNECT 127.0.0.1:" if secure else b"POST http://127.0.0.1:"
        assert proxy.heads[0].startswith(expected)


async def test_the_absolute_form_names_the_whole_url() -> None:
    """Also when the target comes late."""
    async with running() as proxy, origin(None) as behind:
        async with pool_through(behind.url, f"127.0.0.1:{proxy.port}") as pool:
            request = asked(behind.url)
            request.extensions["ihuyi_voice.target"] = lambda: b"/late?b=2"
            await pool.handle_async_request(request)
        whole = behind.url.replace("/v.php?a=1", "/late?b=2").encode()
        assert proxy.heads[0].startswith(b"POST %s HTTP/1.1\r\n" % whole)


@pytest.mark.parametrize("secure", [False, True], ids=["absolute form", "tunnel"])
async def test_credentials_go_to_the_proxy_percent_decoded(
    certificate: Certificate, *, secure: bool
) -> None:
    """As Basic; with the tunnel, the origin never sees them."""
    async with running() as proxy, origin(certificate if secure else None) as behind:
        address = f"http://us%40er:p%3Aw%2F@127.0.0.1:{proxy.port}"
        async with pool_through(behind.url, address, certificate) as pool:
            await pool.handle_async_request(asked(behind.url))
    wanted = b"Proxy-Authorization: Basic " + base64.b64encode(b"us@er:p:w/") + b"\r\n"
    assert wanted in proxy.heads[0]
    assert not secure or b"Proxy-Authorization" not in behind.heads[0]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?",
         httpx.ProxyError, "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", httpx.ProxyError, "502"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", httpx.ProxyError, "301"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         httpx.ProxyError, "odd"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", httpx.ProxyError, "odd"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, httpx.ProxyError, "odd"),
        (b"HTTP/1.1 200 OK\r\n\r\nnot TLS at all", httpx.ProxyError, "goes on"),
    ],
    ids=["407", "502", "redirect", "upgrade", "garbage", "flood", "no TLS behind it"],
)  # fmt: skip
@pytest.mark.parametrize("close", [False, True])
async def test_a_tunnel_that_is_refused_sends_nothing_of_ours(
    certificate: Certificate, answer: bytes, error: type[Exception], words: str, *, close: bool
) -> None:
    """A clear error, the trace never hears of a start, and the slot is free again."""
    async with running(answer, close=close) as proxy:
        url = "https://127.0.0.1:9/"
        address = f"http://user:geheim@127.0.0.1:{proxy.port}"
        async with pool_through(url, address, certificate, max_connections=1) as pool:
            for _ in range(2):
                events: list[str] = []
                with pytest.raises(error, match=words) as caught:
                    await pool.handle_async_request(asked(url, events))
                assert "geheim" not in str(caught.value)
                assert events == ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    assert all(head.startswith(b"CONNECT ") for head in proxy.heads)


async def test_a_proxy_that_closes_without_an_answer_is_a_proxy_error(
    certificate: Certificate,
) -> None:
    """Nothing of ours was sent."""
    async with running(b"", close=True) as proxy:
        url = "https://127.0.0.1:9/"
        async with pool_through(url, f"127.0.0.1:{proxy.port}", certificate) as pool:
            events: list[str] = []
            with pytest.raises(httpx.ProxyError, match="closed"):
                await pool.handle_async_request(asked(url, events))
            assert STARTED not in events


@pytest.mark.parametrize(
    ("answer", "told", "of_tls"),
    [
        (b"", "connected to the proxy {}, but no answer to CONNECT", False),
        (b"HTTP/1.1 200", "connected to the proxy {}, but no answer to CONNECT", False),
        (
            b"HTTP/1.1 200 OK\r\n\r\n",
            "the proxy {} connected to 127.0.0.1:9, but no TLS answer",
            True,
        ),
    ],
    ids=["before its answer", "in it", "behind it"],
)
async def test_a_silent_proxy_is_a_connect_timeout(
    certificate: Certificate, answer: bytes, told: str, *, of_tls: bool
) -> None:
    """Before its answer, in it, or when it comes to TLS behind it; the error names the step."""
    async with running(answer) as proxy:
        url = "https://127.0.0.1:9/"
        async with pool_through(url, f"127.0.0.1:{proxy.port}", certificate) as pool:
            events: list[str] = []
            with pytest.raises(httpx.ConnectTimeout) as caught:
                await pool.handle_async_request(asked(url, events, connect=0.1))
            assert STARTED not in events
    assert str(caught.value) == f"{told.format(f'127.0.0.1:{proxy.port}')} within 0.1 s"
    assert isinstance(caught.value.__cause__, ssl.SSLError) is of_tls


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://127.0.0.1:9/"])
async def test_a_proxy_that_is_silent_where_it_should_speak_tls_is_named(
    certificate: Certificate, url: str
) -> None:
    """It is no failure of the origin's TLS, of which the caller would be told something else."""
    async with serving(never) as port:
        async with pool_through(url, f"https://127.0.0.1:{port}", certificate) as pool:
            events: list[str] = []
            with pytest.raises(httpx.ConnectTimeout) as caught:
                await pool.handle_async_request(asked(url, events, connect=0.1))
            assert STARTED not in events
    told = f"connected to the proxy 127.0.0.1:{port}, but no TLS answer within 0.1 s"
    assert str(caught.value) == told
    assert not isinstance(caught.value.__cause__, ssl.SSLError)


async def test_no_proxy_at_all_is_a_connect_error() -> None:
    """Nobody listens there."""
    async with running() as proxy:
        pass
    async with pool_through("https://127.0.0.1:9/", f"127.0.0.1:{proxy.port}") as pool:
        with pytest.raises(httpx.ConnectError):
            await pool.handle_async_request(asked("https://127.0.0.1:9/"))


@pytest.mark.parametrize("status", [407, 502])
async def test_in_the_absolute_form_a_proxys_refusal_is_a_reply(status: int) -> None:
    """It has seen the request, and only the caller knows what that means."""
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status
    async with running(answer) as proxy:
        url = "http://127.0.0.1:9/"
        async with pool_through(url, f"127.0.0.1:{proxy.port}") as pool:
            events: list[str] = []
            response = await pool.handle_async_request(asked(url, events))
            assert response.status_code == status
            assert STARTED in events


@pytest.mark.parametrize("over_tls", [False, True], ids=["http proxy", "https proxy"])
async def test_the_origin_behind_a_tunnel_must_be_trusted(
    certificate: Certificate, tmp_path: Path, *, over_tls: bool
) -> None:
    """By the same store as without a proxy, which is that of the proxy's certificate too."""
    other = make_certificate(tmp_path)
    tls = server_side(certificate) if over_tls else None
    async with running(tls=tls) as proxy, origin(other) as behind:
        address = f"{'https' if over_tls else 'http'}://127.0.0.1:{proxy.port}"
        async with pool_through(behind.url, address, certificate) as pool:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await pool.handle_async_request(asked(behind.url))
        assert behind.heads == []
        assert [head[:8] for head in proxy.heads] == [b"CONNECT "]


async def test_an_https_proxy_must_be_trusted(certificate: Certificate, tmp_path: Path) -> None:
    """Or the credentials would go to anybody."""
    other = make_certificate(tmp_path)
    async with running(tls=server_side(other)) as proxy:
        address = f"https://user:geheim@127.0.0.1:{proxy.port}"
        async with pool_through("http://127.0.0.1:9/", address, certificate) as pool:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await pool.handle_async_request(asked("http://127.0.0.1:9/"))
        assert proxy.heads == []


async def test_a_cancellation_while_the_proxy_is_silent_costs_no_slot(
    certificate: Certificate,
) -> None:
    """The attempt runs on to its end, which the connect timeout sets."""
    async with running(b"") as proxy:
        url = "https://127.0.0.1:9/"
        address = f"127.0.0.1:{proxy.port}"
        async with pool_through(url, address, certificate, max_connections=1) as pool:
            task = asyncio.create_task(pool.handle_async_request(asked(url, connect=0.2)))
            await until(lambda: proxy.heads)
            task.cancel()
            await asyncio.wait({task})
            proxy.answer = b"HTTP/1.1 503 No\r\n\r\n"
            with pytest.raises(httpx.ProxyError, match="503"):
                await pool.handle_async_request(asked(url))


@pytest.mark.slow
@pytest.mark.parametrize("over_tls", [False, True], ids=["http proxy", "https proxy"])
async def test_cancelling_anywhere_on_the_way_through_a_tunnel_leaves_nothing_open(
    certificate: Certificate, *, over_tls: bool
) -> None:
    """A socket or transport that is left would be a warning, and that an error."""
    tls = server_side(certificate) if over_tls else None
    async with running(tls=tls) as proxy, origin(certificate) as behind:
        address = f"{'https' if over_tls else 'http'}://127.0.0.1:{proxy.port}"
        for turns in range(0, 60, 3):
            async with pool_through(behind.url, address, certificate, max_connections=2) as pool:
                tasks = [
                    asyncio.create_task(pool.handle_async_request(asked(behind.url)))
                    for _ in range(4)
                ]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                await asyncio.wait(tasks)
                closing = asyncio.create_task(pool.aclose())
                await asyncio.sleep(0)
                closing.cancel()
                await asyncio.wait({closing})
            await until(lambda: not pool.statistics().open)
    gc.collect()


async def test_a_tunnel_works_on_uvloop_too(certificate: Certificate) -> None:
    """And TLS in TLS, in a loop of its own."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> None:
        async with running(tls=server_side(certificate)) as proxy, origin(certificate) as behind:
            address = f"https://127.0.0.1:{proxy.port}"
            async with pool_through(behind.url, address, certificate) as pool:
                for _ in range(3):
                    await pool.handle_async_request(asked(behind.url))
                assert pool.statistics().opened == 1

    def elsewhere() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(elsewhere)


def test_a_proxys_password_is_in_no_text() -> None:
    """Neither its repr nor the pool's."""
    proxy = Proxy.parse("http://user:geheim@proxy.test:8080")
    assert "geheim" not in repr(proxy)
    assert "user" not in repr(proxy)
    assert proxy.authorization == b"Basic " + base64.b64encode(b"user:geheim")
