"""The times of reports: in the ways that programs write them, and always aware."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.models import CHINA
from ihuyi_voice.protocol.times import read_time

EXAMPLE = datetime(2018, 5, 24, 17, 46, 50, tzinfo=CHINA)  # section 6.2
MINUTE = EXAMPLE.replace(second=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-05-24 17:46:50", EXAMPLE),
        ("2018/5/24 17:46:50", EXAMPLE),
        ("2018.05.24 17:46:50", EXAMPLE),
        ("2018-05-24T17:46:50", EXAMPLE),
        ("2018-05-24  17:46:50", EXAMPLE),
        ("2018-05-24 17:46:50.0", EXAMPLE),
        ("2018-05-24 17:46:50,000000000", EXAMPLE),
        ("2018-05-24 17:46:50.125", EXAMPLE + timedelta(milliseconds=125)),
        ("2018-05-24 17:46:50.1250009", EXAMPLE + timedelta(milliseconds=125)),
        ("2018-05-24 17:46", MINUTE),
        ("2018-05-24 7:46", MINUTE - timedelta(hours=10)),
        ("2018-05-24T09:46:50Z", EXAMPLE),
        ("2018-05-24t09:46:50.0z", EXAMPLE),
        ("2018-05-24T17:46:50+08:00", EXAMPLE),
        ("2018-05-24 17:46:50 08:00", EXAMPLE),  # a plus that nobody encoded
        ("2018-05-24 17:46:50 +0800", EXAMPLE),
        ("2018-05-24 17:46:50+08", EXAMPLE),
        ("2018-05-24 04:16:50-05:30", EXAMPLE),
        ("2018-05-24 17:46+08:00", MINUTE),
        ("20180524174650", EXAMPLE),
        ("20180524T174650", EXAMPLE),
        ("201805241746", MINUTE),
        ("1527155210", EXAMPLE),
        ("1527155210.0", EXAMPLE),
        ("1527155210000", EXAMPLE),
        ("1527155210125", EXAMPLE + timedelta(milliseconds=125)),
    ],
)
def test_a_time_that_means_something_is_read(text: str, expected: datetime) -> None:
    """Without a zone it is China's; whatever its zone was, it comes out in China's."""
    time = read_time(text)
    assert time == expected
    assert time is not None
    assert time.utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0000-00-00 00:00:00",
        "1970-01-01 00:00:00",
        "2018-02-30 17:46:50",
        "2018-05-24",
        "17:46:50",
        "24/05/2018 17:46:50",
        "2018-05/24 17:46:50",
        "2018-05-24 25:46:50",
        "2018-05-24 17:46:60",
        "2018-05-24 17:46:50 CST",
        "2018-05-24 17:46:50+99:00",
        "2018-05-24 17:46:50.",
        "２０１８-05-24 17:46:50",
        "20180524174699",
        "0000000001",
        "9999999999",
        "15271552100",
        "9" * 5000,
        "null",
    ],
)
def test_what_is_no_time_or_could_be_several_is_none(text: str) -> None:
    """The zeros of databases, a day without its hour, the 30th of February."""
    assert read_time(text) is None


@given(st.text(max_size=40) | st.from_regex(r"[0-9TZ:+ ./-]{8,30}", fullmatch=True))
def test_any_text_is_a_time_of_this_century_or_none(text: str) -> None:
    """Nothing else comes out, and never an exception."""
    time = read_time(text)
    assert time is None or (time.utcoffset(), 2000 <= time.year < 2100) == (
        timedelta(hours=8),
        True,
    )


@given(
    st.datetimes(
        datetime(2000, 1, 2),  # noqa: DTZ001 - the zone is added
        datetime(2099, 12, 30),  # noqa: DTZ001
    ),
    st.integers(-14 * 60, 14 * 60),
)
def test_what_python_writes_is_what_is_read(naive: datetime, minutes: int) -> None:
    """In ISO 8601, in any zone, and as Unix milliseconds."""
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read_time(time.isoformat(sep=" ")) == time
    assert read_time(time.isoformat(timespec="minutes")) == time.replace(second=0, microsecond=0)
    if time.timestamp() >= 1_000_000_000:
        assert read_time(str(int(time.timestamp()))) == time.replace(microsecond=0)
