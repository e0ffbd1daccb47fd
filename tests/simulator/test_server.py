"""The simulator over real sockets: TLS, broken connections, and how serving ends."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice.simulator import Fault, Simulator, server
from ihuyi_voice.simulator.server import serving
from tests.simulator.conftest import CONTENT, MOBILE, dial
from tests.support.servers import Certificate, make_certificate

VENDOR = "http://vendor.test/webservice/voice.php"
FORM = {
    "account": "VM00000000",
    "password": "simulator-key",
    "mobile": MOBILE,
    "content": CONTENT,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Issue a certificate for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def tls(certificate: Certificate) -> dict[str, Any]:
    """Return the options of `serve` for https."""
    return {"ssl_certfile": str(certificate.chain), "ssl_keyfile": str(certificate.key)}


async def submit(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Make one submission."""
    return await client.post(f"{url}?method=Submit", data=FORM)


async def test_https_is_spoken_with_a_certificate(certificate: Certificate) -> None:
    """The address says so; who doesn't trust the certificate gets nothing."""
    simulator = Simulator(limits=())
    async with simulator.serve(**tls(certificate)) as url:
        assert url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=certificate.trust) as client:
            assert "<code>2</code>" in (await submit(client, url)).text
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await submit(client, url)
    assert simulator.codes == {2: 1}


@pytest.mark.parametrize("kind", ["disconnect_before", "disconnect_after"])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_broken_connection_is_no_fault_of_the_app(
    certificate: Certificate, caplog: pytest.LogCaptureFixture, kind: str, *, secure: bool
) -> None:
    """The server logs nothing of it, and serves on; the client sees the end, and no reply."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault(kind, times=3))
    caplog.set_level(logging.WARNING)
    async with (
        simulator.serve(**(tls(certificate) if secure else {})) as url,
        httpx.AsyncClient(verify=certificate.trust) as client,
    ):
        for _ in range(3):
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await submit(client, url)
        assert "<code>2</code>" in (await submit(client, url)).text
    assert not caplog.records


async def test_silence_ends_with_the_server_over_tls_too(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """At once: not after the seconds that requests in flight get."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault("silence"))
    caplog.set_level(logging.WARNING)
    async with httpx.AsyncClient(verify=certificate.trust) as client:
        async with simulator.serve(**tls(certificate)) as url:
            waiting = asyncio.create_task(submit(client, url))
            await simulator.arrived()
        with pytest.raises(httpx.TransportError):
            await waiting
    assert not caplog.records


async def test_silence_in_process_lasts_until_the_caller_gives_up() -> None:
    """The vendor has acted; nothing is left behind, and the next request is served."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault("silence", times=1))
    before = asyncio.all_tasks()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as client:
        waiting = asyncio.create_task(submit(client, VENDOR))
        await simulator.arrived()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert "<code>2</code>" in (await submit(client, VENDOR)).text
    assert [arrival.processed for arrival in simulator.arrivals] == [True, True]
    assert asyncio.all_tasks() == before


class Slow:
    """An app that answers when it is let go."""

    def __init__(self) -> None:
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        """Answer one request, in time."""
        await receive()
        self.asked.set()
        await self.free.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})


async def test_a_request_in_flight_is_answered_when_serving_ends() -> None:
    """The server waits for it, and takes no new connection meanwhile."""
    slow = Slow()
    async with httpx.AsyncClient() as client:
        stop = asyncio.Event()

        async def serve(address: "asyncio.Future[str]") -> None:
            async with serving(slow) as url:
                address.set_result(url)
                await stop.wait()

        address = asyncio.get_running_loop().create_future()
        ending = asyncio.create_task(serve(address))
        asking = asyncio.create_task(client.get(await address))
        await slow.asked.wait()
        stop.set()
        await _refused(await address)
        assert not ending.done()
        slow.free.set()
        assert (await asking).content == b"whole"
        async with asyncio.timeout(30.0):
            await ending


async def _refused(url: str) -> None:
    """Return once nobody listens there any more."""
    async with asyncio.timeout(30.0):
        while True:
            try:
                await (await dial(url)).close()
            except OSError:
                return


async def test_serving_ends_at_once_where_nothing_is_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It sleeps for no time at all, though a client keeps its connection."""
    slept, sleep = list[float](), asyncio.sleep

    async def sleeping(delay: float) -> None:
        slept.append(delay)
        await sleep(delay)

    async with httpx.AsyncClient() as client:
        async with Simulator(limits=()).serve() as url:
            await submit(client, url)
            monkeypatch.setattr(asyncio, "sleep", sleeping)
        monkeypatch.undo()
    assert not any(slept)


async def test_a_request_that_outlasts_the_last_words_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Serving ends all the same, and leaves no task behind."""
    monkeypatch.setattr(server, "_LAST_WORDS", 0)
    slow, before = Slow(), asyncio.all_tasks()
    async with httpx.AsyncClient() as client:
        async with serving(slow) as url:
            asking = asyncio.create_task(client.get(url))
            await slow.asked.wait()
        assert (await asking).status_code == 500
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("missing", ["certificate", "key"])
async def test_a_certificate_that_is_not_there_is_an_error_at_once(
    certificate: Certificate, tmp_path: Path, missing: str
) -> None:
    """Nothing is served, nothing is left behind, and the simulator can be served afterwards."""
    simulator, before = Simulator(limits=()), asyncio.all_tasks()
    options = tls(certificate)
    options["ssl_certfile" if missing == "certificate" else "ssl_keyfile"] = str(tmp_path / "no")
    served = False
    with pytest.raises(FileNotFoundError):
        async with simulator.serve(**options):
            served = True
    assert not served
    assert asyncio.all_tasks() == before
    async with simulator.serve() as url, httpx.AsyncClient() as client:
        assert (await submit(client, url)).status_code == 200


async def test_a_file_that_is_no_certificate_is_an_error_at_once(tmp_path: Path) -> None:
    """As the ssl module tells it."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        async with Simulator().serve(ssl_certfile=str(nonsense)):
            pass


async def test_pushes_go_over_tls_only_to_whom_the_machine_trusts(
    certificate: Certificate,
) -> None:
    """Not to a receiver whose certificate nobody vouches for: the vendor would not either."""
    heard: list[str] = []

    async def ear(scope: Any, _: Any, send: Any) -> None:
        heard.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"success"})

    simulator = Simulator(report_delay=0.0, limits=())
    address = serving(ear, certfile=str(certificate.chain), keyfile=str(certificate.key))
    async with address as receiver, simulator.serve() as url, httpx.AsyncClient() as client:
        simulator.push_to = f"{receiver}/x"
        await submit(client, url)
        await simulator.pushed()
    assert not heard
    assert not simulator.pushes[0].acknowledged


async def test_stopping_in_the_middle_of_serving_leaves_nothing_behind() -> None:
    """A program that is interrupted while it serves."""
    simulator, before = Simulator(), asyncio.all_tasks()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with simulator.serve() as url:
            started.set_result(url)
            await asyncio.Event().wait()

    running = asyncio.create_task(serve())
    url = await started
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        await dial(url)


async def test_an_address_of_ipv6_has_its_brackets() -> None:
    """So that it is an address that clients take."""
    simulator = Simulator()
    async with simulator.serve("::1") as url, httpx.AsyncClient(trust_env=False) as client:
        assert url.startswith("http://[::1]:")
        assert "<code>" in (await submit(client, url)).text
