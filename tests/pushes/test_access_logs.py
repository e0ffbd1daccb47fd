"""The token in the access logs of the servers that our users run: `***` stands in its place."""

# What runs a server stands inside the helpers.
# pyright: reportPrivateUsage=false

import logging
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from uvicorn.logging import AccessFormatter

from ihuyi_voice.pushes.access_logs import hide
from tests.pushes.requests import TOKEN
from tests.pushes.support import FORM, report_form
from tests.support.looking import comes_true
from tests.support.servers import _running, free_port

pytestmark = pytest.mark.long

SERVERS = {  # as README says, and as each writes an access log
    "uvicorn": ["--port"],
    "uvicorn of h11": ["--http", "h11", "--port"],
    "uvicorn that traces": ["--log-level", "trace", "--port"],
    "hypercorn": ["--access-logfile", "-", "--bind"],
    "granian": ["--interface", "asgi", "--access-log", "--port"],
}


@pytest.mark.parametrize("server", SERVERS)
async def test_no_server_writes_the_token(server: str, tmp_path: Path) -> None:
    """Nothing has to be set; all else of the line is there, and so are other paths."""
    port = free_port()
    name = server.partition(" ")[0]
    where = f"127.0.0.1:{port}" if name == "hypercorn" else str(port)
    command = [sys.executable, "-m", name, "tests.pushes.mounted:app", *SERVERS[server], where]
    with _running(command, port, tmp_path):
        async with httpx.AsyncClient(trust_env=False, headers={"Content-Type": FORM}) as web:
            for path in (TOKEN, f"%{ord(TOKEN[0]):02x}{TOKEN[1:]}", f"{TOKEN}?x=1"):
                url = f"http://127.0.0.1:{port}/ihuyi/{path}"
                assert (await web.post(url, content=report_form())).text == "success"
            assert (await web.post(f"http://127.0.0.1:{port}/ihuyi/wrong")).status_code == 404
        log = tmp_path / f"{port}.log"
        # Its process writes when it likes.
        await comes_true(lambda: "wrong" in log.read_text(encoding="utf-8"))
    told = log.read_text(encoding="utf-8")
    assert TOKEN not in told
    assert TOKEN[1:] not in told
    assert told.count("POST /ihuyi/***") >= 3
    assert "200" in told


@pytest.fixture
def logger() -> Generator[logging.Logger]:
    """Yield the logger that uvicorn writes its access log by; a token is hidden from it."""
    hide("s3cret~token")
    logger = logging.getLogger("uvicorn.access")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("%s %d", ("/s3cret~token", 200), "/*** 200"),
        ("%s", ("/s3cret%7Etoken?a=s3cret%7etoken",), "/***?a=***"),
        ("%(path)s %(status)d", ({"path": "/s3cret~token", "status": 200},), "/*** 200"),
        ("/s3cret~token", (), "/***"),
        ("100 % /s3cret~token", (), "100 % /***"),
        ("%s", ({"path": "s3cret~token"},), "{'path': '***'}"),
        ("%s", ([b"s3cret~token"],), "[b'***']"),
        ("/other/path %s", ("x",), "/other/path x"),
    ],
)
def test_the_token_is_hidden_wherever_it_stands_in_a_line(
    logger: logging.Logger,
    caplog: pytest.LogCaptureFixture,
    message: str,
    args: tuple[object, ...],
    expected: str,
) -> None:
    """In the text or in what is filled in, plain or percent-encoded."""
    logger.info(message, *args)
    assert [each.getMessage() for each in caplog.records] == [expected]


def test_a_line_stays_what_servers_take_apart(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """The formatter of uvicorn wants five arguments."""
    logger.info('%s - "%s %s HTTP/%s" %d', "x:1", "POST", "/s3cret~token", "1.1", 200)
    written = AccessFormatter("%(request_line)s %(status_code)s", use_colors=False).format(
        caplog.records[0]
    )
    assert written == "POST /*** HTTP/1.1 200 OK"


def test_a_line_that_nobody_can_format_is_left_to_its_handlers(logger: logging.Logger) -> None:
    """No filter of ours raises into a server."""

    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError

    record = logger.makeRecord("uvicorn.access", 20, "", 0, "%s", (Broken(),), None)
    assert logger.filter(record)


def test_tokens_of_several_receivers_are_hidden(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """By one filter, however many receivers there are."""
    for _ in range(3):
        hide("an0ther-token")
    logger.info("/s3cret~token /an0ther-token")
    assert caplog.messages == ["/*** /***"]
    assert len([each for each in logger.filters if "_Hiding" in repr(each)]) == 1


def test_a_short_token_is_hidden_in_addresses_alone(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Elsewhere it may be a word of anybody's line."""
    hide("a")
    for line in ("started at /a", 'POST "/x/%61?a=a" a/b /a-b /ab', "/a/"):
        logger.info(line)
    assert caplog.messages == ["started at /***", 'POST "/x/***?a=a" a/b /a-b /ab', "/***/"]
