"""How the shop is tested: with what `ihuyi_voice.testing` gives everybody, and nothing else."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from fastapi import Request
from fastapi.testclient import TestClient

from ihuyi_voice import (
    Action,
    InvalidRequest,
    Operation,
    OutcomeUnknown,
    VendorError,
    VoiceError,
)
from ihuyi_voice.simulator import Fault
from ihuyi_voice.testing import ServedSimulator, SharedClock, drop_after_send, reject

from .app import create_app, tell

VENDOR = "https://api.vm.ihuyi.com/webservice/voice.php"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shop keeps its files, and the secret of its pushes."""
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", "s3cret")


@pytest.fixture
def web(ihuyi_simulator: ServedSimulator, settings: None) -> Iterator[TestClient]:
    """The shop; it finds the simulator by its environment, and the simulator pushes to it."""
    with TestClient(create_app()) as web:
        ihuyi_simulator.pushes_to(web, "/ihuyi/s3cret")
        yield web


def order(web: TestClient, mobile: str = "13900000000") -> str:
    """Order something, and return the order's address."""
    return f"/orders/{web.post('/orders', json={'mobile': mobile}).json()['number']}"


def test_a_shipped_order_rings_once(web: TestClient, ihuyi_simulator: ServedSimulator) -> None:
    """However often it is asked."""
    address = order(web)
    first, again = (web.post(f"{address}/shipped") for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["voice_id"] == again.json()["voice_id"]
    assert ihuyi_simulator.rung().total() == 1


@pytest.mark.ihuyi(results=-6)
def test_the_shop_knows_how_the_call_ended(
    web: TestClient, ihuyi_simulator: ServedSimulator, ihuyi_clock: SharedClock
) -> None:
    """A second later the vendor pushes that nobody answered."""
    address = order(web)
    web.post(f"{address}/shipped")
    assert web.get(address).json()["report"] is None
    ihuyi_clock.advance(1)
    ihuyi_simulator.wait_pushed()
    assert web.get(address).json()["report"]["status"] == "no_answer"


def test_a_mistyped_number_is_422(web: TestClient, ihuyi_simulator: ServedSimulator) -> None:
    """And costs no request."""
    answer = web.post(f"{order(web, '1390000')}/shipped")
    assert answer.status_code == 422
    assert answer.json()["error"] == "InvalidRequest"
    assert not ihuyi_simulator.arrivals


@pytest.mark.ihuyi(balance=0)
def test_an_empty_balance_is_503(web: TestClient) -> None:
    """Nothing that our caller could mend: 4051."""
    answer = web.post(f"{order(web)}/shipped")
    assert answer.status_code == 503
    assert answer.json()["code"] == 4051


@pytest.mark.ihuyi(templates=["您的包裹【变量】已签收。"])
def test_what_follows_no_template_is_422(web: TestClient) -> None:
    """The vendor's 4072 asks to mend the request."""
    answer = web.post(f"{order(web)}/shipped")
    assert (answer.status_code, answer.json()["code"]) == (422, 4072)


def test_a_lost_reply_is_202_and_its_report_settles_it(
    web: TestClient, ihuyi_simulator: ServedSimulator
) -> None:
    """Nobody knows whether it rings, so it is not sent again; the vendor's push tells."""
    ihuyi_simulator.add_fault(Fault("disconnect_after", times=1))
    address = order(web)
    assert web.post(f"{address}/shipped").status_code == 202
    assert web.post(f"{address}/shipped").status_code == 202
    ihuyi_simulator.deliver_now()
    answers = (web.post(f"{address}/shipped") for _ in range(1_000))
    assert any(answer.status_code == 200 for answer in answers)
    assert web.get(address, params={"wait": 5}).json()["report"]["answered"] is True
    assert ihuyi_simulator.rung().total() == 1


def test_a_busy_number_is_503_and_says_when(
    web: TestClient, ihuyi_simulator: ServedSimulator, ihuyi_clock: SharedClock
) -> None:
    """Ten calls a day: the eleventh order of one number has to wait until tomorrow."""
    for _ in range(10):
        assert web.post(f"{order(web)}/shipped").status_code == 200
        ihuyi_clock.advance(60)
    address = order(web)
    held = web.post(f"{address}/shipped")
    assert held.status_code == 503
    when = parsedate_to_datetime(held.headers["Retry-After"])
    assert when.timestamp() > ihuyi_clock() + 80_000
    ihuyi_clock.advance(86_400)
    assert web.post(f"{address}/shipped").status_code == 200


def kinds(of: type[VoiceError] = VoiceError) -> Iterator[type[VoiceError]]:
    """Yield every kind of error that a call may end in."""
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds()], ids=lambda kind: kind.__name__)
async def test_no_error_of_a_call_is_500(kind: type[VoiceError]) -> None:
    """422 for what the caller can mend, 202 for what may ring, 503 for all else."""
    vendors: Any = (4086, "x", Operation.SUBMIT, Action.WAIT)
    error = kind(*vendors) if issubclass(kind, VendorError) else kind("x")
    answer = await tell(Request({"type": "http"}), error)
    mends, rings = issubclass(kind, InvalidRequest), issubclass(kind, OutcomeUnknown)
    assert answer.status_code == (422 if mends else 202 if rings else 503)


@pytest.mark.parametrize("path", [f"/orders/{2**63}", "/orders/1?wait=nan", "/orders/1?wait=-1"])
def test_what_makes_no_sense_is_422(web: TestClient, path: str) -> None:
    """Also what no database can hold."""
    order(web)
    assert web.get(path).status_code == 422


@pytest.mark.parametrize(
    ("reaction", "status"), [(reject(4030), 422), (reject(408), 503), (drop_after_send(), 202)]
)
def test_a_mock_will_do_as_well(
    settings: None, monkeypatch: pytest.MonkeyPatch, reaction: object, status: int
) -> None:
    """At the vendor's own address, which nothing reaches while the plugin is loaded."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM12345678")
    monkeypatch.setenv("IHUYI_API_KEY", "api-key")
    with respx.mock, TestClient(create_app()) as web:
        respx.post(VENDOR).mock(side_effect=reaction)  # type: ignore[arg-type]
        assert web.post(f"{order(web)}/shipped").status_code == status


async def test_the_shop_is_tested_asynchronously_as_well(
    ihuyi_simulator: ServedSimulator, settings: None
) -> None:
    """In the loop of the test, without a thread."""
    app = create_app()
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop.test") as web,
    ):
        ihuyi_simulator.pushes_to(app, "/ihuyi/s3cret")
        number = (await web.post("/orders", json={"mobile": "13900000000"})).json()["number"]
        await web.post(f"/orders/{number}/shipped")
        await ihuyi_simulator.deliver()
        told = (await web.get(f"/orders/{number}?wait=5")).json()
    assert told["report"]["answered"] is True
