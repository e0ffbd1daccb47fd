"""A client opens on first use, closes once, and belongs to one event loop."""

import asyncio
import inspect
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from ihuyi_voice import InvalidRequest, VoiceClient
from ihuyi_voice.calls import ClientOptions
from ihuyi_voice.simulator import Simulator
from tests.support.guards import Misbehaving
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, in_process
from tests.support.virtual_time import VirtualLoop, loop_time, run_virtual


async def test_a_client_works_without_a_with_block() -> None:
    """It opens on first use, and aclose may be called twice."""
    simulator = Simulator()
    async with simulator.serve() as url:
        client = VoiceClient(simulator.account, simulator.api_key, base_url=url)
        assert (await client.submit(MOBILE, CONTENT)).voice_id
        await client.aclose()
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.balance()


async def test_closing_a_client_that_was_never_used_is_harmless() -> None:
    """Nothing was opened."""
    await VoiceClient("a", "k").aclose()


def test_another_event_loop_is_a_clear_error() -> None:
    """One client for each loop."""
    client = VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php")

    async def enter() -> None:
        await client.__aenter__()

    asyncio.run(enter())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(enter())


def test_closing_in_another_event_loop_changes_nothing_where_it_belongs() -> None:
    """What it is about to tell its guard goes on there, and nobody waits for it in vain."""
    guard = Misbehaving("commit", "is slow")

    async def close(client: VoiceClient) -> float:
        with pytest.raises(RuntimeError, match="another event loop"):
            await client.aclose()
        return loop_time()

    with asyncio.Runner(loop_factory=VirtualLoop) as here:
        client = in_process(Simulator(clock=loop_time), guard=guard)
        call = here.get_loop().create_task(client.submit(MOBILE, CONTENT))
        here.run(guard.begun.wait())
        assert run_virtual(close(client)) == 1_000.0
        assert here.run(asyncio.wait_for(call, None)).voice_id
        here.run(client.aclose())
    assert guard.settled == ["commit"]


def test_the_environment_makes_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Account, key and address; options may be given beside it."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM1")
    monkeypatch.setenv("IHUYI_API_KEY", "secret-key")
    monkeypatch.setenv("IHUYI_BASE_URL", BASE_URL)
    client = VoiceClient.from_env(max_connections=7)
    assert repr(client) == f"VoiceClient('VM1', base_url={BASE_URL!r})"
    assert client.account == "VM1"


@pytest.mark.parametrize(("value", "meant"), [(f" {BASE_URL}\r\n", BASE_URL), (" \n", None)])
def test_an_address_of_the_environment_may_have_a_line_end(
    monkeypatch: pytest.MonkeyPatch, value: str, meant: str | None
) -> None:
    """As account and key may, of files that hold one of them each; blanks are no address."""
    monkeypatch.setenv("IHUYI_BASE_URL", value)
    client = VoiceClient.from_env(account="VM1", api_key="k")
    assert repr(client) == repr(VoiceClient("VM1", "k", base_url=meant))


@pytest.mark.parametrize("blank", [True, False])
@pytest.mark.parametrize("missing", ["IHUYI_ACCOUNT", "IHUYI_API_KEY"])
def test_a_missing_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, *, blank: bool
) -> None:
    """Before anything is sent, whether it is not set or has nothing in it."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM1")
    monkeypatch.setenv("IHUYI_API_KEY", "k")
    if blank:
        monkeypatch.setenv(missing, " ")
    else:
        monkeypatch.delenv(missing)
    with pytest.raises(InvalidRequest, match=missing) as caught:
        VoiceClient.from_env()
    assert caught.value.field == missing


async def test_a_proxy_is_used_by_option_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the proxy with the vendor's whole address."""
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        body = b'{"code":2,"num":"5"}'
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with VoiceClient("a", "k", base_url=BASE_URL, proxy=address) as client:
            assert await client.balance() == 5
        monkeypatch.setenv("http_proxy", address)
        async with VoiceClient("a", "k", base_url=BASE_URL) as client:
            assert await client.balance() == 5
    assert asked == [b"POST http://vendor.test/webservice/voice.php?method=GetNum HTTP/1.1\r\n"] * 2


async def test_a_timeout_may_be_seconds_or_an_httpx_timeout() -> None:
    """Both forms are taken, and the injected client's own is left alone by default."""
    seen: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, content=b'{"code":2,"num":"5"}')

    for timeout in (None, 3.0, httpx.Timeout(4.0, pool=1.0)):
        transport = httpx.MockTransport(reply)
        async with httpx.AsyncClient(transport=transport, timeout=9.0) as http_client:
            client = VoiceClient(
                "a", "k", base_url=BASE_URL, http_client=http_client, timeout=timeout
            )
            await client.balance()
    assert [(each["read"], each["pool"]) for each in seen] == [(9.0, 9.0), (3.0, 3.0), (4.0, 1.0)]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_parameters_of_an_injected_client_stand_beside_ours(method: Any) -> None:
    """Alone, httpx would put them in the place of the whole query."""

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.url.params))
        return httpx.Response(200, content=b'{"code":2,"num":"5"}')

    seen: list[dict[str, str]] = []
    options: dict[str, Any] = {"transport": httpx.MockTransport(reply), "params": {"rd": "1 & 2"}}
    async with httpx.AsyncClient(**options) as http_client:
        client = VoiceClient("a", "k", base_url=BASE_URL, http_client=http_client, method=method)
        await client.balance()
    assert seen[0]["rd"] == "1 & 2"
    assert seen[0]["method"] == "GetNum"
    assert ("account" in seen[0]) is (method == "GET")


_FORKED = """
import asyncio, os
from ihuyi_voice import VoiceClient
client = VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php")
asyncio.run(client.__aenter__())
if os.fork() == 0:
    try:
        asyncio.run(client.balance())
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_after_a_fork_is_told_so() -> None:
    """The connections are its parent's."""
    done = subprocess.run(  # noqa: S603 - the script above
        [sys.executable, "-c", _FORKED], capture_output=True, text=True, check=False, timeout=60
    )
    assert "belongs to another event loop" in done.stdout, done.stderr


def test_outside_of_asyncio_it_says_so() -> None:
    """There is no running event loop, as under trio."""
    client = VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php")
    balance = client.balance()
    with pytest.raises(RuntimeError, match="no running event loop"):
        balance.send(None)


def test_the_shared_client_is_there_before_any_loop() -> None:
    """Hooks can be added where the client is made, and it is the same one later."""
    client = VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php")
    assert isinstance(client.http_client, httpx.AsyncClient)
    assert client.http_client is client.http_client


def test_from_env_takes_each_option_of_the_class() -> None:
    """A new one is typed there as well."""
    given = set(inspect.signature(VoiceClient.__init__).parameters) - {"self"}
    assert set(ClientOptions.__annotations__) == given


def test_what_is_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Account, key and address; and without them, the environment needs to have nothing."""
    for name in ("IHUYI_ACCOUNT", "IHUYI_API_KEY", "IHUYI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    client = VoiceClient.from_env(account="VM1", api_key="key", base_url="http://else.test/v.php")
    assert client.account == "VM1"
    assert "http://else.test/v.php" in repr(client)


def test_no_frame_shows_a_key_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """When another option is refused."""
    with pytest.raises(InvalidRequest) as caught:
        VoiceClient.from_env(account="VM1", api_key="very-secret", max_connections=0)
    traceback = caught.value.__traceback__
    while traceback is not None:
        if "ihuyi_voice" in traceback.tb_frame.f_code.co_filename:
            assert "very-secret" not in str(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
