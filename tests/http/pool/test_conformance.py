"""The pool gets along with servers that we did not write, plain and over TLS."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest

from ihuyi_voice.http.pool import Bounds, PoolTransport
from tests.support.servers import (
    NGINX,
    Certificate,
    free_port,
    granian,
    make_certificate,
    nginx,
    uvicorn,
)

TIMEOUT = {"timeout": dict.fromkeys(("connect", "pool", "read", "write"), 30.0)}
Server = Callable[[int, Path, Certificate | None], AbstractContextManager[None]]
SERVERS: dict[str, Server] = {
    "uvicorn-h11": partial(uvicorn, "h11"),
    "uvicorn-httptools": partial(uvicorn, "httptools"),
    "granian": granian,
    "nginx": nginx,
}


@attrs.frozen
class Site:
    """A server that runs, and how to trust it."""

    url: str
    certificate: Certificate | None

    def pool(self, max_connections: int = 6) -> PoolTransport:
        """Return a pool for it."""
        verify = True if self.certificate is None else self.certificate.trust
        bounds = Bounds(body=4_000_000)
        return PoolTransport(
            self.url, max_connections=max_connections, verify=verify, bounds=bounds
        )

    async def send(
        self, pool: PoolTransport, path: str, content: bytes = b"", method: str = "POST"
    ) -> httpx.Response:
        """Send a request and read its reply."""
        request = httpx.Request(method, self.url + path, content=content, extensions=TIMEOUT)
        response = await pool.handle_async_request(request)
        await response.aread()
        return response


@pytest.fixture(scope="module", params=[f"{n}-{s}" for n in SERVERS for s in ("http", "https")])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Run each of the servers, plain and over TLS."""
    name, _, scheme = str(request.param).rpartition("-")
    if name == "nginx" and NGINX is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have nginx")
        pytest.skip("nginx is not installed")
    room = tmp_path_factory.mktemp("server")
    certificate = make_certificate(room) if scheme == "https" else None
    port = free_port()
    with SERVERS[name](port, room, certificate):
        yield Site(f"{scheme}://127.0.0.1:{port}", certificate)


@pytest.mark.long
async def test_everybody_gets_the_own_reply_over_connections_that_are_kept(site: Site) -> None:
    """300 requests take no more connections than there are slots, and none gets mixed up."""
    pool = site.pool()

    async def one(number: int) -> None:
        body = b"%d" % number * 100
        path = "/chunked" if number % 3 else "/echo"
        assert (await site.send(pool, path, body)).content == body

    await asyncio.gather(*(one(number) for number in range(300)))
    assert pool.statistics().opened == 6
    await pool.aclose()


async def test_replies_of_every_shape_are_read(site: Site) -> None:
    """Without a body, in pieces, to HEAD; and one connection serves all but the HEAD."""
    pool = site.pool()
    empty = await site.send(pool, "/empty")
    assert (empty.status_code, empty.content) == (204, b"")
    assert (await site.send(pool, "/chunked", "您好".encode())).text == "您好"
    assert (await site.send(pool, "/echo", method="GET")).content == b""
    assert (await site.send(pool, "/echo", method="HEAD")).status_code == 200
    assert pool.statistics().opened == 1
    await pool.aclose()


async def test_large_bodies_go_both_ways(site: Site) -> None:
    """Three megabytes to the server and back."""
    pool = site.pool()
    body = os.urandom(3_000_000)
    assert (await site.send(pool, "/echo", body)).content == body
    await pool.aclose()


async def test_a_connection_that_either_side_ends_is_replaced(site: Site) -> None:
    """The server honours `Connection: close`, and so does the pool."""
    pool = site.pool()
    for _ in range(2):
        request = httpx.Request(
            "POST",
            f"{site.url}/echo",
            content=b"ok",
            headers={"Connection": "close"},
            extensions=TIMEOUT,
        )
        response = await pool.handle_async_request(request)
        assert await response.aread() == b"ok"
    assert pool.statistics().opened == 2
    await pool.aclose()
