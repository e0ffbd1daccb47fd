"""Results and errors may be pickled, copied and taken apart: no secret is in them."""

import asyncio
import copy
import json
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import httpx
import pytest

from ihuyi_voice import (
    InvalidRequest,
    NotSent,
    OutcomeStatus,
    OutcomeUnknown,
    RetryPolicy,
    Submission,
    UnreadableReply,
    VendorError,
    VoiceClient,
    VoiceError,
)
from tests.support.vendor import CONTENT, MOBILE, ONCE, answering

KEY = "1q784322ba1d9bb88d50cf5cdfd89k7d"
DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
Handler = Callable[[httpx.Request], httpx.Response]


def echoing(code: int, status: int = 200) -> Handler:
    """Return a vendor that says everything it was told in `msg` and in its headers."""

    def reply(request: httpx.Request) -> httpx.Response:
        told = request.content.decode() + str(request.url) + KEY.upper()
        body = json.dumps({"code": code, "msg": told, "voiceid": "60495654"})
        headers = {"X-Echo": told, "Location": told, "Set-Cookie": f"a={KEY}"}
        return httpx.Response(status, content=body.encode(), headers=headers)

    return reply


def refusing(_: httpx.Request) -> httpx.Response:
    """Be a vendor that nobody can reach, with everything in the error's text."""
    raise httpx.ConnectError(f"no connection for {KEY}")


REPLIES: dict[str, tuple[Handler, type[VoiceError] | None]] = {
    "accepted": (echoing(2), None),
    "refused": (echoing(4072), VendorError),
    "error page": (echoing(2, status=500), UnreadableReply),
    "redirect": (echoing(2, status=302), UnreadableReply),
    "not sent": (refusing, NotSent),
}


def client(handler: Handler, auth: Any, method: Any) -> VoiceClient:
    """Return a client of such a vendor."""
    options: dict[str, Any] = {"auth": auth, "method": method, "retry": ONCE}
    http_client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return VoiceClient(
        "VM1", KEY, base_url="http://vendor.test/v.php", http_client=http_client, **options
    )


def assert_no_secret(data: bytes) -> None:
    """Fail if a key or a dynamic password is in it."""
    assert KEY.encode() not in data.lower()
    assert not DIGEST.search(data)


@pytest.mark.parametrize("auth", ["plain", "signed"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", list(REPLIES))
async def test_whatever_is_made_of_a_result_or_an_error_holds_no_secret(
    case: str, auth: str, method: str
) -> None:
    """Pickled, copied, as a dict or as JSON; the vendor echoes all that it was sent."""
    handler, expected = REPLIES[case]
    async with client(handler, auth, method) as voice:
        (end,) = await asyncio.gather(voice.submit(MOBILE, CONTENT), return_exceptions=True)
    assert isinstance(end, Submission if expected is None else expected)
    assert isinstance(end, Submission | VoiceError)
    assert_no_secret(pickle.dumps(end))
    assert_no_secret(repr(vars(copy.copy(end)) if isinstance(end, VoiceError) else end).encode())
    assert_no_secret(json.dumps(end.to_dict(), ensure_ascii=False).encode())
    if isinstance(end, Submission):
        assert_no_secret(repr(attrs.asdict(end)).encode())
    if end.raw is not None:
        assert_no_secret(repr(attrs.asdict(end.raw)).encode())
        assert_no_secret(repr([end.raw.content, end.raw.headers, end.raw.body]).encode())


@pytest.mark.parametrize("case", list(REPLIES))
async def test_a_pickled_end_is_what_it_was(case: str) -> None:
    """A task queue may carry it to another process."""
    handler, _ = REPLIES[case]
    async with client(handler, "signed", "POST") as voice:
        (end,) = await asyncio.gather(voice.submit(MOBILE, CONTENT), return_exceptions=True)
    copied = pickle.loads(pickle.dumps(end))  # noqa: S301 - our own
    assert type(copied) is type(end)
    assert copied.to_dict() == end.to_dict()  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - never another


def frames(error: BaseException | None) -> Iterator[dict[str, object]]:
    """Yield the locals of every frame that an error or one of its causes holds, tests' apart."""
    if error is None:
        return
    traceback = error.__traceback__
    while traceback is not None:
        if "/tests/" not in traceback.tb_frame.f_code.co_filename:
            yield dict(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
    yield from frames(error.__cause__)
    yield from frames(error.__context__)


@pytest.mark.parametrize("auth", ["plain", "signed"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", ["refused", "error page", "not sent"])
async def test_no_local_of_a_frame_shows_a_secret(case: str, auth: str, method: str) -> None:
    """Error trackers send the locals of every frame of an error and of its causes."""
    handler, _ = REPLIES[case]
    async with client(handler, auth, method) as voice:
        with pytest.raises(VoiceError) as caught:
            await voice.submit(MOBILE, CONTENT)
        with pytest.raises(VoiceError) as balance:
            await voice.balance()
    seen = [*frames(caught.value), *frames(balance.value)]
    assert seen
    for found in seen:
        assert_no_secret(repr(found).encode())


@pytest.mark.parametrize("wrong", [{"account": " "}, {"auth": "x"}, {"base_url": "ftp://x"}])
def test_a_client_that_cannot_be_made_shows_no_key_in_its_frames(wrong: dict[str, Any]) -> None:
    """The key is a local there, until the error leaves."""
    options: dict[str, Any] = {"account": "VM1", **wrong}
    with pytest.raises(InvalidRequest) as caught:
        VoiceClient(api_key=KEY, **options)
    for found in frames(caught.value):
        assert_no_secret(repr(found).encode())


async def test_a_kept_outcome_holds_no_frames() -> None:
    """A million of them would keep a million stacks alive."""
    async with client(echoing(4072), "signed", "POST") as voice:
        async with voice.submit_many([(MOBILE, CONTENT), ("x", CONTENT)]) as run:
            outcomes = [outcome async for outcome in run]
    assert {outcome.status for outcome in outcomes} == {
        OutcomeStatus.REJECTED,
        OutcomeStatus.NOT_SENT,
    }
    for outcome in outcomes:
        assert list(frames(outcome.error)) == []
        assert_no_secret(pickle.dumps(outcome))


async def test_a_late_unknown_keeps_no_frames_of_its_causes() -> None:
    """However many errors stand behind it."""

    def reply(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("nothing")

    policy = RetryPolicy(attempts=2, initial=0.0, resend_unknown=True)
    async with answering(reply, retry=policy, guard=None) as voice:
        with pytest.raises(OutcomeUnknown) as caught:
            await voice.submit(MOBILE, CONTENT)
    cause = caught.value.__cause__
    assert cause is not None
    assert cause.__traceback__ is None
