"""What may be shown: no secrets, the ends of phone numbers, and nothing that steers a terminal."""

import logging
import re
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar
from urllib.parse import unquote, unquote_plus

import attrs

E = TypeVar("E", bound=BaseException)

_MOBILE = re.compile(r"(?<!\d)((?:0{0,2}86)?1[3-9]\d)\d{4}(\d{4})(?!\d)")
_LANDLINE = re.compile(r"(?<!\d)(0\d{4})\d{3,5}(\d{2})(?!\d)")
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32}(?![0-9A-Fa-f])")
_DIGEST_BYTES = re.compile(_DIGEST.pattern.encode())
_HIDDEN = "[redacted]"
_HIDDEN_BYTES = _HIDDEN.encode()
# Every hexadecimal digit as x, everything else as a dot.
_HEX_OR_NOT = bytes(120 if byte in b"0123456789abcdefABCDEF" else 46 for byte in range(256))
_HEX_RUN = b"x" * 32
_SHORTEST_SECRET = 10  # no number or dynamic password is shorter


def mask_mobile(number: str) -> str:
    """Return a number as logs may show it: `139****0000`."""
    keep = 4 if len(number) > 9 else max(0, len(number) - 6)  # noqa: PLR2004 - a subscriber number
    return f"{number[:3]}****{number[len(number) - keep :]}"


def mask_numbers(text: str) -> str:
    """Return `text` with every phone number in it masked."""
    if len(text) < _SHORTEST_SECRET:
        return text
    return _LANDLINE.sub(r"\1****\2", _MOBILE.sub(r"\1****\2", text))


UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The categories of characters that steer a terminal, or hide."""


def shown(foreign: str) -> str:
    r"""Return a text from outside as a terminal may have it: `\x1b[2J` is spelled out, not obeyed.

    Control characters, line ends, invisible and bidirectional marks and broken characters are
    written as Python writes them, so that no vendor, file or push moves the cursor or forges lines.
    """
    if foreign.isprintable():
        return foreign
    return "".join(map(_spelled, foreign))


def _spelled(char: str) -> str:
    if unicodedata.category(char) not in UNSAFE:
        return char
    return char.encode("unicode_escape").decode("ascii")


_EXCERPT: Final = 100  # characters
_LIKE_A_NUMBER: Final = re.compile(r"(\d{3})[\d ()*+.-]{2,}\d")


def excerpt(content: bytes) -> str:
    """Return the beginning of what somebody sent, on one line, with no number whole in it."""
    start = content[: 8 * _EXCERPT].decode("utf-8", "replace")
    # Masked before it is cut: a number cut in two would no longer be recognised.
    masked = _LIKE_A_NUMBER.sub(r"\1****", unquote_plus(start))
    return shown(masked[:_EXCERPT])


_NAMED: Final = re.compile(r"[^/]*@")  # user and password, wherever a strange address has them


def place_of(url: str) -> str:
    """Return scheme, host and path of an address, as far as it has them, without what is secret.

    Left out are user, password, parameters and query; numbers are masked, and all is printable.
    """
    bare = re.split("[?#]", unquote(url), maxsplit=1)[0]
    path = "/".join(part.partition(";")[0] for part in bare.split("/"))
    return shown(mask_numbers(_NAMED.sub("", path)))


def forget_frames(error: E) -> E:
    """Return an error that holds no frames, nor do its causes: locals may be secrets."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            BaseException.with_traceback(each, None)  # frozen dataclasses can't be assigned to
            pending += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                pending += each.exceptions  # pyright: ignore[reportUnknownMemberType]  # of any kind
    return error


@attrs.frozen
class Redactor:
    """Takes a client's key, anything shaped like a dynamic password, and numbers out of a text.

    The vendor's `msg` was seen to echo the credentials that it was sent, so everything that came
    from outside passes through here before it is logged, raised or shown.
    """

    secret: str = attrs.field(default="", repr=False)
    _lower: bytes = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # attrs' way on frozen classes
        object.__setattr__(self, "_lower", self.secret.lower().encode())

    def __call__(self, text: str) -> str:
        """Return `text` without secrets and with its phone numbers masked."""
        if self.secret and self.secret.lower() in text.lower():
            text = re.sub(re.escape(self.secret), _HIDDEN, text, flags=re.IGNORECASE)
        if self.secret and "%" in text:  # as it may stand in a URL, every byte escaped
            escaped = "%" + self.secret.encode().hex("%")
            text = re.sub(escaped, _HIDDEN, text, flags=re.IGNORECASE)
        if len(text) < _SHORTEST_SECRET:
            return text
        return mask_numbers(_DIGEST.sub(_HIDDEN, text))

    def is_clean(self, content: bytes) -> bool:
        """Say whether `in_bytes` would surely change nothing; it is ten times as fast."""
        if self._lower and self._lower in content.lower():
            return False
        return _HEX_RUN not in content.translate(_HEX_OR_NOT)

    def in_bytes(self, content: bytes) -> bytes:
        """Return bytes without secrets; numbers stay, they are masked when they are shown."""
        if self._lower and self._lower in content.lower():
            content = re.sub(re.escape(self._lower), _HIDDEN_BYTES, content, flags=re.IGNORECASE)
        return _DIGEST_BYTES.sub(_HIDDEN_BYTES, content)


_MASK: Final = Redactor()


def shown_error(error: BaseException | None) -> str:
    """Return the repr of anybody's error, with no number and no dynamic password in it."""
    if error is None:
        return "None"
    try:
        said = _MASK(str(error))
    except Exception:  # noqa: BLE001 - it is somebody else's class
        said = "..."
    return f"{mask_numbers(type(error).__name__)}({said!r})"


class _Sending:
    """A request of ours that is being sent.

    Attributes:
        has_left: Says whether it may have gone out.
        ending: What a handler ended the program by, after that.
    """

    __slots__ = ("ending", "has_left")

    def __init__(self, has_left: Callable[[], bool]) -> None:
        self.has_left = has_left
        self.ending: BaseException | None = None


_sending: ContextVar[_Sending | None] = ContextVar("ihuyi_voice_sending", default=None)
_PARTS = ("connection", "http11", "http2", "proxy", "socks")
_LOGGERS = (
    *(logging.getLogger(name) for name in ("httpx", "httpx2")),
    *(logging.getLogger(f"{core}.{part}") for core in ("httpcore", "httpcore2") for part in _PARTS),
)


class _OurLines(logging.Filter):
    """Looks after the lines that httpx and httpcore log while a request of ours is being sent.

    It takes the query out of their URLs, and passes them on itself, where an exception of a
    foreign filter or handler can do no harm: httpx logs after the vendor has answered, and httpcore
    at every step. What ends the program does so at once while nothing has left, and otherwise when
    the answer has been read.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        sending = _sending.get()
        if sending is None:
            return True
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(arg) for arg in record.args)
        token = _sending.set(None)
        try:
            self._logger.handle(record)
        except (KeyboardInterrupt, SystemExit) as exc:
            if not sending.has_left():
                raise
            sending.ending = sending.ending or exc
        except BaseException:  # noqa: BLE001, S110 - somebody else's handler
            pass
        finally:
            _sending.reset(token)
        return False


_FILTERS = tuple((logger, _OurLines(logger)) for logger in _LOGGERS)


def _without_query(arg: object) -> object:
    if isinstance(arg, int | bytes):
        return arg
    path, mark, _ = str(arg).partition("?")
    return f"{path}?[redacted]" if mark else arg


@contextmanager
def quiet_httpx(has_left: Callable[[], bool]) -> Generator[None]:
    """Hide our queries from httpx's logger while inside; other requests are logged as ever.

    Args:
        has_left: Says whether our request may have gone out.

    Raises:
        KeyboardInterrupt, SystemExit: A handler of its lines did, after that.
    """
    for logger, ours in _FILTERS:
        if logger.filters[:1] != [ours]:  # before those that would see the query
            logger.removeFilter(ours)
            logger.filters.insert(0, ours)
    sending = _Sending(has_left)
    token = _sending.set(sending)
    try:
        yield
    finally:
        _sending.reset(token)
        if sending.ending is not None:
            raise sending.ending
