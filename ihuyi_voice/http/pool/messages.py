"""The bytes of a request, and the parser of replies: bytes in, a reply out, no sockets.

Replies are read as httpx's own parser (h11) reads them: lines may end in a bare LF, a header may
be folded, a length may be said twice if both say the same. What smells of two replies in one
(lengths that contradict each other, a length beside chunks, bytes behind the end) either is an
error or ends the connection, so that nothing can be taken for the reply to the next request.
"""

import re
from typing import Final

import attrs
import httptools
import httpx

_INFORMATIONAL: Final = range(100, 200)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 4_096
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_UNFIT_FOR_TARGET: Final = re.compile(rb"[\0-\x20\x7f]")

_LENGTH_LINE: Final = re.compile(rb"(?im)^content-length:((?:[^\r\n]|\r?\n[ \t])*)\r?\n")
_CODING_LINE: Final = re.compile(rb"(?im)^transfer-encoding:[ \t]*chunked[ \t]*\r?$")
_ANY_FRAMING: Final = re.compile(rb"(?im)^(?:content-length|transfer-encoding):([^\r\n]*)")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_INFORMATIONAL_HEAD: Final = re.compile(rb"HTTP/1\.[01] 1\d\d[ \r\n]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_KEPT_FOR: Final = re.compile(rb"(?i)\btimeout[ \t]*=[ \t]*\"?([0-9]{1,9})(?![0-9])")


@attrs.frozen
class Bounds:
    """How large a reply may be, in bytes; a larger one is an error.

    Chunk sizes and trailers, which end up in neither, may fill what head and body leave of the sum.
    """

    head: int = 65_536
    body: int = 1_048_576


@attrs.define(eq=False)  # not frozen: one is made for each request, and that costs more
class Reply:
    """A complete reply."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@attrs.frozen(eq=False)
class Head:
    """The head of a request except for its target, which may be known as late as its body.

    Attributes:
        method: The bytes in front of the target.
        fields: The bytes behind it, to the empty line.
        length: How long the body is announced to be, in bytes; None: it goes out as a chunk.
    """

    method: bytes
    fields: bytes
    length: int | None

    def with_body(self, target: bytes, body: bytes) -> bytes:
        """Return the whole request.

        Raises:
            httpx.LocalProtocolError: The target would forge a line, or the body isn't as long as
                announced, so that its rest would be another request.
        """
        if not target or _UNFIT_FOR_TARGET.search(target):
            raise httpx.LocalProtocolError("a blank, line end or NUL in the request's target")
        self.check(body)
        if self.length is None:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return b"%s %s%s%s" % (self.method, target, self.fields, body)

    def check(self, body: bytes) -> None:
        """Make sure that the body is as long as announced."""
        if self.length is not None and len(body) != self.length:
            raise httpx.LocalProtocolError("Content-Length is not the body's")


class Heads:
    """Makes heads of requests, and keeps them: most requests differ in target and body alone.

    Args:
        more: Headers that every request has behind its own.
    """

    def __init__(self, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self._more = more
        self._kept: dict[tuple[object, ...], Head] = {}

    def of(self, request: httpx.Request) -> Head:
        """Return the head of a request.

        Raises:
            httpx.LocalProtocolError: As `head_of`.
        """
        pairs = request.headers.raw
        key = (request.method, *pairs)
        head = self._kept.get(key)
        if head is None:
            head = head_of(request.method, [*pairs, *self._more])
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            if len(head.fields) <= _LONGEST_KEPT:
                self._kept[key] = head
        return head


def head_of(method: str, headers: list[tuple[bytes, bytes]]) -> Head:
    """Return the head of a request.

    Raises:
        httpx.LocalProtocolError: A line end would forge a header, or two lengths another request.
    """
    if not _TOKEN.fullmatch(method):
        raise httpx.LocalProtocolError("the method is none")
    lines = [b" HTTP/1.1", *(b"%s: %s" % header for header in headers)]
    fields = b"\r\n".join(lines)
    if fields.count(b"\n") >= len(lines) or fields.count(b"\r") >= len(lines) or b"\0" in fields:
        raise httpx.LocalProtocolError("a line end or NUL in the request's head")
    fields += b"\r\n\r\n"
    return Head(method.encode(), fields, _announced(fields.lower()))


def _announced(fields: bytes) -> int | None:
    """Return the length that a head, in small letters, announces; None for chunks."""
    lengths = fields.count(b"\r\ncontent-length:")
    codings = fields.count(b"\r\ntransfer-encoding:")
    if lengths + codings > 1:
        raise httpx.LocalProtocolError("Content-Length or Transfer-Encoding is said twice")
    if codings:
        if b"\r\ntransfer-encoding: chunked\r\n" not in fields:
            raise httpx.LocalProtocolError("Transfer-Encoding is not chunked")
        return None
    if not lengths:
        return 0
    said = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip()
    if not _LENGTH.fullmatch(said):
        raise httpx.LocalProtocolError("Content-Length is no number")
    return int(said)


class ReplyParser:
    """Reads the replies that come over one connection, one after the other.

    Attributes:
        complete: Whether the reply is whole; `reply` is it then.
        spilt: Whether some body came behind a reply that has none.
        keep: Whether another may follow: the server allows it and nothing looks odd.
        kept_for: How long the server says that it keeps an idle connection, in seconds.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._unbounded = min(bounds.head, bounds.body)  # so much passes neither of them
        self.kept_for: float | None = None
        self.keep = False
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self.begin()

    def begin(self, *, head_only: bool = False) -> None:
        """Get ready for the next reply; `head_only` for one that never has a body (to HEAD)."""
        if not self.keep:  # what the last one was made of may still be in the parser
            self._parser = _lenient_parser(self)
        self.complete = self.spilt = self._headers_complete = self._mending = False
        self.keep = True
        self._head_only = head_only
        self._status = self._size = self._body_size = 0
        self._headers: list[tuple[bytes, bytes]] = []  # which the last reply has taken with it
        self._head.clear()
        self._body.clear()

    @property
    def reply(self) -> Reply:
        """The reply, once it is complete."""
        return Reply(self._status, self._headers, b"".join(self._body))

    def feed(self, data: bytes) -> None:
        """Take what has come.

        Raises:
            httpx.RemoteProtocolError: It is no reply, or one beyond the bounds.
        """
        self._size += len(data)
        if not self._headers_complete:
            self._head.append(data)
        if self._mending:
            self._mend(None)
        else:
            self._parse(data)
        if self._size > self._unbounded:
            self._check_bounds()

    def close(self) -> bool:
        """Take the server's close; return whether it completes the reply (RFC 9112, 6.3)."""
        self.keep = False
        framed = any(name.lower() in _FRAMING for name, _ in self._headers)
        if self._headers_complete and not framed:
            self.complete = True
        return self.complete

    # --- httptools

    def on_message_begin(self) -> None:
        """Notice a second reply behind the first."""
        if self.complete:
            self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, or a trailer, which is dropped."""
        if self._headers_complete:
            return
        if b"\0" in value:  # which the leniency for folded lines lets pass
            raise ValueError("NUL in a header")
        self._headers.append((name, value))
        if len(name) == 10 and name.lower() == b"keep-alive":  # noqa: PLR2004 - its length
            told = _KEPT_FOR.search(value)
            self.kept_for = float(told[1]) if told else self.kept_for

    def on_headers_complete(self) -> None:
        """Remember that what follows is body."""
        if self.complete:
            return
        self._status = self._parser.get_status_code()
        self._headers_complete = True
        if self._head_only and self._status not in _INFORMATIONAL:
            self.complete = True
            self.keep = False  # the parser would wait for a body that never comes

    def on_body(self, data: bytes) -> None:
        """Collect the body."""
        if self.complete:
            self.keep, self.spilt = False, True
            return
        self._body.append(data)
        self._body_size += len(data)

    def on_message_complete(self) -> None:
        """End the reply, unless it was only a 1xx before it."""
        if self.complete:
            return
        if self._status in _INFORMATIONAL:
            self._headers, self._headers_complete = [], False
            return
        self.complete = True
        self.keep = self.keep and self._parser.should_keep_alive()

    # --- what is odd

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx.RemoteProtocolError("the server wants to switch protocols") from None
        except httptools.HttpParserError as exc:
            if self.complete:
                self.keep = False  # garbage behind a complete reply spoils the connection, not it
            elif self._headers_complete or self._mending:
                raise httpx.RemoteProtocolError(f"not HTTP: {exc}") from exc
            else:
                self._mend(exc)

    def _mend(self, error: httptools.HttpParserError | None) -> None:
        """Read a head again that says its length in two ways, once it is there as a whole."""
        raw = b"".join(self._head)
        said = _ANY_FRAMING.findall(raw)
        if error is not None and not said[1:] and b"," not in b"".join(said):
            raise httpx.RemoteProtocolError(f"not HTTP: {error}") from error
        self._mending = True
        mended = merge_lengths(raw)
        if mended is None:
            return
        self._parser = _lenient_parser(self)
        self._headers = []
        self._parse(mended)
        self._mending = False
        self.keep = self.keep and not _CODING_LINE.search(mended)

    def _check_bounds(self) -> None:
        bounds = self._bounds
        if self._size > bounds.head and not self._headers_complete:
            raise httpx.RemoteProtocolError(f"head over {bounds.head} bytes")
        if self._body_size > bounds.body or self._size > bounds.head + bounds.body:
            raise httpx.RemoteProtocolError(f"body over {bounds.body} bytes")


def merge_lengths(raw: bytes) -> bytes | None:
    """Say once what the head at the start of `raw` says several times of its body's length.

    As h11 does: equal lengths are one; beside chunks a length counts for nothing (RFC 9112, 6.3).

    Returns:
        The same with at most one Content-Length; None if the head isn't there as a whole.

    Raises:
        httpx.RemoteProtocolError: The lengths contradict each other.
    """
    start = 0
    while (end := _END_OF_HEAD.search(raw, start)) and _INFORMATIONAL_HEAD.match(raw, start):
        start = end.end()
    if end is None:
        return None
    head, rest = raw[start : end.end()], raw[end.end() :]
    lengths = {each.strip() for said in _LENGTH_LINE.findall(head) for each in said.split(b",")}
    if len(lengths) != 1 or not all(_LENGTH.fullmatch(each) for each in lengths):
        raise httpx.RemoteProtocolError("Content-Length contradicts itself")
    line = b"" if _CODING_LINE.search(head) else b"Content-Length: %s\r\n" % lengths.pop()
    first, _, others = _LENGTH_LINE.sub(b"", head).partition(b"\n")
    return b"%s%s\n%s%s%s" % (raw[:start], first, line, others, rest)


def _lenient_parser(callbacks: ReplyParser) -> httptools.HttpResponseParser:
    """Return a parser that takes a bare LF, folded headers and padded chunk sizes."""
    parser = httptools.HttpResponseParser(callbacks)
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser
