"""No request reaches the vendor's real hosts where that is forbidden, whatever was forgotten."""

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import respx
from aiohttp.abc import AbstractResolver

from ihuyi_voice import VoiceClient
from ihuyi_voice.common import network
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.testing import NetworkForbidden, accept
from tests.support.proxies import running
from tests.support.vendor import CONTENT, MOBILE
from tests.testing.projects import python, ran

REAL = "https://api.vm.ihuyi.com/webservice/voice.php"


@pytest.fixture(autouse=True)
def forbidden() -> Iterator[None]:
    """As while the plugin is loaded."""
    network.forbid()
    yield
    network.allow()


async def test_a_client_that_nobody_gave_an_address_is_told() -> None:
    """As a programming error: it is no outcome, and no retry makes it one."""
    async with VoiceClient("VM1", "api-key") as client:
        with pytest.raises(NetworkForbidden, match=r"api\.vm\.ihuyi\.com.*ihuyi_simulator"):
            await client.submit(MOBILE, CONTENT)
        with pytest.raises(NetworkForbidden):
            await client.balance()


async def test_a_run_ends_with_it() -> None:
    """Its outcomes are NOT_SENT, and the error comes out of the run."""
    async with VoiceClient("VM1", "api-key") as client:
        with pytest.raises(NetworkForbidden):
            async with client.submit_many([(MOBILE, CONTENT)]) as run:
                async for outcome in run:
                    assert outcome.status == "NOT_SENT"


@pytest.mark.parametrize("url", [REAL, REAL.replace("https", "http")])
async def test_no_proxy_is_asked_to_get_there(url: str) -> None:
    """Not by a tunnel, nor in the absolute form, by our pool or by httpx's own."""
    async with running() as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        async with VoiceClient("VM1", "key", base_url=url, proxy=address) as client:
            with pytest.raises(NetworkForbidden):
                await client.balance()
        async with httpx.AsyncClient(proxy=address) as http_client:
            client = VoiceClient("VM1", "key", base_url=url, http_client=http_client)
            network.stand_guard()
            with pytest.raises(NetworkForbidden):
                await client.balance()
        assert not proxy.heads


@pytest.mark.parametrize("url", [REAL, REAL.replace("https", "http")])
async def test_no_proxy_is_asked_by_other_clients(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the environment's or a client's own: it would look the name up itself, and get there."""
    async with running() as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(NetworkForbidden):
            await asyncio.to_thread(urllib.request.urlopen, url)
        with pytest.raises(NetworkForbidden):
            await asyncio.to_thread(requests.get, url, timeout=5)
        async with aiohttp.ClientSession() as web:
            with pytest.raises(NetworkForbidden):
                await web.get(url, proxy=address)
        assert not proxy.heads


async def test_who_looks_names_up_by_itself_is_told() -> None:
    """Aiohttp does with aiodns, and asks nothing of Python's sockets for it."""

    class Resolver(AbstractResolver):
        async def resolve(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("the name was looked up")

        async def close(self) -> None:
            """Nothing is held."""

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Resolver())) as web:
        with pytest.raises(NetworkForbidden):
            await web.get(REAL)


@pytest.mark.parametrize("name", ["api.vm.ｉｈｕｙｉ.com", "API。vm。ihuyi。com", "ihuyi.com."])
def test_a_name_is_known_in_any_form_that_is_looked_up(name: str) -> None:
    """Wide letters and dots mean the plain ones."""
    with pytest.raises(NetworkForbidden):
        network.check(name)
    with pytest.raises(NetworkForbidden):
        socket.getaddrinfo(name, 80)


@pytest.mark.parametrize("url", [REAL, "http://106.ihuyi.com/", "https://API.ihuyi.cn./vm"])
async def test_whoever_asks_is_told(url: str) -> None:
    """httpx, its fork, its synchronous client, urllib, and a plain socket."""
    async with httpx.AsyncClient() as web:
        with pytest.raises(NetworkForbidden):
            await web.get(url)
    async with httpx2.AsyncClient() as fork:
        with pytest.raises(NetworkForbidden):
            await fork.get(url)
    with httpx.Client() as sync, pytest.raises(NetworkForbidden):
        sync.get(url)  # noqa: ASYNC212 - it is refused
    with pytest.raises(NetworkForbidden):
        urllib.request.urlopen(url)  # noqa: S310, ASYNC210 - it is refused
    host = httpx.URL(url).host
    with socket.socket() as plain, pytest.raises(NetworkForbidden):
        plain.connect((host, 443))
    with pytest.raises(NetworkForbidden):
        await asyncio.open_connection(host, 443)


ON_UVLOOP = """
import asyncio, aiohttp, httpx, uvloop
from ihuyi_voice import VoiceClient
from ihuyi_voice.common import network

async def asked(what):
    try:
        await what
    except Exception as error:
        return type(error).__name__

async def main():
    url, host = "https://api.vm.ihuyi.com/", "api.vm.ihuyi.com"
    async with httpx.AsyncClient() as web, aiohttp.ClientSession() as session:
        print(
            await asked(VoiceClient("VM1", "api-key").balance()),
            await asked(web.get(url)),
            await asked(session.get(url)),
            await asked(asyncio.open_connection(host, 443)),
        )

network.forbid()
uvloop.run(main())
"""


@pytest.mark.slow
def test_a_loop_that_resolves_names_by_itself_is_watched_too(tmp_path: Path) -> None:
    """That of uvloop doesn't ask Python's socket module."""
    done = python(tmp_path, "-c", ON_UVLOOP)
    assert done.stdout.split() == ["NetworkForbidden"] * 4, done.stderr


@pytest.mark.parametrize(
    "host", ["localhost", "ihuyi.com.example", "notihuyi.com", b"127.0.0.1", None, 5]
)
def test_other_hosts_are_let_pass(host: Any) -> None:
    """It forbids the vendor's, and nothing else."""
    network.check(host)


async def test_mocks_answer_as_ever() -> None:
    """At the vendor's own address: what a mock answers goes nowhere."""
    with respx.mock:
        respx.post(REAL).mock(side_effect=accept("77"))
        async with VoiceClient("VM1", "api-key") as client:
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
    simulator = Simulator("VM1", "api-key")
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(transport=transport) as http_client:
        client = VoiceClient("VM1", "api-key", http_client=http_client)
        assert await client.balance() == simulator.balance


async def test_what_a_mock_lets_pass_is_told() -> None:
    """The mock stands before the pool, and the pool before the network."""
    with respx.mock(assert_all_called=False) as router:
        router.route(host="api.vm.ihuyi.com").pass_through()
        async with VoiceClient("VM1", "api-key") as client:
            with pytest.raises(NetworkForbidden):
                await client.submit(MOBILE, CONTENT)


def test_after_the_last_who_forbade_it_everything_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Functions are the originals again, and a second holder keeps them."""
    monkeypatch.delenv(network.VARIABLE, raising=False)
    holders = 0
    while network.is_forbidden():
        network.allow()
        holders += 1
    original = socket.getaddrinfo
    assert "ihuyi" not in original.__code__.co_filename
    network.forbid()
    network.forbid()
    network.allow()
    assert socket.getaddrinfo is not original
    network.allow()
    assert socket.getaddrinfo is original
    network.check("api.vm.ihuyi.com")
    for _ in range(holders):
        network.forbid()


def test_who_came_around_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another patch on top of ours is not taken away; ours lets all pass beneath it."""
    monkeypatch.delenv(network.VARIABLE, raising=False)
    holders = 0
    while network.is_forbidden():
        network.allow()
        holders += 1
    original = socket.gethostbyname
    network.forbid()

    def theirs(host: str) -> str:
        return ours(host)

    ours = socket.gethostbyname
    monkeypatch.setattr(socket, "gethostbyname", theirs)
    network.allow()
    assert socket.gethostbyname is theirs
    assert theirs("127.0.0.1") == "127.0.0.1"
    socket.gethostbyname = original
    for _ in range(holders):
        network.forbid()


FORGOTTEN = """
import httpx
import pytest
from ihuyi_voice import VoiceClient
from ihuyi_voice.testing import NetworkForbidden


async def test_a_client(ihuyi_simulator):
    async with VoiceClient("VM1", "api-key") as client:
        await client.submit("13900000000", "您好。")


def test_a_request_of_its_own():
    httpx.get("https://api.vm.ihuyi.com/webservice/voice.php")


def test_a_child(tmp_path):
    import subprocess, sys
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert "NetworkForbidden" in done.stderr


CHILD = '''
import asyncio
from ihuyi_voice import VoiceClient
asyncio.run(VoiceClient("VM1", "api-key").balance())
'''
"""


def test_the_plugin_forbids_it(tmp_path: Path) -> None:
    """To the tests' own process, fixtures or not, and to those that it starts."""
    done = ran(tmp_path, FORGOTTEN, "asyncio", options=("-o", "asyncio_mode=auto"))
    assert done.counts == {"passed": 1, "failed": 2}, done.output
    assert done.output.count("E           ihuyi_voice.common.network.NetworkForbidden") == 2


@pytest.mark.parametrize(("value", "forbids"), [("1", True), ("true", True), ("0", False)])
def test_the_variable_forbids_it_outside_of_pytest(
    monkeypatch: pytest.MonkeyPatch, value: str, *, forbids: bool
) -> None:
    """1, or another word than no."""
    monkeypatch.setattr(network._State, "holders", 0)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setenv(network.VARIABLE, value)
    assert network.is_forbidden() is forbids
    if forbids:
        with pytest.raises(NetworkForbidden, match=network.VARIABLE):
            network.check("api.vm.ihuyi.com")


@pytest.mark.slow
def test_a_program_of_its_own_is_told_by_the_variable(tmp_path: Path) -> None:
    """Also for a request that isn't ours, in a process that has imported us."""
    program = "import ihuyi_voice.client, httpx; httpx.get('http://106.ihuyi.com/')"
    environment = os.environ | {network.VARIABLE: "1"}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "NetworkForbidden: a request was about to go to 106.ihuyi.com" in done.stderr
