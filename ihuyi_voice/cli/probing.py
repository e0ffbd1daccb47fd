"""What `check` looks at: the settings, the way to the vendor, the account, the clock, the extras.

It asks the vendor one thing, the balance, which costs nothing. Each finding says how it stands, and
what to do about it; what can't be known (no Date in the reply, plain http) is no trouble.
"""

import os
import platform
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs

from ihuyi_voice.calls import RetryPolicy
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.options import make_client
from ihuyi_voice.cli.texts import TEXTS
from ihuyi_voice.cli.verdicts import key_of
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import InvalidRequest, NotSent, VendorError, VoiceError
from ihuyi_voice.guards import Limits
from ihuyi_voice.http import HttpOptions
from ihuyi_voice.protocol.requests import DEFAULT_BASE_URL

if TYPE_CHECKING:
    from ihuyi_voice.client import VoiceClient

EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "cli": ("rich", "typer"),
    "excel": ("openpyxl",),
    "otel": ("opentelemetry",),
    "postgres": ("asyncpg",),
    "redis": ("redis",),
    "report": ("jinja2", "pygal"),
    "simulator": ("uvicorn",),
    "workers": ("procrastinate",),
}
"""What each extra installs that we import."""

_TIMEOUT: Final = 10.0
_OFF: Final = 60.0
"""Seconds by which a clock may be wrong: dynamic passwords hold the time, and so do quiet hours."""


class State(StrEnum):
    """How something stands."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"
    INFO = "info"


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What; its word is `check.name.` and this.
        state: How it stands.
        said: What was found; its words are `check.` and this.
        values: What is filled in.
        todo: What to do about it, a key of the table; empty for nothing.
        code: How the command ends for it.
    """

    name: str
    state: State
    said: str
    values: dict[str, Any] = attrs.field(factory=dict[str, Any])
    todo: str = ""
    code: Exit = Exit.DONE

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it, the same in every language."""
        told = {"name": self.name, "state": self.state.value, "found": self.said.partition(".")[2]}
        todo = {"todo": TEXTS[self.todo][0]} if self.todo else {}
        return told | self.values | todo


def _bad(name: str, said: str, code: Exit, todo: str, **values: object) -> Finding:
    return Finding(name, State.BAD, said, values, todo, code)


@attrs.define
class Reply:
    """What came of asking for the balance.

    Attributes:
        balance: What is left; None if nobody said.
        error: Why nobody did.
        date: The reply's Date, as it came; empty if none did.
        at: When it came, in Unix seconds by this machine's clock.
        took: How long it took, in seconds.
    """

    balance: int | None = None
    error: VoiceError | None = None
    date: str = ""
    at: float = 0.0
    took: float = 0.0


async def look(account: str | None, base_url: str | None) -> list[Finding]:
    """Look at everything.

    Args:
        account: The APIID; None for the environment's.
        base_url: The full address of voice.php; None for the environment's, or the vendor's.
    """
    found = [_versions()]
    try:
        client = make_client(account, base_url, timeout=_TIMEOUT, retry=RetryPolicy(attempts=1))
        url = _url(base_url)
        proxy = HttpOptions(url).route().proxy
    except InvalidRequest as error:
        found.append(
            _bad("settings", "settings.wrong", Exit.USAGE, "check.do.settings", reason=str(error))
        )
        return [*found, _limits(), _extras()]
    found.append(
        Finding("settings", State.OK, "settings.right", {"account": client.account, "url": url})
    )
    via = "" if proxy is None else f"{proxy.scheme}://{proxy.host}:{proxy.port}"
    found.append(
        Finding(
            "proxy",
            State.INFO,
            "proxy.used" if via else "proxy.none",
            {"proxy": via} if via else {},
        )
    )
    reply = await _ask(client)
    return [
        *found,
        *_of_the_way(url, via, reply),
        *_of_the_account(reply),
        _of_the_clock(reply),
        _limits(),
        _extras(),
    ]


def _url(given: str | None) -> str:
    return (given or os.environ.get("IHUYI_BASE_URL") or DEFAULT_BASE_URL).strip()


async def _ask(client: "VoiceClient") -> Reply:
    """Ask for the balance, and note when the reply came."""
    reply, began = Reply(), time.monotonic()

    async def note(response: Any) -> None:  # noqa: ANN401 - httpx's
        reply.date, reply.at = response.headers.get("date", ""), time.time()
        reply.took = time.monotonic() - began

    async with client:
        client.http_client.event_hooks["response"].append(note)
        try:
            reply.balance = await client.balance()
        except VoiceError as error:
            reply.error = error
    return reply


def _of_the_way(url: str, proxy: str, reply: Reply) -> Iterator[Finding]:
    """Say whether the vendor was reached, and whether TLS works."""
    error, host = reply.error, urlsplit(url).netloc
    reached = error is None or isinstance(error, VendorError)
    secured = url.lower().startswith("https:")
    untrusted = isinstance(error, NotSent) and any(
        isinstance(each, ssl.SSLError) for each in _causes(error)
    )
    if reached:
        yield Finding("address", State.OK, "address.reached", {"host": host})
    elif not untrusted:
        lost = isinstance(error, NotSent)
        todo = ("check.do.proxy" if proxy else "check.do.network") if lost else "check.do.address"
        said = "address.lost" if lost else "address.strange"
        yield _bad("address", said, Exit.NOT_REACHED, todo, host=host, reason=_words(error))
    if not secured:
        yield Finding("tls", State.UNKNOWN, "tls.plain", todo="check.do.https")
    elif untrusted:
        yield _bad("tls", "tls.failed", Exit.NOT_REACHED, "check.do.tls", reason=_words(error))
    elif reached:
        yield Finding("tls", State.OK, "tls.works")
    else:
        yield Finding("tls", State.UNKNOWN, "tls.unknown")


def _of_the_account(reply: Reply) -> Iterator[Finding]:
    """Say whether the key is right, and what is left."""
    error, left = reply.error, reply.balance
    if isinstance(error, VendorError):
        values = {"code": error.code, "text": mask_numbers(error.msg)}
        yield Finding(
            "key",
            State.BAD,
            "key.refused",
            values,
            key_of(error.code, error.operation),
            Exit.REFUSED,
        )
    elif left is None:
        yield Finding("key", State.UNKNOWN, "key.unknown")
    else:
        yield Finding("key", State.OK, "key.right")
        if left:
            yield Finding("balance", State.OK, "balance.left", {"left": left})
        else:
            yield Finding(
                "balance", State.BAD, "balance.none", {"left": 0}, "next.4051", Exit.REFUSED
            )


def _of_the_clock(reply: Reply) -> Finding:
    """Say how far this machine's clock is off: a Date names whole seconds, and took its time."""
    try:
        said = parsedate_to_datetime(reply.date).timestamp()
    except (ValueError, TypeError):
        return Finding("clock", State.UNKNOWN, "clock.unknown")
    ahead, slack = reply.at - said, 1.0 + reply.took
    off = ahead if ahead < 0 else max(0.0, ahead - slack)
    values = {"seconds": round(abs(off), 1)}
    if abs(off) <= 1.0:
        return Finding("clock", State.OK, "clock.right", {"seconds": 0.0})
    key = "clock.ahead" if off > 0 else "clock.behind"
    if abs(off) <= _OFF:
        return Finding("clock", State.OK, key, values)
    return _bad("clock", key, Exit.NOT_WRITTEN, "check.do.clock", **values)


def _limits() -> Finding:
    limits = Limits()
    values = {"second": limits.per_second, "minute": limits.per_minute, "day": limits.per_day}
    return Finding("limits", State.INFO, "limits.memory", values, "check.do.limits")


def _extras() -> Finding:
    there = {name: all(find_spec(each) for each in needs) for name, needs in EXTRAS.items()}
    installed = [name for name, is_there in there.items() if is_there]
    missing = [name for name, is_there in there.items() if not is_there]
    if missing:
        values = {"installed": installed, "missing": missing}
        return Finding("extras", State.INFO, "extras.some", values, "check.do.extras")
    return Finding("extras", State.INFO, "extras.all", {"installed": installed})


def _versions() -> Finding:
    values = {"version": version("ihuyi-voice"), "python": platform.python_version()}
    return Finding("version", State.INFO, "version.both", values)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(error: VoiceError | None) -> str:
    return "" if error is None else str(error)
