"""The receiver: an ASGI application that answers `success` to a push once it has been stored."""

import asyncio
import hmac
import logging
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from math import inf
from typing import Any, Final, TypeAlias

import attrs

from ihuyi_voice.common.logs import Trouble, Troubles, tell
from ihuyi_voice.common.redaction import excerpt, mask_numbers, shown
from ihuyi_voice.errors import InboxUnavailable, InvalidRequest, VoiceError
from ihuyi_voice.events import PushRefused
from ihuyi_voice.inputs import check_above_zero, check_acts, check_called
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol import Push, PushUnreadable, RawPush, parse_push
from ihuyi_voice.pushes.access_logs import hide
from ihuyi_voice.pushes.allow_list import AllowList, NetworkLike, networks
from ihuyi_voice.pushes.inbox import Inbox

logger = logging.getLogger("ihuyi_voice.pushes")

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY: Final = 65_536
"""The largest body that is read, in bytes; a push has about 200."""

_TOKEN: Final = re.compile(r"(?!\.{1,2}\Z)[0-9A-Za-z_.~-]+")  # `.` and `..` never arrive in a path
_LENGTH: Final = re.compile(rb"[0-9]{1,20}")
_LONGEST_REASON: Final = 200
_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE: Final = (b"connection", b"close")  # or the server would go on reading what nobody wants
_NEVER_OPEN: Final = (
    "the inbox of this receiver is not open, so its pushes are answered 503: enter the inbox in the"
    " lifespan of the application that it is mounted in (`async with inbox: yield`), or let the"
    " server tell a receiver by itself of its start (`--lifespan on`)"
)


@attrs.frozen
class _Refused(Exception):
    """A push that is not taken, and why."""

    status: HTTPStatus
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _Gone(Exception):
    """The sender hung up before its push was complete."""


class _Refusals:
    """Tells of pushes that are not taken: of each status once a minute, and of an outage's end.

    Scanners ask all day, and a vendor's pushes come by the thousand while a database is away.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._by_status = defaultdict[HTTPStatus, Trouble](lambda: Trouble(logger, clock))

    def note(self, status: HTTPStatus, reason: str) -> None:
        """Tell of one, or count it."""
        self._by_status[status].note("push refused, %d: %s", status, _loggable(reason))

    def stored(self) -> None:
        """Tell that pushes are stored, if the last one was not."""
        trouble = self._by_status.get(HTTPStatus.SERVICE_UNAVAILABLE)
        if trouble is not None:
            trouble.over("pushes are stored again; refused meanwhile, 503: %d", trouble.count)


class PushReceiver:
    """Receives the vendor's pushes, as an ASGI application by itself or mounted in another.

    The address to give the vendor ends in `/<token>`, one for both kinds of push. By itself
    (`uvicorn module:receiver`), it opens the inbox and closes it. Mounted in FastAPI, Starlette or
    Litestar, it is told nothing of start and end: enter the inbox in the lifespan of your own
    application; until then pushes are answered 503, and the vendor tries again.

    Answers: 200 `success` once the push is stored, also for one that is stored already, and for
    what can't be understood: that is kept as it came, see `Inbox.quarantined`. 404 for a wrong
    token, 403 for an address that isn't allowed, 405 for anything but POST, 413 beyond 64 KiB, 408
    if the body takes too long, 503 if it could not be stored.

    Args:
        inbox: Where pushes are stored.
        token: The secret of the address: letters, digits, `_`, `.`, `~` and `-`. It is kept out of
            what uvicorn, hypercorn, granian and gunicorn log in this process; proxies log it, too.
            Mount the receiver above it: at `/pushes` for `/pushes/<token>`.
        on_report: Called for every delivery report, at least once, after the answer.
        on_audit: Called for every template audit, likewise.
        allow: The networks that may push; None for any. The vendor doesn't publish its own. A
            sender without an address, on a Unix socket, is refused then.
        trusted_proxies: The networks of your proxies: only their X-Forwarded-For is believed.
        timeout: Seconds that the body may take, and that storing it may take.
        clock: Seconds, from any beginning, that never go back.

    Raises:
        InvalidRequest: An argument can't be right.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        token: str,
        on_report: Callable[[DeliveryReport], Awaitable[object]] | None = None,
        on_audit: Callable[[TemplateAudit], Awaitable[object]] | None = None,
        allow: Iterable[NetworkLike] | None = None,
        trusted_proxies: Iterable[NetworkLike] = (),
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_acts("inbox", inbox, ("handle", "put", "quarantine"), "an Inbox")
        if not _is_token(token):  # None is what an unset variable gives
            raise InvalidRequest("a token is made of letters, digits, _ . ~ -", field="token")
        if timeout != inf:
            check_above_zero("timeout", timeout)
        check_called("clock", clock)
        self.inbox = inbox
        self._token = token.encode()
        self._timeout = timeout
        self._refusals = _Refusals(clock)
        self._unreadable = Troubles(logger, clock)
        self._never_open = True
        self._allow = AllowList(
            None if allow is None else networks(allow, "allow"),
            networks(trusted_proxies, "trusted_proxies"),
        )
        inbox.handle(on_report=on_report, on_audit=on_audit)
        hide(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open and close the inbox (ASGI 3)."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = self._admit(scope)
            body = await self._read(headers, receive) or _query(scope)
            await self._store(body, _content_type(headers))
        except _Gone:
            return
        except _Refused as refused:
            self._refusals.note(refused.status, refused.reason)
            if self.inbox.events.wants(PushRefused):
                self.inbox.events.tell(PushRefused(int(refused.status)))
            text = f"{refused.status.phrase}\n".encode()
            await _respond(send, refused.status, text, (*refused.headers, _CLOSE))
        else:
            self._refusals.stored()
            await _respond(send, HTTPStatus.OK, b"success", ())

    def _admit(self, scope: Scope) -> dict[bytes, bytes]:
        """Check everything that can be checked before the body is read."""
        if not hmac.compare_digest(_last_segment(scope["path"]), self._token):
            raise _Refused(HTTPStatus.NOT_FOUND, "wrong token")
        client = scope.get("client")
        if not self._allow.admits(client[0] if client else None, scope["headers"]):
            raise _Refused(HTTPStatus.FORBIDDEN, "address not allowed")
        if scope["method"] != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "not POST", ((b"allow", b"POST"),))
        self._check_that_it_is_open()
        return dict[bytes, bytes](scope["headers"])

    def _check_that_it_is_open(self) -> None:
        never, self._never_open = self._never_open, False
        if self.inbox.is_open:
            return
        if never:  # not while it is being closed
            tell(logger, logging.ERROR, _NEVER_OPEN)
        raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the inbox is not open")

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        # What is declared only saves the reading: the bound holds for what comes, too.
        length = headers.get(b"content-length", b"")
        if _LENGTH.fullmatch(length) and int(length) > MAX_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
        try:
            async with asyncio.timeout(self._timeout):
                return await _read_body(receive)
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "body too slow") from None

    async def _store(self, body: bytes, content_type: str) -> None:
        """Store a push durably; what can't be read is kept, too, for a later version to read."""
        push = _parsed(body, content_type)
        try:
            async with asyncio.timeout(self._timeout):
                if isinstance(push, Push):
                    await self.inbox.put(push)
                else:
                    await self.inbox.quarantine(push)
                    told = "push quarantined, for it can't be read: %s: %s"
                    reason = _loggable(push.reason)
                    self._unreadable.of(reason).note(told, reason, excerpt(body))
        except InboxUnavailable as exc:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {exc}") from exc
        except TimeoutError as exc:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not stored in time") from exc

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self.inbox.is_open:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        else:
            try:
                await self.inbox.__aenter__()
            except VoiceError as exc:
                await send({"type": "lifespan.startup.failed", "message": str(exc)})
                return
            try:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            finally:
                await self.inbox.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


def _is_token(given: object) -> bool:
    return isinstance(given, str) and _TOKEN.fullmatch(given) is not None


def _loggable(reason: str) -> str:
    """A reason as one short line, without numbers: it may quote what somebody sent."""
    return shown(mask_numbers(reason)[:_LONGEST_REASON])


def _parsed(body: bytes, content_type: str) -> Push | RawPush:
    try:
        return parse_push(body, content_type)
    except PushUnreadable as exc:
        return RawPush(body, content_type, str(exc))
    except Exception as exc:  # noqa: BLE001 - a fault of ours, of which the push knows nothing
        return RawPush(body, content_type, f"{type(exc).__name__} while it was read")


def _content_type(headers: dict[bytes, bytes]) -> str:
    # Neither a database nor a log takes a NUL.
    return headers.get(b"content-type", b"").decode("latin-1").replace("\0", "")


def _query(scope: Scope) -> bytes:
    """What stands behind the path: some put the fields of a POST there, and its body is empty."""
    query: bytes = scope.get("query_string", b"")
    if len(query) > MAX_BODY:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "query too large")
    return query


def _last_segment(path: str) -> bytes:
    # However an application mounts another one, with the prefix or without, and with a slash at
    # the end or without, this is the token.
    return path.rstrip("/").rpartition("/")[2].encode("utf-8", "replace")


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise _Gone
        body += event.get("body", b"")
        if len(body) > MAX_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
        more = event.get("more_body", False)
    return bytes(body)


async def _respond(
    send: Send, status: HTTPStatus, text: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    length = (b"content-length", b"%d" % len(text))
    start = {"status": int(status), "headers": [_PLAIN, length, *headers]}
    with suppress(OSError):  # by which ASGI says that nobody is there to hear it
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": text})
