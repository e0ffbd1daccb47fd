"""Bytes of requests and replies, as pure functions: no socket, no loop."""

from itertools import pairwise

import h11
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.http.pool.messages import Bounds, Heads, Reply, ReplyParser, head_of, merge_lengths

OK = b"HTTP/1.1 200 OK\r\n"
LONG = OK + b"Content-Length: 2\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


def read(*chunks: bytes, parser: ReplyParser | None = None) -> tuple[Reply | None, bool]:
    """Feed a parser, and return the reply, if it is whole, and whether another may follow."""
    parser = parser or ReplyParser(Bounds(head=2000, body=2000))
    parser.begin()
    for chunk in chunks:
        parser.feed(chunk)
    return (parser.reply if parser.complete else None), parser.keep


def as_h11_reads(raw: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Read a reply with httpx's own parser."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    status, headers, body = 0, list[tuple[bytes, bytes]](), b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif not isinstance(event, h11.InformationalResponse):
            assert isinstance(event, h11.EndOfMessage)
            return status, headers, body


LENIENT = {
    "length twice": LONG + b"Content-Length: 2\r\n\r\nok",
    "length three times": LONG + b"X: 1\r\ncontent-length:2\r\nCONTENT-LENGTH:  2\r\n\r\nok",
    "length in a list": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "length twice after 100": b"HTTP/1.1 100 Continue\r\n\r\n"
    + LONG
    + b"Content-Length: 2\r\n\r\nok",
    "length beside chunks": LONG + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\nX: 1\n\nok",
    "bare LF, length twice": b"HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\n\nok",
    "bare LF at the end": LONG + b"X: 1\n\r\nok",
    "folded": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "folded and bare": b"HTTP/1.1 200 OK\nX: a\n b\nContent-Length: 2\n\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "padded chunk size": CHUNKED + b"\r\n2  \r\nok\r\n0\r\n\r\n",
    "latin-1": LONG + b"X: \xe4\r\n\r\nok",
}


@pytest.mark.parametrize("raw", LENIENT.values(), ids=LENIENT.keys())
@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
def test_odd_replies_are_read_as_httpx_reads_them(raw: bytes, *, split: bool) -> None:
    """Status, body, and headers but for a length that counts for nothing."""
    chunks = [raw[place : place + 1] for place in range(len(raw))] if split else [raw]
    reply, _ = read(*chunks)
    status, headers, body = as_h11_reads(raw)
    assert reply is not None
    assert (reply.status, reply.body) == (status, body) == (200, b"ok")
    ours = {(name.lower(), value) for name, value in reply.headers}
    assert ours - set(headers) == set()
    assert set(headers) - ours <= {(b"content-length", b"2")}


@pytest.mark.parametrize(
    ("name", "keep"),
    [("length twice", True), ("bare LF", True), ("folded", True), ("length beside chunks", False)],
)
def test_only_what_is_beyond_doubt_leaves_the_connection_clean(name: str, *, keep: bool) -> None:
    """A length beside chunks may be somebody's attempt to smuggle (RFC 9112, section 6.1)."""
    assert read(LENIENT[name])[1] is keep


@pytest.mark.parametrize(
    "raw",
    [
        LONG + b"Content-Length: 3\r\n\r\nok",
        OK + b"Content-Length: 2, 3\r\n\r\nok",
        OK + b"Content-Length: 2,\r\n\r\nok",
        OK + b"Content-Length: +2\r\nContent-Length: +2\r\n\r\nok",
        OK + b"Content-Length: 2\r\n 0\r\nContent-Length: 2\r\n 0\r\n\r\nok",
        OK + b"Content-Length: x\r\n\r\nok",
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nok",
        OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
        OK + b"X: a\rContent-Length: 2\r\n\r\nok",
        OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
        OK + b"X : a\r\nContent-Length: 2\r\n\r\nok",
        OK + b"no colon\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok",
        CHUNKED + b"\r\n2\nok\n0\n\n",
        CHUNKED + b"\r\n-2\r\nok\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes, *, split: bool) -> None:
    """Contradicting lengths, stray CR and NUL, blanks before a colon."""
    chunks = [raw[place : place + 1] for place in range(len(raw))] if split else [raw]
    with pytest.raises(httpx.RemoteProtocolError):
        read(*chunks)


@pytest.mark.parametrize("behind", [LONG + b"\r\nevil", b"x", b"\0", b"\r\n\r\n" + OK])
@pytest.mark.parametrize("name", LENIENT.keys())
def test_bytes_behind_a_reply_spoil_the_connection_and_not_the_reply(
    name: str, behind: bytes
) -> None:
    """Leniency lets nothing slip into the next reply."""
    reply, keep = read(LENIENT[name] + behind)
    assert reply is not None
    assert reply.body == b"ok"
    assert not keep


def test_a_trailer_is_no_header_of_the_next_reply() -> None:
    """The parser is used again, and starts anew."""
    parser = ReplyParser(Bounds())
    first, keep = read(CHUNKED + b"\r\n2\r\nok\r\n0\r\nT: 1\r\n\r\n", parser=parser)
    second, _ = read(LONG + b"\r\nOK", parser=parser)
    assert first is not None
    assert second is not None
    assert keep
    assert [name for name, _ in first.headers] == [b"Transfer-Encoding"]
    assert (second.headers, second.body) == ([(b"Content-Length", b"2")], b"OK")


def test_nothing_of_a_reply_that_spoilt_its_connection_is_left() -> None:
    """Half a second reply, for one."""
    parser = ReplyParser(Bounds())
    _, keep = read(LONG + b"\r\nok" + CHUNKED, parser=parser)
    assert not keep
    again, keep = read(LONG + b"\r\nOK", parser=parser)
    assert again is not None
    assert (again.body, keep) == (b"OK", True)


replies = st.lists(
    st.sampled_from(
        [*LENIENT.values(), LONG + b"\r\nok", CHUNKED + b"\r\n2\r\nok\r\n0\r\nT: 1\r\n\r\n"]
    ),
    min_size=1,
    max_size=4,
)


@given(replies, st.lists(st.integers(1, 120), max_size=12))
def test_replies_in_a_row_are_each_read_alike_wherever_they_are_cut(
    raws: list[bytes], cuts: list[int]
) -> None:
    """One parser, any order of odd and plain ones."""
    parser = ReplyParser(Bounds())
    for raw in raws:
        places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
        reply, _ = read(*(raw[start:end] for start, end in pairwise(places)), parser=parser)
        assert parts(reply) == parts(read(raw)[0])


def parts(reply: Reply | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return what a whole reply consists of."""
    assert reply is not None
    return reply.status, reply.headers, reply.body


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_random_bytes_are_an_error_or_not_yet_a_reply(chunks: list[bytes]) -> None:
    """And nothing but httpx's error comes out."""
    try:
        reply, _ = read(*chunks)
    except httpx.RemoteProtocolError:
        return
    assert reply is None


@given(
    st.lists(
        st.sampled_from(
            [b"Content-Length: 2\r\n", b"content-length: 3\r\n", b"X: 1\r\n", b"Y: 2\n"]
        ),
        max_size=5,
    )
)
def test_merged_lengths_are_said_once_or_refused(lines: list[bytes]) -> None:
    """Whatever stands between them stays."""
    raw = OK + b"".join(lines) + b"\r\n"
    said = {line.split()[1] for line in lines if b"ength" in line}
    if len(said) != 1:
        with pytest.raises(httpx.RemoteProtocolError):
            merge_lengths(raw)
        return
    merged = merge_lengths(raw + b"rest")
    assert merged is not None
    assert merged.lower().count(b"content-length") == 1
    assert merged.endswith(b"\r\nrest")
    assert [x for x in merged.split(b"\n") if x[:1] in {b"X", b"Y"}] == [
        x.strip(b"\n") for x in lines if x[:1] in {b"X", b"Y"}
    ]
    assert merge_lengths(raw[:-2]) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Keep-Alive: timeout=5, max=100", 5.0),
        (b"keep-alive: max=100, Timeout = 5", 5.0),
        (b'Keep-Alive: timeout="15"', 15.0),
        (b"Keep-Alive: timeout=0", 0.0),
        (b"Keep-Alive: 300", None),
        (b"Keep-Alive: timeout=soon", None),
        (b"Keep-Alive: timeout=" + b"9" * 400, None),
        (b"Keep-Alive: xtimeout=5", None),
        (b"Keep-Aliva: timeout=5", None),
    ],
)
def test_the_peers_word_on_idle_connections_is_understood(
    header: bytes, expected: float | None
) -> None:
    """Seconds, or nothing."""
    parser = ReplyParser(Bounds())
    read(LONG + header + b"\r\n\r\nok", parser=parser)
    assert parser.kept_for == expected


@pytest.mark.parametrize("bounds", [Bounds(head=1000, body=100), Bounds(head=100, body=1000)])
def test_head_and_body_have_bounds_of_their_own(bounds: Bounds) -> None:
    """Whichever is smaller."""
    for head, body in ((bounds.head + 100, 1), (60, bounds.body + 1)):
        parser = ReplyParser(bounds)
        start = OK + b"Content-Length: %d\r\nX: " % body
        start += b"x" * max(head - len(start) - 4, 0)
        with pytest.raises(httpx.RemoteProtocolError, match="over"):
            read(start, b"\r\n\r\n" + b"x" * body, parser=parser)
    parser = ReplyParser(bounds)
    assert read(OK + b"Content-Length: 90\r\n\r\n" + b"x" * 90, parser=parser)[0] is not None


# --- requests


def post(**options: object) -> httpx.Request:
    """Return a request with a body."""
    url = "http://127.0.0.1/v.php?a=1"
    return httpx.Request("POST", url, **{"content": b"a=1", **options})  # type: ignore[arg-type]


def test_a_request_is_its_head_target_and_body() -> None:
    """Byte for byte."""
    wire = Heads().of(post(headers={"X": "1"})).with_body(b"/late?b=2", b"b=2")
    assert wire == (
        b"POST /late?b=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nX: 1\r\nContent-Length: 3\r\n\r\nb=2"
    )


@pytest.mark.parametrize(
    "target", [b"", b"/a b", b"/\r\nX: 1", b"/\n", b"/\0", b"/\t", b"/\x7f", b"/ HTTP/1.1\r\n\r\n"]
)
def test_a_target_that_would_forge_a_line_is_refused(target: bytes) -> None:
    """Also one that came late."""
    with pytest.raises(httpx.LocalProtocolError, match="target"):
        Heads().of(post()).with_body(target, b"a=1")


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "3"), ("Content-Length", "3")],
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip")],
        [("Content-Length", "-3")],
        [("Content-Length", "")],
        [("Content-Length", "3, 3")],
    ],
)
def test_a_request_whose_length_could_be_read_in_two_ways_is_refused(
    headers: list[tuple[str, str]],
) -> None:
    """Behind a proxy it could be two."""
    with pytest.raises(httpx.LocalProtocolError):
        head_of("POST", httpx.Headers(headers).raw)


@pytest.mark.parametrize("method", ["GET / HTTP/1.1\r\nX: 1\r\n", "", "G T", "GÉT"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    """It stands in front of everything."""
    with pytest.raises(httpx.LocalProtocolError, match="method"):
        head_of(method, [])


def test_any_token_may_be_a_method() -> None:
    """As HTTP has it."""
    assert head_of("PURGE", []).method == b"PURGE"


def test_heads_that_are_kept_are_those_of_their_request() -> None:
    """By method and every header, in any case and order; a great many cost no memory."""
    heads, asked = Heads(((b"More", b"1"),)), post()
    for number in range(1000):
        asked = post(headers={"X": str(number)})
        head = heads.of(asked)
        assert heads.of(asked) is head
        assert head.fields.endswith(b"\r\nX: %d\r\nContent-Length: 3\r\nMore: 1\r\n\r\n" % number)
    assert heads.of(httpx.Request("PUT", asked.url, headers=asked.headers)).method == b"PUT"
    assert len(heads._kept) <= 256  # pyright: ignore[reportPrivateUsage] - only seen from inside
    long = post(headers={"X": "x" * 5000})
    assert heads.of(long) is not heads.of(long)
