"""The options of a client by name, and what the environment has of them."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from ihuyi_voice.calls.journal import Journals
from ihuyi_voice.calls.retries import RetryPolicy
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.events import Hook
from ihuyi_voice.guards import Guard
from ihuyi_voice.protocol import Auth, Method, ReplyFormat, TemplateAuth

if TYPE_CHECKING:
    import httpx

_VARIABLES: Final = {"account": "IHUYI_ACCOUNT", "api_key": "IHUYI_API_KEY"}
_BASE_URL: Final = "IHUYI_BASE_URL"


class ClientOptions(TypedDict, total=False):
    """What `VoiceClient` takes, by the names of its arguments; it documents them."""

    account: str
    api_key: str
    base_url: str | None
    auth: Auth
    template_auth: TemplateAuth
    method: Method
    reply_format: ReplyFormat
    timeout: "float | httpx.Timeout | None"
    max_connections: int
    guard: Guard | None
    retry: RetryPolicy | None
    ledger: Journals | None
    http_client: "httpx.AsyncClient | None"
    max_age: float | None
    proxy: str | None
    verify: Any
    max_content_length: int | None
    clock: Callable[[], float]
    on_event: Hook | None


def from_environment(options: ClientOptions) -> dict[str, Any]:
    """Return options with what they leave out and the environment has.

    They are taken out of `options`, or a traceback's locals would show the key.

    Raises:
        InvalidRequest: A variable is missing; the error names it.
    """
    given = cast("dict[str, Any]", options)
    base_url = os.environ.get(_BASE_URL, "").strip() or None  # a secret's line end, as of the key
    whole: dict[str, Any] = {"base_url": base_url, **given}
    given.clear()
    for option, name in _VARIABLES.items():
        if option not in whole:
            whole[option] = _variable(name)
    return whole


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value.strip():
        raise InvalidRequest(f"the environment variable {name} is not set", field=name)
    return value
