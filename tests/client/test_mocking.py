"""What people put around httpx works on the default client, and nothing leaves while it mocks."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import respx
import vcr  # type: ignore[import-untyped]
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_httpx import HTTPXMock
from respx.models import AllMockedAssertionError

from ihuyi_voice import NotSent, OutcomeUnknown, VoiceClient
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Simulator
from tests.support.vendor import BASE_URL, CONTENT, MOBILE, ONCE

REPLY = b'{"code":2,"msg":"","voiceid":"77"}'
USING = ["httpcore", "httpx"]


@pytest.fixture(autouse=True, params=[logging.DEBUG, logging.WARNING], ids=["logged", "quiet"])
def logs_of_httpx(request: pytest.FixtureRequest) -> Iterator[None]:
    """Requests take a shorter way where nobody reads httpx's log, as most programs have it."""
    log = logging.getLogger("httpx")
    before = log.level
    log.setLevel(request.param)
    yield
    log.setLevel(before)


def client_of(simulator: Simulator, url: str, **options: Any) -> VoiceClient:
    """Return a client that makes one attempt."""
    return VoiceClient(simulator.account, simulator.api_key, base_url=url, retry=ONCE, **options)


@pytest.fixture
async def simulator() -> Simulator:
    """A vendor that limits nothing, so that a test may call one number often."""
    simulator = Simulator()
    simulator.vendor.limits = ()
    return simulator


@pytest.fixture
async def url(simulator: Simulator) -> AsyncIterator[str]:
    """Its address."""
    async with simulator.serve() as address:
        yield address


@pytest.fixture
async def client(simulator: Simulator, url: str) -> AsyncIterator[VoiceClient]:
    """A default client of it, without a guard."""
    async with client_of(simulator, url, guard=None) as client:
        yield client


@pytest.fixture(params=["POST", "GET"])
def method(request: pytest.FixtureRequest) -> Any:
    """Both forms of requests."""
    return request.param


@pytest.mark.parametrize("using", USING)
async def test_respx_answers_in_place_of_the_vendor(
    simulator: Simulator, url: str, using: str, method: Any
) -> None:
    """It sees the request whole, and nothing goes out; afterwards the vendor is asked again."""
    async with client_of(simulator, url, method=method, guard=None) as client:
        with respx.mock(using=using) as router:
            route = router.request(method, url__startswith=url, params={"method": "Submit"})
            route.mock(return_value=httpx.Response(200, content=REPLY))
            assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
        sent = route.calls.last.request
        assert f"mobile={MOBILE}".encode() in sent.content + sent.url.query
        assert not simulator.arrivals
        assert (await client.submit(MOBILE, CONTENT)).voice_id != "77"
    assert len(simulator.arrivals) == 1


@pytest.mark.parametrize("using", USING)
async def test_respx_can_make_it_fail(
    client: VoiceClient, url: str, simulator: Simulator, using: str
) -> None:
    """A refused connection is not sent, a late reply is unknown."""
    for error, expected in ((httpx.ConnectError, NotSent), (httpx.ReadTimeout, OutcomeUnknown)):
        with respx.mock(using=using) as router:
            router.post(url__startswith=url).mock(side_effect=error)
            with pytest.raises(expected):
                await client.submit(MOBILE, CONTENT)
    assert not simulator.arrivals


@pytest.mark.parametrize("using", USING)
async def test_a_request_without_a_route_is_an_error_of_the_test(
    client: VoiceClient, simulator: Simulator, using: str
) -> None:
    """The AssertionError of respx comes out, and nothing goes out."""
    with respx.mock(using=using) as router:
        router.get("http://else.test/")
        with pytest.raises(AllMockedAssertionError):
            await client.submit(MOBILE, CONTENT)
        router.reset()
        router.routes.clear()
    assert not simulator.arrivals


@pytest.mark.parametrize("using", USING)
async def test_respx_can_let_a_request_pass(
    client: VoiceClient, simulator: Simulator, url: str, using: str
) -> None:
    """It goes through our pool then, once, and the route counts it."""
    with respx.mock(using=using, assert_all_called=True) as router:
        route = router.route(host="127.0.0.1").pass_through()
        assert (await client.submit(MOBILE, CONTENT)).voice_id.isdigit()
        assert route.call_count == 1
    assert len(simulator.arrivals) == 1
    assert client.http_client.pool.statistics().opened == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("using", USING)
async def test_where_nobody_listens_a_request_that_respx_lets_pass_is_not_sent(using: str) -> None:
    """The pool is believed again."""
    async with VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php", retry=ONCE) as client:
        with respx.mock(using=using) as router:
            router.route(host="127.0.0.1").pass_through()
            with pytest.raises(NotSent):
                await client.submit(MOBILE, CONTENT)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError, NotSent),
        (httpx.ConnectTimeout, NotSent),
        (httpx.PoolTimeout, NotSent),
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
        (OSError, OutcomeUnknown),
        (ValueError, ValueError),
        (FileNotFoundError, FileNotFoundError),
        (AssertionError, AssertionError),
    ],
)
async def test_respx_on_an_injected_client_takes_the_body_and_is_known_all_the_same(
    raised: type[Exception], expected: type[Exception]
) -> None:
    """What cannot have gone out by its meaning is not sent, what a test asserts is itself."""
    with respx.mock:
        respx.post(BASE_URL).mock(side_effect=raised("x"))
        async with httpx.AsyncClient() as http_client:
            client = VoiceClient("a", "key", base_url=BASE_URL, http_client=http_client, retry=ONCE)
            with pytest.raises(expected):
                await client.submit(MOBILE, CONTENT)


def answering_a_text(_: httpx.Request) -> Any:
    """Answer what is no reply."""
    return "reply"


def misspelling(request: Any) -> Any:
    """Ask a request for what it doesn't have."""
    return request.methd


WRONG: dict[str, tuple[Any, type[Exception]]] = {
    "a text for a reply": (answering_a_text, TypeError),
    "a misspelt attribute": (misspelling, AttributeError),
    "a key that is missing": (KeyError("mobile"), KeyError),
    "a canned reply that isn't there": (FileNotFoundError("reply.xml"), FileNotFoundError),
    "not written yet": (NotImplementedError("todo"), NotImplementedError),
}


@pytest.mark.parametrize("using", [*USING, "MockTransport"])
@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_mocks_own_failure_surfaces_as_itself(
    using: str, wrong: str, tmp_path: Path, *, injected: bool
) -> None:
    """No outcome of a call, of a keyed one, of a question, nor of a run's message."""
    effect, expected = WRONG[wrong]
    async with mocked(using, effect, injected=injected) as options:
        options |= {"retry": ONCE, "guard": None}
        async with (
            Ledger.open(tmp_path / "calls.db") as ledger,
            VoiceClient("a", "key", base_url=BASE_URL, ledger=ledger, **options) as client,
        ):
            for call in (
                lambda: client.submit(MOBILE, CONTENT),
                lambda: client.submit(MOBILE, CONTENT, key="order-1"),
                client.balance,
                lambda: all_of(client),
            ):
                with pytest.raises(expected):
                    await call()


async def all_of(client: VoiceClient) -> None:
    """Read a run to its end."""
    async with client.submit_many([(MOBILE, CONTENT)]) as run:
        async for outcome in run:
            assert outcome.status == "NOT_SENT"


@asynccontextmanager
async def mocked(using: str, effect: Any, *, injected: bool) -> AsyncGenerator[dict[str, Any]]:
    """Have a mock do something, and yield the options of a client that meets it."""
    if using == "MockTransport":
        handler: Any = raising(effect) if isinstance(effect, Exception) else effect
        transport = httpx.MockTransport(handler)
        async with httpx.AsyncClient(transport=transport) as http_client:
            yield {"http_client": http_client}
        return
    async with httpx.AsyncClient() as http_client:
        with respx.mock(using=using, assert_all_called=False) as router:
            router.post(url__startswith=BASE_URL).mock(side_effect=effect)
            yield {"http_client": http_client} if injected else {}


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    """Return a handler that raises."""

    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        raise error

    return handle


async def test_pytest_httpx_answers_in_place_of_the_vendor(
    httpx_mock: HTTPXMock, method: Any
) -> None:
    """On the default client; it can match by content."""
    options: dict[str, Any] = {"base_url": BASE_URL, "retry": ONCE, "method": method}
    httpx_mock.add_response(content=REPLY)
    async with VoiceClient("a", "key", **options) as client:
        assert (await client.submit(MOBILE, CONTENT)).voice_id == "77"
        request = httpx_mock.get_requests()[0]
        assert f"mobile={MOBILE}".encode() in request.content + request.url.query


@pytest.mark.parametrize("injected", [False, True])
async def test_pytest_httpx_can_make_it_fail(httpx_mock: HTTPXMock, *, injected: bool) -> None:
    """By what the exception means, on default and injected clients."""
    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if injected else {}
        async with VoiceClient("a", "key", base_url=BASE_URL, retry=ONCE, **options) as client:
            for error, expected in (
                (httpx.ConnectError("refused"), NotSent),
                (httpx.ReadTimeout("late"), OutcomeUnknown),
            ):
                httpx_mock.add_exception(error)
                with pytest.raises(expected):
                    await client.submit(MOBILE, CONTENT)


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
@pytest.mark.parametrize("injected", [False, True])
async def test_pytest_httpx_says_itself_that_there_is_no_route(
    httpx_mock: HTTPXMock, *, injected: bool
) -> None:
    """Its TimeoutException is an error of the test, not an outcome."""
    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if injected else {}
        async with VoiceClient("a", "key", base_url=BASE_URL, retry=ONCE, **options) as client:
            with pytest.raises(httpx.TimeoutException, match="No response can be found"):
                await client.submit(MOBILE, CONTENT)


def _is_elsewhere(request: httpx.Request) -> bool:
    return request.url.host != "127.0.0.1"


@pytest.mark.httpx_mock(should_mock=_is_elsewhere)
async def test_pytest_httpx_can_let_a_request_pass(
    httpx_mock: HTTPXMock, client: VoiceClient, simulator: Simulator
) -> None:
    """It goes through our pool then, and is observed as ever."""
    assert (await client.submit(MOBILE, CONTENT)).voice_id.isdigit()
    assert len(simulator.arrivals) == 1
    assert client.http_client.pool.statistics().opened == 1  # type: ignore[attr-defined]


async def test_vcr_records_once_and_replays_when_the_vendor_is_gone(
    simulator: Simulator, tmp_path: Path, method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The same voice_id comes from the cassette, without a server."""
    caplog.set_level(logging.WARNING, "vcr")  # it logs whole URLs
    recorder: Any = vcr.VCR(match_on=["method", "path"])
    cassette = str(tmp_path / "calls.yaml")
    async with simulator.serve() as url:
        with recorder.use_cassette(cassette):
            async with client_of(simulator, url, method=method) as client:
                recorded = (await client.submit(MOBILE, CONTENT)).voice_id
    assert len(simulator.arrivals) == 1
    with recorder.use_cassette(cassette, record_mode=vcr.mode.NONE):
        async with client_of(simulator, url, method=method, guard=None) as client:
            assert (await client.submit(MOBILE, CONTENT)).voice_id == recorded
            with pytest.raises(Exception, match=r"existing cassette|play back"):
                await client.submit(MOBILE, CONTENT)
    assert len(simulator.arrivals) == 1


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Where OpenTelemetry's spans end up."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    """What makes them."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


async def test_opentelemetry_sees_each_request_of_an_instrumented_process(
    client: VoiceClient, simulator: Simulator, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """One span a request, with the reply's status; then none, when it is taken away again."""
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        await client.submit(MOBILE, CONTENT)
        await client.balance()
    finally:
        instrumentor.uninstrument()
    await client.balance()
    assert [span.name for span in spans.get_finished_spans()] == ["POST", "POST"]
    assert len(simulator.arrivals) == 3
    assert client.http_client.pool.statistics().opened == 1  # type: ignore[attr-defined]


async def test_opentelemetry_sees_each_request_of_an_instrumented_client(
    client: VoiceClient, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """`instrument_client(client.http_client)` is enough."""
    HTTPXClientInstrumentor.instrument_client(client.http_client, tracer_provider=provider)
    await client.balance()
    HTTPXClientInstrumentor.uninstrument_client(client.http_client)
    await client.balance()
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.status_code"] == 200
    assert "password" not in str(span.attributes["http.url"])


async def test_a_hook_of_opentelemetry_that_fails_after_the_answer_harms_nothing(
    client: VoiceClient, simulator: Simulator, provider: TracerProvider
) -> None:
    """The answer was kept before the hook."""

    async def fail(*_: object) -> None:
        raise LookupError("the hook failed")

    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider, async_response_hook=fail)
    try:
        submission = await client.submit(MOBILE, CONTENT)
    finally:
        instrumentor.uninstrument()
    assert submission.voice_id.isdigit()
    assert len(simulator.arrivals) == 1


async def test_event_hooks_can_be_added_to_the_shared_client(client: VoiceClient) -> None:
    """They see the request with its body, and the reply, which they may read."""
    seen: list[Any] = []

    async def before(request: httpx.Request) -> None:
        seen.append(b"account=" in request.content and b"account=" in await request.aread())

    async def after(response: httpx.Response) -> None:
        seen.append(
            b"<code>2</code>" in await response.aread() and response.elapsed.total_seconds()
        )

    client.http_client.event_hooks["request"].append(before)
    client.http_client.event_hooks["response"].append(after)
    await client.balance()
    assert seen[0] is True
    assert seen[1] > 0


async def test_what_a_hook_writes_into_a_request_is_in_no_other(client: VoiceClient) -> None:
    """Headers and timeouts are shared among our requests, but not with hooks."""
    seen: list[tuple[str | None, float]] = []

    async def hook(request: httpx.Request) -> None:
        timeout = request.extensions["timeout"]
        seen.append((request.headers.get("x-once"), timeout["read"]))
        request.headers["x-once"], timeout["read"] = "1", 5.0

    client.http_client.event_hooks["request"].append(hook)
    await client.balance()
    await client.balance()
    assert seen == [(None, 30.0)] * 2


async def test_what_is_set_on_the_shared_client_is_sent(
    client: VoiceClient, httpx_mock: HTTPXMock
) -> None:
    """Headers, cookies, authentication and a timeout, as with any client of httpx."""
    http_client = client.http_client
    http_client.headers["x-team"] = "shipping"
    http_client.cookies.set("session", "1")
    http_client.auth = ("user", "word")
    http_client.timeout = httpx.Timeout(3.0)
    httpx_mock.add_response(content=b'{"code":2,"num":"5"}', headers={"Set-Cookie": "other=2"})
    assert await client.balance() == 5
    request = httpx_mock.get_requests()[0]
    assert request.headers["x-team"] == "shipping"
    assert request.headers["cookie"] == "session=1"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.extensions["timeout"]["read"] == 3.0
    assert dict(http_client.cookies) == {"session": "1"}


async def test_a_mounted_transport_writes_into_its_own_requests_alone(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of one length have their headers in common, until somebody may write into them."""
    seen: list[list[str]] = []

    class Writing(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.headers.get_list("x-mark"))
            request.headers["x-mark"] = "written"
            request.extensions["timeout"]["read"] = 0.0
            return await super().handle_async_request(request)

    async with client_of(simulator, BASE_URL, guard=None) as client:
        mounted = Writing(app=simulator)
        monkeypatch.setattr(client.http_client, "_transport_for_url", Mock(return_value=mounted))
        for _ in range(2):
            await client.submit(MOBILE, CONTENT)
    assert seen == [[], []]
