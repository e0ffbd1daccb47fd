"""Values to requests: URL, headers and body of the four operations (sections 2 to 5)."""

from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Operation
from ihuyi_voice.protocol.signing import Auth, Credentials, dynamic_password

DEFAULT_BASE_URL: Final = "https://api.vm.ihuyi.com/webservice/voice.php"

Method: TypeAlias = Literal["POST", "GET"]
ReplyFormat: TypeAlias = Literal["xml", "json"]

_FORM: Final = "application/x-www-form-urlencoded"
_MAX_TIME: Final = 9_999_999_999


@attrs.frozen
class Call:
    """One operation with its own fields, before anybody signs it."""

    operation: Operation
    fields: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)


@attrs.frozen
class WireRequest:
    """A request ready to be sent; it holds a password, so neither URL nor body is in the repr."""

    method: Method
    url: str = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    content_type: str | None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidRequest(f"{name} is {value!r}; it can be {' or '.join(allowed)}", field=name)


def _check_base_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise InvalidRequest(
            f"base_url is {url!r}; it must be the full address of voice.php, like "
            f"{DEFAULT_BASE_URL}",
            field="base_url",
        )


def _encoded(fields: dict[str, str]) -> str:
    return "&".join([f"{name}={_quoted(value)}" for name, value in fields.items()])


def _quoted(value: str) -> str:
    # Most values are digits and letters, and quote takes 2 µs to find that out.
    return value if value.isascii() and value.isalnum() else quote(value, safe="")


@attrs.frozen
class RequestBuilder:
    """Turns calls into signed requests of one account.

    Attributes:
        credentials: Account and key.
        base_url: The full address of voice.php.
        auth: `signed` sends a dynamic password (section 7), `plain` the key itself.
        template_auth: The same for AddTemplate and DelTemplate, whose formula the vendor's
            document does not give; None for what `auth` says.
        method: `POST` with a form, or `GET` with everything in the URL. With GET and plain
            authentication the key stands in the URL, where proxies and servers log it.
        reply_format: What the vendor is asked to reply in; either is understood.
    """

    credentials: Credentials
    base_url: str = DEFAULT_BASE_URL
    auth: Auth = "signed"
    template_auth: Auth | None = None
    method: Method = "POST"
    reply_format: ReplyFormat = "xml"

    def __attrs_post_init__(self) -> None:
        _check_base_url(self.base_url)
        _one_of("auth", self.auth, ("signed", "plain"))
        _one_of("template_auth", self.template_auth or self.auth, ("signed", "plain"))
        _one_of("method", self.method, ("POST", "GET"))
        _one_of("reply_format", self.reply_format, ("xml", "json"))

    def build(self, call: Call, now: float) -> WireRequest:
        """Return the request for `call`, signed for the time `now`.

        Args:
            call: What to ask.
            now: Unix time in seconds, UTC; it is sent in 10 digits.

        Raises:
            InvalidRequest: The clock is so far off that the time doesn't have 10 digits.
        """
        query = f"method={call.operation.value}"
        form = _encoded(self._signed(call, now))
        separator = "&" if "?" in self.base_url else "?"
        if self.method == "GET":
            return WireRequest("GET", f"{self.base_url}{separator}{query}&{form}", b"", None)
        return WireRequest("POST", f"{self.base_url}{separator}{query}", form.encode(), _FORM)

    def _signed(self, call: Call, now: float) -> dict[str, str]:
        fields = {"account": self.credentials.account, **call.fields}
        if self._auth(call.operation) == "signed":
            time = _ten_digits(now)
            fields["password"] = dynamic_password(
                call.operation, self.credentials, call.fields, time
            )
            fields["time"] = time
        else:
            fields["password"] = self.credentials.api_key
        if self.reply_format != "xml":
            fields["format"] = self.reply_format
        return fields

    def _auth(self, operation: Operation) -> Auth:
        if operation in {Operation.ADD_TEMPLATE, Operation.DELETE_TEMPLATE}:
            return self.template_auth or self.auth
        return self.auth


def _ten_digits(now: float) -> str:
    if not 0 <= now <= _MAX_TIME:
        raise InvalidRequest(f"the clock says {now}, which is no Unix time of 10 digits")
    return f"{int(now):010d}"
