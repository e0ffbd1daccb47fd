"""The one httpx.AsyncClient of a VoiceClient: ours over the pool, or an injected one.

Ours is an `httpx.AsyncClient` in every respect that users rely on: event hooks, mounts, mocks and
instrumentations of httpx see its requests. Its `send` takes a short way to the transport as long
as nothing asks for more than that; redirects, cookies and authentication are not needed here, and
cost more than all the rest. An injected client is used as it is, and never closed.

Both are bound to the event loop of the first request.
"""

import logging
from collections.abc import Callable
from http.cookiejar import Cookie, CookieJar
from typing import Any, Final, TypeAlias, cast

import httpx

from ihuyi_voice.common import network
from ihuyi_voice.common.redaction import quiet_httpx
from ihuyi_voice.http.body import OneRequest, kit_of
from ihuyi_voice.http.options import HttpOptions, Route, module_of
from ihuyi_voice.http.pool import PoolTransport
from ihuyi_voice.http.pool.foreign import REPLY, STARTED, TARGET
from ihuyi_voice.http.pool.seams import Originals
from ihuyi_voice.http.replies import bounded, keep_reply
from ihuyi_voice.http.sent import Sent
from ihuyi_voice.protocol import WireRequest

_COMMON: Final = (
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"ihuyi-voice"),
)
# Of a GET: aiohttp would send our empty stream in chunks, which not everybody expects there.
_NO_BODY: Final = ((b"Content-Length", b"0"),)
_MOST_KEPT: Final = 1_000

Hook: TypeAlias = Callable[..., Any]
_HTTPX_LOG: Final = logging.getLogger("httpx")
_STEPS: Final = (
    "send",
    "_send_handling_auth",
    "_send_handling_redirects",
    "_send_single_request",
)
_STREAMED: Final = {"stream": True}
_HTTPX: Final = Originals(httpx.AsyncClient, *_STEPS)


class _NoCookies(CookieJar):
    """Keeps no cookie of a reply, only what the user puts into it."""

    given = False

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave the reply's cookies alone."""

    def set_cookie(self, cookie: Cookie) -> None:
        """Keep a cookie of the user's."""
        self.given = True
        super().set_cookie(cookie)


class SharedClient(httpx.AsyncClient):
    """An httpx.AsyncClient over our pool, with a short way for our own requests."""

    def __init__(self, pool: PoolTransport, timeout: httpx.Timeout) -> None:
        super().__init__(
            transport=pool,
            timeout=timeout,
            headers=list(_COMMON),
            cookies=_NoCookies(),
            trust_env=False,
        )
        self.pool = pool
        # httpx adds a Connection header, which HTTP/1.1 doesn't need.
        self.headers.pop("connection", None)

    async def send(
        self,
        request: httpx.Request,
        **options: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Send a request, as httpx.AsyncClient does."""
        if not isinstance(request, OneRequest):
            return await super().send(request, **options)
        if not self._is_plain(options):
            _show_to_others(request)  # who may hang
            with quiet_httpx(lambda: request.sent.may_have_arrived):
                async with bounded(request):
                    return await super().send(request, **options)
        request.sent.handed = True
        transport = self._transport_for_url(request.url)
        if transport is not self.pool:  # somebody has mounted another, or mocks it
            _show_to_others(request)
        response = await transport.handle_async_request(request)
        response.request = request
        return response

    async def aclose(self) -> None:
        """Wait for requests in flight, then close; if that fails, the client stays as it is."""
        await self.pool.aclose()
        await super().aclose()

    def _is_plain(self, options: dict[str, Any]) -> bool:
        """Say whether all that is left to do is to hand the request to the transport."""
        hooks = self.event_hooks
        return (
            options == _STREAMED
            and len(hooks["request"]) == len(hooks["response"]) == 1  # our own
            and self.auth is None
            and not self.follow_redirects
            and type(self) is SharedClient
            and not _HTTPX_LOG.isEnabledFor(logging.INFO)
            and bool(_HTTPX)
        )


def _show_to_others(request: OneRequest) -> None:
    """Give a request a trace, and what they may write into without writing into others."""
    request.headers = httpx.Headers(request.headers)
    request.extensions["timeout"] = dict(request.extensions["timeout"])
    request.extensions["trace"] = request.sent.trace
    # It may be sent again, and is refused then by its body; and the trace may be replaced.
    request.extensions[STARTED] = request.sent.ensure_started


class _HandedOver:
    """The last request hook: from here on a transport has the request."""

    async def __call__(self, request: httpx.Request) -> None:
        if isinstance(request, OneRequest):
            request.sent.check_wanted()
            request.sent.handed = True


class _KeepReply:
    """The first response hook: it keeps the reply before anybody else's hook can fail."""

    async def __call__(self, response: httpx.Response) -> None:
        request = response.request
        if isinstance(request, OneRequest) and request.sent.reply is None:
            await keep_reply(response, request)


class Hooks:
    """Our two event hooks of an httpx client, the last and the first whatever others are added."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._handed, self._keep = _HandedOver(), _KeepReply()

    def ensure(self) -> None:
        """Put them where they belong; VoiceClients that share a client get along there."""
        hooks = self._client.event_hooks
        requests, replies = hooks["request"], hooks["response"]
        if not requests or requests[-1] is not self._handed:
            _move(requests, self._handed, len(requests))
        if not replies or replies[0] is not self._keep:
            _move(replies, self._keep, 0)

    def remove(self) -> None:
        """Take them away."""
        hooks = self._client.event_hooks
        for kind, ours in (("request", self._handed), ("response", self._keep)):
            hooks[kind][:] = [hook for hook in hooks[kind] if hook is not ours]


def _move(hooks: list[Hook], ours: Hook, place: int) -> None:
    """Put a hook at one end of a list, unless only others of its kind are before it there."""
    kind = type(ours)
    from_end = hooks if place == 0 else hooks[::-1]
    for hook in from_end:
        if hook is ours:
            return
        if type(hook) is not kind:
            break
    hooks[:] = [hook for hook in hooks if hook is not ours]
    hooks.insert(place and len(hooks), ours)


class OwnClient:
    """Our client, with requests that are made once for all calls of one form and length."""

    def __init__(self, options: HttpOptions, route: Route) -> None:
        pool = PoolTransport(
            options.base_url,
            max_connections=options.max_connections,
            max_age=options.max_age,
            verify=route.trust,
            proxy=route.proxy,
            permit=network.check,
        )
        self.client = SharedClient(pool, options.own_timeout())
        self.hooks = Hooks(self.client)
        self._kit = kit_of("httpx")
        self._urls: dict[str, httpx.URL] = {}
        self._headers: dict[tuple[str | None, int], httpx.Headers] = {}
        self._common: list[tuple[bytes, bytes]] = []
        self._timeout: httpx.Timeout | None = None
        self._as_dict: dict[str, float | None] = {}

    def request(self, wire: WireRequest, sent: Sent) -> OneRequest:
        """Return a request for our pool."""
        extensions: dict[str, Any] = {
            "timeout": self._timeouts(),
            STARTED: sent.start,
            REPLY: sent.keep_whole,
        }
        if wire.method == "GET":
            extensions[TARGET] = wire.signed
        url = self._url(wire)
        headers, body = self._headers_of(wire, url), self._kit.body(wire, sent)
        request = self._kit.request(wire.method, url, headers, body, extensions, sent)
        cookies = self.client.cookies
        if getattr(cookies.jar, "given", True):
            request.headers = httpx.Headers(headers)
            cookies.set_cookie_header(request)
        return request

    async def aclose(self) -> None:
        """Close it, once those in flight are done."""
        await self.client.aclose()

    def _url(self, wire: WireRequest) -> httpx.URL:
        if wire.method == "GET":  # each has its own password, so there is nothing to keep
            return httpx.URL(wire.url)
        url = self._urls.get(wire.url)
        if url is None:
            url = self._urls[wire.url] = httpx.URL(wire.url)
        return url

    def _timeouts(self) -> dict[str, float | None]:
        timeout = self.client.timeout
        if timeout is not self._timeout:
            self._timeout, self._as_dict = timeout, timeout.as_dict()
        return self._as_dict

    def _headers_of(self, wire: WireRequest, url: httpx.URL) -> httpx.Headers:
        """Return the headers, kept by what they depend on: there are few forms and lengths."""
        common = self.client.headers.raw
        if common != self._common or len(self._headers) > _MOST_KEPT:
            self._headers.clear()
            self._common = common
        key = (wire.content_type, wire.length)
        headers = self._headers.get(key)
        if headers is None:
            pairs = [(b"Host", url.netloc), *common, *_of_the_body(wire)]
            headers = self._headers[key] = httpx.Headers(pairs)
        return headers


class InjectedClient:
    """The caller's client: it is never closed here, and its timeout holds if none was given."""

    def __init__(self, options: HttpOptions) -> None:
        self.client = cast("httpx.AsyncClient", options.http_client)
        self.hooks = Hooks(self.client)
        module = module_of(self.client)
        self._url: type[httpx.URL] = module.URL
        self._kit = kit_of(module.__name__)
        self._timeout = options.timeout_for(module)
        # Who overrides `send` may send in any way, and needs no hook to be called.
        self._foreign = type(self.client).send is not module.AsyncClient.send

    def request(self, wire: WireRequest, sent: Sent) -> OneRequest:
        """Return a request with all that the client adds to its own."""
        client = self.client
        made = client.build_request(
            wire.method,
            wire.url,
            headers=[*_COMMON, *(_of_the_body(wire) or _NO_BODY)],
            timeout=client.timeout if self._timeout is None else self._timeout,
            extensions={"trace": sent.trace},
        )
        sent.handed, sent.bodyless = self._foreign, not wire.length
        body = self._kit.body(wire, sent)
        extensions = dict(made.extensions)
        url = made.url
        if client.params:  # which httpx puts in the place of the address's own query
            own = self._url(wire.url)
            url = own.copy_with(query=b"%s&%s" % (own.query, made.url.query))
        return self._kit.request(made.method, url, made.headers, body, extensions, sent)

    async def aclose(self) -> None:
        """Leave it as it was."""
        self.hooks.remove()


def _of_the_body(wire: WireRequest) -> list[tuple[bytes, bytes]]:
    if wire.content_type is None:
        return []
    return [
        (b"Content-Type", wire.content_type.encode()),
        (b"Content-Length", b"%d" % wire.length),
    ]
