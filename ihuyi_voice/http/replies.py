"""A reply is bounded, and kept the moment its body is whole: before anything else can fail."""

from typing import Final, TypeVar, cast

import httpx

from ihuyi_voice.errors import UnreadableReply
from ihuyi_voice.http.body import OneRequest
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.replies import MAX_REPLY_BYTES

Content = TypeVar("Content", bytes, bytearray)

_CODED: Final = "content-encoding"


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
    async for chunk in stream:
        _checked(content := content + chunk, sent)
    response.stream = request.again(bytes(content), stream)
    if _CODED in response.headers:
        content = await _decoded(response.headers.raw, bytes(content), sent)
    _keep(response, bytes(content), sent)


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
