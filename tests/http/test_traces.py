"""A trace of somebody's own that breaks at any of its events: what is known is the outcome."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from ihuyi_voice import MemoryGuard, OutcomeUnknown, VoiceClient
from ihuyi_voice.common.foreign import ENDING
from tests.http.servers import accept, counting, hang_up
from tests.http.test_ended_programs import WAYS, client_to, numbers_counted
from tests.support.guards import NoException
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE

Trace: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[None]]

KINDS = pytest.mark.parametrize(
    "kind",
    [
        *(SystemExit, LookupError),
        *(
            pytest.param(kind, marks=pytest.mark.long)
            for kind in (KeyboardInterrupt, NoException, asyncio.CancelledError)
        ),
    ],
)
MANNERS = pytest.mark.parametrize("manner", ["wraps", "replaces"])
READ = ("receive_response_body.complete", "response_closed.started", "response_closed.complete")


class Breaking:
    """A request hook that puts a trace into requests, which raises at the nth event alone.

    Attributes:
        events: What the trace was told, up to that.
    """

    def __init__(self, kind: type[BaseException], nth: int, manner: str) -> None:
        self.events: list[str] = []
        self._kind, self._nth, self._manner = kind, nth, manner

    @property
    def has_raised(self) -> bool:
        """Whether it came to that."""
        return len(self.events) == self._nth

    async def __call__(self, request: Any) -> None:
        """Put it in."""
        whole: Trace | None = request.extensions.get("trace") if self._manner == "wraps" else None

        async def trace(event: str, info: dict[str, Any]) -> None:
            if whole is not None:
                await whole(event, info)
            if not self.has_raised:
                self.events.append(event)
                if self.has_raised:
                    raise self._kind

        request.extensions["trace"] = trace


async def one(client: VoiceClient, hook: Breaking) -> BaseException | None:
    """Make a call; return what it raised."""
    client.http_client.event_hooks["request"].append(hook)
    try:
        await client.submit(MOBILE, CONTENT, key="k")
    except BaseException as exc:  # noqa: BLE001 - whatever it is
        return exc
    finally:
        client.http_client.event_hooks["request"].remove(hook)
    return None


def expected(way: str, manner: str, event: str) -> set[str]:
    """Return how a call may end that broke at an event."""
    if event.startswith("connection"):
        return {"NOT_SENT"}
    if event.endswith(READ) or (way == "pool" and "response" in event):
        return {"ACCEPTED"}
    if "response" in event or event.endswith("body.complete"):
        return {"UNKNOWN"}
    # Whose body was not taken was not sent; but a trace that was told of a beginning believes it.
    return {"UNKNOWN" if manner == "wraps" else "NOT_SENT"}


# httpcore itself leaves a socket open that it was about to tell of.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@KINDS
@MANNERS
@WAYS
def test_whichever_event_breaks_the_end_is_what_is_known(
    way: str, manner: str, kind: type[BaseException]
) -> None:
    """Nothing is sent after what broke before; what was read counts; no number stays locked."""
    asyncio.run(broken_at_each_event(way, manner, kind))
    gc.collect()  # with its loop closed; else that socket is told of in a later test


async def broken_at_each_event(way: str, manner: str, kind: type[BaseException]) -> None:
    """Let a trace break at one event after the other."""
    broke_at = list[str]()
    for nth in range(1, 40):
        ledger, guard, hook = FakeLedger(), MemoryGuard(), Breaking(kind, nth, manner)
        async with (
            counting(accept) as server,
            client_to(way, server.url, ledger=ledger, guard=guard) as client,
        ):
            raised = await one(client, hook)
        if not hook.has_raised:
            assert raised is None
            break
        broke_at.append(hook.events[-1])
        (state,) = ledger.store.states().values()
        assert {state} == expected(way, manner, broke_at[-1]), broke_at[-1]
        assert numbers_counted(guard) == (state != "NOT_SENT")
        if state == "NOT_SENT":
            assert server.arrivals == 0
        if issubclass(kind, ENDING):
            assert type(raised) is kind
        elif state == "ACCEPTED":
            assert raised is None
    assert len(broke_at) >= 5
    assert broke_at[-1].endswith("response_closed.complete")


async def replaced_trace(request: Any) -> None:
    """Put a trace in the place of ours."""
    await Breaking(SystemExit, 0, "replaces")(request)


async def replaced_extensions(request: Any) -> None:
    """Leave nothing of what stood there but the timeout."""
    request.extensions = {"timeout": request.extensions["timeout"]}


@pytest.mark.parametrize("hook", [replaced_trace, replaced_extensions])
@WAYS
async def test_what_has_gone_out_is_unknown_though_nobody_told_our_trace(
    way: str, hook: Callable[[Any], Awaitable[None]]
) -> None:
    """NOT_SENT would be sent again by itself, and the phone would ring again."""
    async with (
        counting(hang_up) as server,
        client_to(way, server.url) as client,
    ):
        client.http_client.event_hooks["request"].append(hook)
        with pytest.raises(OutcomeUnknown):
            await client.submit(MOBILE, CONTENT)
        assert server.arrivals == 1
