"""One address, two methods: whatever else is asked for isn't there, so that a typo fails a test."""

from typing import Any

import httpx
import pytest

from ihuyi_voice.simulator import Fault, Simulator
from tests.simulator.conftest import FORM, SUBMIT, TARGET, URLENCODED, exchange, get, post

FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "path",
    ["/", "/voice.php", "/webservice/", "/webservice/voice.php/", "/webservice/Voice.php",
     "/webservice/sms.php", "/webservice/voice.php/Submit", "//webservice/voice.php",
     "/vm/Submit.json"],
)  # fmt: skip
async def test_another_path_is_not_found(simulator: Simulator, url: str, path: str) -> None:
    """404 for GET and POST alike; nothing is recorded, and no fault strikes."""
    fault = simulator.add_fault(Fault("disconnect_before"))
    query = f"method=Submit&{FORM}"
    assert (await exchange(url, get(f"{path}?{query}"))).status == 404
    form = post(f"{path}?method=Submit", FORM.encode(), URLENCODED)
    assert (await exchange(url, form)).status == 404
    assert not simulator.arrivals
    assert fault.seen == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_http_method_is_not_allowed(
    simulator: Simulator, url: str, method: str
) -> None:
    """405, and it says which ones are (section 1.3: GET / POST)."""
    reply = await exchange(url, get(f"{SUBMIT}&{FORM}").replace(b"GET", method.encode(), 1))
    assert reply.status == 405
    assert b"\r\nallow: get, post\r\n" in reply.head.lower()
    assert not simulator.arrivals


async def test_head_is_not_allowed_either(simulator: Simulator) -> None:
    """Nobody's phone rings because a monitor looks whether the vendor is there."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as client:
        reply = await client.head(f"http://vendor.test{SUBMIT}")
    assert reply.status_code == 405
    assert not simulator.arrivals


@pytest.mark.parametrize("query", ["?method=Nothing", "?method=submit", "?method=", ""])
async def test_an_unknown_method_is_no_operation(
    simulator: Simulator, url: str, query: str
) -> None:
    """404, and nothing is recorded."""
    assert (await exchange(url, get(f"{TARGET}{query}"))).status == 404
    assert not simulator.arrivals


async def test_a_connection_survives_what_is_not_there(simulator: Simulator, url: str) -> None:
    """The next request on it is served, bodies included."""
    async with httpx.AsyncClient() as client:
        for path, status in (("/nowhere", 404), (TARGET, 200), ("/nowhere", 404), (TARGET, 200)):
            address = url.replace(TARGET, path)
            body = f"method=Submit&{FORM}"
            reply = await client.post(address, content=body, headers=FORM_TYPE)
            assert reply.status_code == status
    assert simulator.codes == {2: 2}


async def test_the_address_that_is_served_is_the_vendors_path() -> None:
    """Whole, as a client wants it."""
    async with Simulator().serve() as url:
        assert httpx.URL(url).path == TARGET


async def test_it_may_be_mounted_below_another_application(simulator: Simulator) -> None:
    """Whose path isn't the vendor's."""
    transport = httpx.ASGITransport(app=simulator, root_path="/vendor")
    async with httpx.AsyncClient(transport=transport) as client:
        address = f"http://vendor.test/vendor{SUBMIT}"
        reply = await client.post(address, content=FORM, headers=FORM_TYPE)
    assert "<code>2</code>" in reply.text


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_only_http_is_spoken(kind: str) -> None:
    """Lifespan and websockets are declined as ASGI asks."""

    async def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match=f"HTTP only, not {kind}"):
        await Simulator()({"type": kind}, never, never)
