"""Values to requests: URL, headers and body of the four operations (sections 2 to 5).

What carries the password is made when it is taken, and not before: a request may wait long for a
connection, and the vendor refuses a password that is old. All lengths are known beforehand.
"""

from collections.abc import Callable
from functools import partial
from reprlib import repr as short
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import attrs

from ihuyi_voice.common.plain import plain
from ihuyi_voice.common.redaction import Redactor, mask_numbers
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Operation, RawReply
from ihuyi_voice.protocol.replies import Answer, read_reply
from ihuyi_voice.protocol.signing import (
    Auth,
    Credentials,
    TemplateAuth,
    hashed_key,
    signer,
)

DEFAULT_BASE_URL: Final = "https://api.vm.ihuyi.com/webservice/voice.php"

Method: TypeAlias = Literal["POST", "GET"]
ReplyFormat: TypeAlias = Literal["xml", "json"]

_FORM: Final = "application/x-www-form-urlencoded"
_PRINTABLE: Final = "".join(map(chr, range(33, 127)))
_MAX_TIME: Final = 9_999_999_999
_SIGNATURE: Final = 32 + len("&time=") + 10
_TEMPLATES: Final = frozenset({Operation.ADD_TEMPLATE, Operation.DELETE_TEMPLATE})


@attrs.define(eq=False)  # not frozen: one is made for each attempt, and that costs more
class Call:
    """One operation with its own fields, before anybody signs it."""

    operation: Operation
    fields: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)


@attrs.define(eq=False)  # likewise
class WireRequest:
    """A request ready to be sent; no repr shows its password.

    Attributes:
        method: `POST` or `GET`.
        url: The whole URL; that of a GET is signed for the time when it was built.
        content_type: Of the body; None if there is none.
        length: Of the body, in bytes.
        signed: Makes what carries the password, for the time of asking: the body of a POST, the
            request target (path and query) of a GET.
    """

    method: Method
    url: str = attrs.field(repr=False)
    content_type: str | None
    length: int
    signed: Callable[[], bytes] = attrs.field(repr=False)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        given = mask_numbers(short(value))
        raise InvalidRequest(f"{name} is {given}; it can be {' or '.join(allowed)}", field=name)


def _or_default(url: str | None) -> str:
    given: object = DEFAULT_BASE_URL if url is None else url
    return plain(given) if isinstance(given, str) else given  # type: ignore[return-value]  # pyright: ignore[reportReturnType] - it is refused


def _check_base_url(url: object) -> None:
    """Refuse what is no address of a voice.php; it may hold a password, so it isn't shown."""
    fault = _fault_of(url) if isinstance(url, str) else f"is a {type(url).__name__}"
    if fault is not None:
        raise InvalidRequest(
            f"base_url {fault}; it must be the full address of voice.php, like {DEFAULT_BASE_URL}",
            field="base_url",
        )


def _fault_of(url: str) -> str | None:
    place = next((i for i, char in enumerate(url) if char.isspace() or not char.isprintable()), -1)
    if place >= 0:
        return f"has a blank or an invisible character at place {place + 1}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has no port from 1 to 65535, or an address that can't be read"
    faults = (
        (parts.scheme not in {"http", "https"}, "begins with neither http:// nor https://"),
        ("@" in parts.netloc, "has a user or password, which the vendor doesn't ask for"),
        (not parts.hostname, "has no host"),
        (port == 0, "has the port 0"),
        ("#" in url, "has a fragment (#)"),
    )
    return next((words for is_so, words in faults if is_so), None)


def _quoted(value: str) -> str:
    # Every byte is escaped, needed or not: ten times as fast as to look which are.
    if value.isascii() and value.isalnum():
        return value
    return "%" + value.encode().hex("%") if value else ""


@attrs.frozen
class VoicePhp:
    """The vendor's voice.php as one account sees it: calls to signed requests, replies to answers.

    Attributes:
        credentials: Account and key.
        base_url: The full address of voice.php.
        auth: `signed` sends a dynamic password (section 7), `plain` the key itself.
        template_auth: How AddTemplate and DelTemplate say who asks; the vendor's document gives no
            formula for them. `plain` sends the key itself, as the document's own examples do,
            `md5` the MD5 of the key, `signed` the dynamic password by GetNum's formula, which is
            a guess.
        method: `POST` with a form, or `GET` with everything in the URL. With GET and plain
            authentication the key stands in the URL, where proxies and servers log it.
        reply_format: What the vendor is asked to reply in; either is understood.
        address: `base_url` without a query, for whoever tells of requests.
    """

    credentials: Credentials
    base_url: str = attrs.field(default=DEFAULT_BASE_URL, converter=_or_default)
    auth: Auth = "signed"
    template_auth: TemplateAuth = "plain"
    method: Method = "POST"
    reply_format: ReplyFormat = "xml"
    redact: Redactor = attrs.field(init=False, repr=False)
    address: str = attrs.field(init=False, repr=False)
    _urls: dict[Operation, str] = attrs.field(init=False, repr=False)
    _start: str = attrs.field(init=False, repr=False)
    _end: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _check_base_url(self.base_url)
        _one_of("auth", self.auth, ("signed", "plain"))
        _one_of("template_auth", self.template_auth, ("plain", "md5", "signed"))
        _one_of("method", self.method, ("POST", "GET"))
        _one_of("reply_format", self.reply_format, ("xml", "json"))
        form = self.reply_format
        given = {
            "redact": Redactor(self.credentials.api_key),
            "address": self.base_url.partition("?")[0],
            "_urls": {each: f"{self._base}method={each.value}" for each in Operation},
            "_start": f"account={_quoted(self.credentials.account)}",
            "_end": f"&format={form}" if form != "xml" else "",
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)  # attrs' way on frozen classes

    @property
    def _base(self) -> str:
        return f"{self.base_url}{'&' if '?' in self.base_url else '?'}"

    def build(self, call: Call, clock: Callable[[], float]) -> WireRequest:
        """Return the request for `call`.

        Args:
            call: What to ask.
            clock: Returns Unix time in seconds, UTC; asked when the request is signed.

        Raises:
            InvalidRequest: On signing: the clock is so far off that the time doesn't have 10
                digits.
        """
        url = self._urls[call.operation]
        length, form = self._form(call, clock)
        if self.method == "POST":
            return WireRequest("POST", url, _FORM, length, form)
        parts = urlsplit(url)
        target = quote(f"{parts.path or '/'}?{parts.query}&", safe=_PRINTABLE).encode()
        return WireRequest(
            "GET", f"{url}&{form().decode()}", None, 0, lambda: b"%s%s" % (target, form())
        )

    def read(self, call: Call, raw: RawReply) -> Answer:
        """Return the answer in a reply.

        Raises:
            UnreadableReply: It is no reply of the vendor.
            VendorError: The vendor replied a code that is not success.
        """
        return read_reply(call.operation, raw, self.redact)

    def _form(self, call: Call, clock: Callable[[], float]) -> tuple[int, Callable[[], bytes]]:
        """Return the length of a form, and what makes it, signed for the time of asking."""
        fields = "".join([f"&{name}={_quoted(value)}" for name, value in call.fields.items()])
        head, end = f"{self._start}{fields}&password=", self._end
        auth = self.template_auth if call.operation in _TEMPLATES else self.auth
        if auth != "signed":
            key = self.credentials.api_key
            password = _quoted(key) if auth == "plain" else hashed_key(self.credentials)
            whole = f"{head}{password}{end}".encode()
            return len(whole), lambda: whole
        sign = signer(call.operation, self.credentials, call.fields)
        return len(head) + _SIGNATURE + len(end), partial(_signed, head, sign, clock, end)


def _signed(head: str, sign: Callable[[str], str], clock: Callable[[], float], end: str) -> bytes:
    """Return a form, signed for now."""
    time = _ten_digits(clock())
    return f"{head}{sign(time)}&time={time}{end}".encode()


def _is_a_time(now: Any) -> bool:  # noqa: ANN401 - as below
    try:
        return bool(0 <= now <= _MAX_TIME)
    except TypeError:
        return False


def _ten_digits(now: Any) -> str:  # noqa: ANN401 - of the caller's clock
    if not _is_a_time(now):
        told = mask_numbers(short(now))
        text = f"the clock says {told}, which is no Unix time of 10 digits"
        raise InvalidRequest(text, field="clock")
    return str(int(now)).zfill(10)
