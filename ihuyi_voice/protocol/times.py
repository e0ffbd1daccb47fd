"""The vendor's times: written without a zone, and in the ways that programs write times."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from ihuyi_voice.models import CHINA

_DIGITS: Final = re.compile(r"(20\d\d)()(\d\d)(\d\d)T?(\d\d)(\d\d)(\d\d)?()()", re.ASCII)
_WRITTEN: Final = re.compile(
    r"(20\d\d)([-/.])(\d{1,2})\2(\d{1,2})(?: +|T)"
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r"(?: ?(Z|[+ -]\d{2}(?::?\d{2})?))?",  # a plus that nobody encoded comes as a blank
    re.ASCII | re.IGNORECASE,
)
_EPOCH: Final = re.compile(r"(\d{10})(?:\.(\d{1,9})|(\d{3}))?", re.ASCII)
_YEARS: Final = range(2000, 2100)  # what is before or after is no time of a call


def read_time(text: str) -> datetime | None:
    """Return a time, aware and in +08:00; None for what is none, or could be several.

    A time without a zone is China's, and so is one in digits alone; 10 digits are Unix seconds, 13
    are milliseconds.
    """
    try:
        time = _since_the_epoch(text) or _by_the_clock(text)
    except ValueError:  # the 30th of February
        return None
    return time if time and time.year in _YEARS else None


def _since_the_epoch(text: str) -> datetime | None:
    match = _EPOCH.fullmatch(text)
    if match is None:
        return None
    seconds, fraction, millis = match.groups()
    time = datetime.fromtimestamp(int(seconds), CHINA)
    return time.replace(microsecond=_micros(fraction or millis))


def _by_the_clock(text: str) -> datetime | None:
    match = _WRITTEN.fullmatch(text) or _DIGITS.fullmatch(text)
    if match is None:
        return None
    year, _, month, day, hour, minute, second, fraction, zone = match.groups()
    date = int(year), int(month), int(day)
    clock = int(hour), int(minute), int(second or 0), _micros(fraction)
    return datetime(*date, *clock, tzinfo=_zone(zone)).astimezone(CHINA)


def _micros(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0")[:6])


def _zone(text: str | None) -> timezone:
    if not text:
        return CHINA
    digits = text[1:].replace(":", "").ljust(4, "0")  # none follow a Z
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
