"""What the page on migration says of requests and of easy-sms, held beside the real thing."""

import logging
from typing import Any

import pytest

from ihuyi_voice import NotSent, OutcomeUnknown, RetryPolicy, VoiceClient, VoiceError
from ihuyi_voice.simulator import Fault, Simulator
from tests.docs.examples import PAGES, examples
from tests.support.servers import free_port

requests: Any = pytest.importorskip("requests", reason="requests isn't installed")

MOBILE, CONTENT = "13900000000", "您的订单号是：9633。"
EXAMPLES = examples(*PAGES, language="python")
ONCE = RetryPolicy(attempts=1)


def posted(url: str, *, retries: object = 0, method: str = "POST") -> object:
    """Do what the page's first block does, in JSON, and return the reply or the error."""
    form = {"account": "VM12345678", "password": "api-key", "mobile": MOBILE, "content": CONTENT}
    form["format"] = "json"
    fields = {"data" if method == "POST" else "params": form}
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        try:
            with session.request(method, f"{url}?method=Submit", timeout=0.2, **fields) as reply:
                reply.raise_for_status()
                return reply.json()
        except requests.RequestException as error:
            return error


async def ours(**options: Any) -> VoiceError:
    """Do the same with this SDK, and return the error."""
    async with VoiceClient.from_env(timeout=0.2, retry=ONCE, **options) as client:
        with pytest.raises(VoiceError) as caught:
            await client.submit(MOBILE, CONTENT)
    return caught.value


async def test_a_port_where_nobody_listens_is_a_connection_error_there_and_not_sent_here(
    vendor: Simulator,
) -> None:
    """The one row in which sending again is safe."""
    url = f"http://127.0.0.1:{free_port()}/webservice/voice.php"
    assert isinstance(posted(url), requests.ConnectionError)
    assert isinstance(await ours(base_url=url), NotSent)
    assert not vendor.arrivals


@pytest.mark.parametrize(
    ("fault", "theirs"),
    [
        (Fault("disconnect_after"), "ConnectionError"),
        (Fault("latency", seconds=0.4), "ReadTimeout"),
        (Fault("status", status=502), "HTTPError"),
        (Fault("unreadable"), "JSONDecodeError"),
    ],
    ids=lambda value: str(getattr(value, "kind", value)),
)
async def test_what_the_vendor_took_and_nobody_heard_is_unknown(
    fault: Fault, theirs: str, vendor: Simulator, vendor_url: str
) -> None:
    """The errors of requests that the page warns of; one has the class of a refused connection."""
    vendor.add_fault(fault)
    assert type(posted(vendor_url)).__name__ == theirs
    assert isinstance(await ours(), OutcomeUnknown)
    assert vendor.rung().total() == 2


@pytest.mark.parametrize(("method", "allowed"), [("POST", None), ("GET", frozenset({"GET"}))])
def test_its_retries_ring_again_for_each_lost_reply(
    method: str, allowed: Any, vendor: Simulator, vendor_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Three retries, and one phone has rung four times."""
    caplog.set_level(logging.CRITICAL, "urllib3")  # it writes the key of a GET into its log
    vendor.add_fault(Fault("disconnect_after"))
    retries = requests.adapters.Retry(3, allowed_methods=allowed)
    posted(vendor_url, retries=retries, method=method)
    assert vendor.rung()[MOBILE, CONTENT] == 4


async def test_the_next_channel_is_used_only_where_no_phone_can_ring(vendor: Simulator) -> None:
    """A lost reply is left to the report; a refusal goes the other way."""
    call_or_text = next(each for each in EXAMPLES if "call_or_text" in each.code).execute()
    texted: list[str] = []

    async def text(mobile: str, _: str) -> None:
        texted.append(mobile)

    vendor.add_fault(Fault("disconnect_after", mobile=MOBILE))
    vendor.add_fault(Fault("code", code=4030, mobile="13911111111"))
    async with VoiceClient.from_env() as client:
        for mobile in (MOBILE, "13911111111", "1390000"):
            await call_or_text.call_or_text(client, mobile, CONTENT, text)
    assert texted == ["13911111111", "1390000"]
    assert vendor.rung()[MOBILE, CONTENT] == 1


def test_the_synchronous_example_calls(
    vendor: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a thread without a loop, and says the id."""
    next(each for each in EXAMPLES if "start_blocking_portal" in each.code).execute()
    assert capsys.readouterr().out.strip().isdigit()
    assert vendor.rung().total() == 1
