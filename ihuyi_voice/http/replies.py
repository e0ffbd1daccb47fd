"""A reply is bounded, and kept the moment its body is whole: before anything else can fail."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar, cast

import httpx

from ihuyi_voice.common.bound import Bound
from ihuyi_voice.errors import UnreadableReply
from ihuyi_voice.http.body import OneRequest
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES

Content = TypeVar("Content", bytes, bytearray)

_CODED: Final = "content-encoding"
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@asynccontextmanager
async def bounded(request: OneRequest) -> AsyncGenerator[None]:
    """Bound the time to the end of the reply and of its hooks, however slowly it drips.

    It counts from the beginning of the request if the transport tells of that; otherwise the wait
    for the reply's head is the transport's to bound, and it counts from there.
    """
    timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
    write, read = timeouts.get("write"), timeouts.get("read")
    async with Bound(None) as bound:
        if write is not None and read is not None:
            request.sent.on_start = partial(bound.begin, write + read)
        try:
            yield
        finally:
            request.sent.on_start = None


async def keep_reply(response: httpx.Response, request: OneRequest) -> None:
    """Read a reply to its end and keep it; whoever comes later can read it again.

    Args:
        response: Of httpx or httpx2.
        request: What it answers.

    Raises:
        UnreadableReply: It is too long.
        Exception: Whatever its stream raises.
    """
    sent = request.sent
    sent.begin()
    if sent.keep(response):
        return
    if response.is_stream_consumed:  # somebody read it on its way here
        _keep(response, _checked(await response.aread(), sent), sent)
        return
    content = bytearray()
    stream = cast("httpx.AsyncByteStream", response.stream)
    whole = _announced(response)
    async for chunk in stream:
        _checked(content := content + chunk, sent)
        if len(content) == whole:  # what fails from here on comes after the answer
            _keep(response, bytes(content), sent)
    response.stream = request.again(bytes(content), stream)
    if _CODED in response.headers:
        content = await _decoded(response.headers.raw, bytes(content), sent)
    _keep(response, bytes(content), sent)


async def finish(response: httpx.Response, request: OneRequest) -> None:
    """Read what no hook has read, and close."""
    try:
        if request.sent.reply is None:
            await keep_reply(response, request)
    finally:
        await response.aclose()


def _announced(response: httpx.Response) -> int | None:
    """Return the length of a body that is as it will be read; None if nobody says it."""
    said = response.headers.get("content-length", "")
    if _CODED in response.headers or not _LENGTH.fullmatch(said):
        return None
    return int(said)


def _keep(response: httpx.Response, content: bytes, sent: Sent) -> None:
    sent.reply = RawReply(response.status_code, response.headers.raw, content)


async def _decoded(headers: list[tuple[bytes, bytes]], raw: bytes, sent: Sent) -> bytearray:
    """Decode a body; a few bytes may become very many, so it is bounded, too."""
    coded = httpx.Response(200, headers=headers, stream=httpx.ByteStream(raw))
    content = bytearray()
    async for chunk in coded.aiter_bytes():
        _checked(content := content + chunk, sent)
    return content


def _checked(content: Content, sent: Sent) -> Content:
    if len(content) > MAX_REPLY_BYTES:
        sent.error = UnreadableReply(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
        raise sent.error
    return content
