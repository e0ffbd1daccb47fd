"""What makes two pushes the same one, and which of two is the later."""

from datetime import datetime

import pytest

from ihuyi_voice.models import CHINA
from ihuyi_voice.protocol import parse_push
from tests.protocol.posted import AUDIT, FORM, REPORT, form

# Bodies, the encodings that were declared, and the keys that the first release gave them.
KEPT: list[tuple[bytes, str, str]] = [
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "157a18d8c4adf1c1ba8d95aecf93ee0159ba3d61f1f7769bd394912e6872f605",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=60495654&report_time=",
        "",
        "81b5af365800b5efa4ff76d7ff3db07f76b6f516fab25a3290212c3b0020b3a7",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=60495654&report_time=2018%2F5%2F24T7%3A46%3A50",
        "",
        "01e4df6f3b95720303a78df5104943067c4ebf05c8e4b041df07b0a6ec4e5d15",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "d25c729816478389cb4e7aaef8cf449326aff55945729835b77089d85e4a61a2",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=007&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "767d36c14b3c6f45b1ac3a17958d92bded16f032d737dc4b69a8d3171d77b44d",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=&talktime=12&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "a625f45c06b01a608e5e5ab6aee533638019d7ba001dc4b5c4234034eabb904a",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=%2B86+139%2A%2A%2A%2A0000&talktime=12&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "f513b9e241c49c205d1dc9a7230ffbe88d0854d35654240120b71760b87df6f4",
    ),
    (
        b"code=-12&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "f43a3ad921c83e4aa04c44f54b488182bb0fc6378fd3db941b0c18d773bcb1c8",
    ),
    (
        b"code=-007&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=60495654&report_time=2018-05-24+17%3A46%3A50",
        "",
        "a988628ceadcc67eeb1d5640a666282cdebfb5342cf9affc9ac3407f06f86ff6",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=16842079209571524017&report_time=2018-05-24+17%3A46%3A50",
        "",
        "2559428ffcab63690a609b27a7dc900594e1ee43bbcb3c47614cca21d8aaf24f",
    ),
    (
        b"code=2&msg=%E6%88%90%E5%8A%9F&mobilephone=13900000000&talktime=12&voiceid=a.B_c-9&report_time=2018-05-24+17%3A46%3A50",
        "",
        "3b35232f8904808ab1991d22ff144b51fa8abf5048efa49e6ce6fc88fb83bed3",
    ),
    (b"code=2&voiceid=7", "", "ced63db2f302df7bea2c8821abd974b7643ffdf0cd9539b82dc97aef6184f7dd"),
    (
        b"CODE=+2&+VoiceId+=7&voiceid=7&x=%zz",
        "",
        "ced63db2f302df7bea2c8821abd974b7643ffdf0cd9539b82dc97aef6184f7dd",
    ),
    (
        b"{x&voiceid=7&code=-6",
        "",
        "3883a6b720bc60daff5b17975bbc5f1f1b44011a46b5a239319c8134051d1510",
    ),
    (
        b"--x&voiceid=7&code=-6",
        "",
        "3883a6b720bc60daff5b17975bbc5f1f1b44011a46b5a239319c8134051d1510",
    ),
    (
        b"\x1f\x8b&voiceid=7&code=-6",
        "",
        "3883a6b720bc60daff5b17975bbc5f1f1b44011a46b5a239319c8134051d1510",
    ),
    (
        b"\xef\xbb\xbfcode=0&voiceid=7&code=2",
        "",
        "ced63db2f302df7bea2c8821abd974b7643ffdf0cd9539b82dc97aef6184f7dd",
    ),
    (
        b"code=0&msg=%E5%90%AB%E6%9C%89%E6%95%8F%E6%84%9F%E5%AD%97%E7%AC%A6&templateid=123",
        "",
        "e75fb0ec4f35fb7baf1c087d2d0914aa9cfbcb52a06f62355b8ec218af0fe3e7",
    ),
    (
        b"code=2&msg=&templateid=123",
        "",
        "315aa9683164c8e64e3c3d2d83e2ec3e584c8421c41fe82e7bef81df873f8033",
    ),
    (
        b"code=0&templateid=8&msg=%B2%B5%BB%D8",
        "gb2312",
        "58c193689473482220fe834e503b5eccc2643bfe4c174aca0b6d8f025a8e531f",
    ),
    (
        b"code=0&templateid=8&msg=\xe6\x88\x90\xe5\x8a\x9f",
        "GBK",
        "d47448b1c14d15bfae77305c547f82434c37c869161168f070487903edebbfb2",
    ),
    (
        b"code=0&templateid=8&msg=%EF%BB%BFx%0d%0a",
        "",
        "e1ec5832e4baba849aecd43ec3e729bc1998613eab140012c31ad00b493477be",
    ),
    (
        b"code=0&templateid=8&msg=%ff%ff!",
        "latin-1",
        "ce0cd41a07d9384535a34f3ba975efc63376ef92797374ee1ac3c37e8ee03c0f",
    ),
    (
        b"code=2&templateid=007&talktime=x&report_time=x",
        "",
        "cb2addaaa173a067d2a6d8d6cd91b72151163c3ce0a97ab12150e965f6613225",
    ),
]


@pytest.mark.parametrize(("body", "charset", "expected"), KEPT)
def test_a_key_stays_what_it_was(body: bytes, charset: str, expected: str) -> None:
    """Inboxes hold the keys of earlier versions, and a try of a push may come after an update."""
    assert parse_push(body, f"{FORM}; charset={charset}").key == expected
    if not charset:
        assert parse_push(body, FORM).key == parse_push(body, "").key == expected


def key(fields: dict[str, str], **changes: str) -> str:
    """Return the key of a push."""
    return parse_push(form(fields, **changes)).key


def test_the_tries_of_one_push_share_a_key() -> None:
    """In whatever order and words they come."""
    assert key(dict(reversed(REPORT.items()))) == key(REPORT)
    assert key(REPORT, msg="接听成功", extra="1") == key(REPORT)
    assert key(AUDIT) == key(AUDIT, extra="1")


@pytest.mark.parametrize(
    "change",
    [
        {"code": "-6"},
        {"mobilephone": "13900000001"},
        {"talktime": "13"},
        {"voiceid": "60495655"},
        {"report_time": "2018-05-24 17:46:51"},
        {"report_time": ""},
    ],
)
def test_a_report_that_says_something_else_is_another_push(change: dict[str, str]) -> None:
    """Whichever field differs."""
    assert key(REPORT | change) != key(REPORT)


@pytest.mark.parametrize("change", [{"code": "2"}, {"msg": "另一原因"}, {"templateid": "124"}])
def test_an_audit_that_says_something_else_is_another_push(change: dict[str, str]) -> None:
    """Its reason is part of what it says."""
    assert key(AUDIT | change) != key(AUDIT)


def rank(now: float = 0.0, **changes: str) -> int:
    """Return the rank of a report that arrives now."""
    return parse_push(form(REPORT | changes)).rank(now)


def test_later_reports_rank_higher() -> None:
    """By the vendor's time, and in one second an answered call above any other end."""
    assert rank(code="-6") < rank() < rank(code="-6", report_time="2018-05-24 17:46:51")
    assert rank(9e9) == rank(0.0)


def test_a_report_without_a_time_counts_as_of_its_arrival() -> None:
    """Better than the beginning or the end of all time."""
    then = datetime(2018, 5, 24, 17, 46, 50, tzinfo=CHINA).timestamp()
    assert rank(then - 1, report_time="") < rank() < rank(then + 1, report_time="")


def test_a_rank_is_twice_the_second_and_one_more_for_an_answered_call() -> None:
    """Inboxes keep ranks: those of a later version must fall among those of an earlier one."""
    assert (rank(), rank(code="-6")) == (2 * 1_527_155_210 + 1, 2 * 1_527_155_210)


def test_audits_share_a_rank() -> None:
    """They carry no time, so their arrival is all there is."""
    assert parse_push(form(AUDIT)).rank(1.0) == parse_push(form(AUDIT, code="2")).rank(2.0) == 0


@pytest.mark.parametrize("name", ["report_time", "talktime", "mobilephone"])
def test_what_can_not_be_read_still_tells_pushes_apart(name: str) -> None:
    """Two reports that differ in it alone are two, and the tries of each are one."""
    assert key(REPORT, **{name: "?"}) == key(REPORT, **{name: "?"})
    assert len({key(REPORT, **{name: text}) for text in ("?", "??", "")}) == 3


def test_however_it_is_written_it_is_the_same_push() -> None:
    """A time with a zone, a duration with its unit, a code with its sign."""
    written = {"report_time": "2018-05-24T09:46:50.0Z", "talktime": "12.0", "code": "+2"}
    assert key(REPORT, **written) == key(REPORT)
