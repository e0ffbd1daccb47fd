"""Pushes as pure functions: bytes to values, and what makes two pushes the same one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.models import DeliveryReport, DeliveryStatus, TemplateAudit
from ihuyi_voice.protocol.pushes import CHINA, Push, PushKind, PushUnreadable, parse_push

# Section 6.2, its example of a time, and section 2.4's voice id.
REPORT = {
    "code": "2",
    "msg": "成功",
    "mobilephone": "13900000000",
    "talktime": "12",
    "voiceid": "60495654",
    "report_time": "2018-05-24 17:46:50",
}
AUDIT = {"code": "0", "msg": "含有敏感字符", "templateid": "123"}

TABLE = [  # section 6.2, copied from the document
    (2, "成功", "ANSWERED"),
    (0, "未知错误", "UNKNOWN_ERROR"),
    (-1, "关机", "POWERED_OFF"),
    (-2, "停机", "SUSPENDED"),
    (-3, "暂时无法接通", "UNREACHABLE"),
    (-4, "正在通话", "BUSY"),
    (-5, "空号", "NO_SUCH_NUMBER"),
    (-6, "无人接听", "NO_ANSWER"),
    (-8, "呼入限制", "INCOMING_BARRED"),
    (-9, "网络忙", "NETWORK_BUSY"),
    (-10, "呼出限制", "OUTGOING_BARRED"),
    (-11, "线路忙", "LINE_BUSY"),
    (-12, "用户拒接", "DECLINED"),
]


def form(fields: dict[str, str], **changes: str) -> bytes:
    """Return a form as the vendor posts it."""
    return urlencode(fields | changes).encode()


def without(fields: dict[str, str], *names: str) -> dict[str, str]:
    """Return the other fields."""
    return {name: value for name, value in fields.items() if name not in names}


def report(body: bytes, charset: str = "") -> DeliveryReport:
    """Parse a report."""
    value = parse_push(body, charset).value
    assert isinstance(value, DeliveryReport)
    return value


def audit(body: bytes, charset: str = "") -> TemplateAudit:
    """Parse an audit."""
    value = parse_push(body, charset).value
    assert isinstance(value, TemplateAudit)
    return value


def test_a_report_is_read_field_by_field() -> None:
    """With the time in China's zone, which the vendor leaves out."""
    value = report(form(REPORT))
    assert value == DeliveryReport(
        voice_id="60495654",
        code=2,
        mobile="13900000000",
        talk_time=12,
        report_time=datetime(2018, 5, 24, 17, 46, 50, tzinfo=CHINA),
        msg="成功",
    )
    assert value.report_time is not None
    assert value.report_time == datetime(2018, 5, 24, 9, 46, 50, tzinfo=UTC)
    assert value.report_time.utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize(("code", "text", "status"), TABLE)
def test_every_row_of_the_table_has_its_name_and_text(code: int, text: str, status: str) -> None:
    """Whatever the vendor's own text is; only code 2 means that somebody picked up."""
    value = report(form(REPORT, code=str(code), msg="x"))
    assert (value.code, value.text, value.status.name) == (code, text, status)
    assert value.answered is (code == 2)


@pytest.mark.parametrize("code", [-7, -13, 1, 999])
def test_a_code_that_nobody_listed_is_kept(code: int) -> None:
    """With the vendor's own text."""
    value = report(form(REPORT, code=str(code), msg="新状态"))
    assert (value.code, value.status, value.text) == (code, DeliveryStatus.UNLISTED, "新状态")
    assert not value.answered


def test_an_audit_approves_or_rejects_with_a_reason() -> None:
    """2 and 0, section 4.5."""
    assert audit(form(AUDIT)) == TemplateAudit("123", approved=False, msg="含有敏感字符")
    assert audit(form(AUDIT, code="2", msg="")) == TemplateAudit("123", approved=True)


def test_the_two_kinds_are_told_apart_by_their_fields() -> None:
    """An empty field is no field."""
    assert parse_push(form(REPORT, templateid="")).kind is PushKind.REPORT
    assert parse_push(form(AUDIT, voiceid="")).kind is PushKind.AUDIT
    assert parse_push(form(REPORT)).subject == "60495654"
    assert parse_push(form(AUDIT)).subject == "123"


def test_order_case_blanks_repeats_and_further_fields_do_not_matter() -> None:
    """They change nothing of the meaning."""
    turned = dict(reversed(REPORT.items()))
    shouted = {name.upper(): f" {value}\r\n" for name, value in REPORT.items()}
    for fields in (turned, shouted, REPORT | {"sign": "x", "rd": ""}):
        assert report(form(fields)) == report(form(REPORT))
    assert report(form(REPORT) + b"&voiceid=60495654&&=") == report(form(REPORT))


def test_empty_and_missing_optionals_are_tolerated() -> None:
    """Only the code and the id are needed; nothing is made up for the rest."""
    optional = ("msg", "mobilephone", "talktime", "report_time")
    bare = DeliveryReport("60495654", 2)
    assert report(form(without(REPORT, *optional))) == bare
    assert report(form(REPORT | dict.fromkeys(optional, ""))) == bare
    assert bare.report_time is None


def test_ids_stay_strings_whatever_their_length() -> None:
    """20 digits were seen, above 64 bits; leading zeros are part of an id."""
    for voice_id in ("16842079209571524017", "007"):
        assert report(form(REPORT, voiceid=voice_id)).voice_id == voice_id


@pytest.mark.parametrize(
    "text", ["2018-05-24 17:46:50", "2018/5/24 17:46:50", "2018-05-24T17:46:50"]
)
def test_a_time_may_be_written_in_several_ways(text: str) -> None:
    """As long as there is one way to read it."""
    assert report(form(REPORT, report_time=text)) == report(form(REPORT))


@pytest.mark.parametrize(
    ("msg", "charset"),
    [
        (quote("成功"), ""),
        ("成功".encode(), ""),
        (quote("成功", encoding="gb18030"), "gb2312"),
        (quote("成功", encoding="gb18030"), "GBK"),
        (quote("成功", encoding="gb18030"), ""),
        ("成功".encode("gb18030"), "rot13"),
        (quote("成功", encoding="gb18030"), "utf-8"),
    ],
)
def test_text_is_read_in_the_encoding_it_comes_in(msg: str | bytes, charset: str) -> None:
    """Declared, undeclared, raw, or wrongly declared."""
    raw = msg.encode() if isinstance(msg, str) else msg
    body = form(without(REPORT, "msg")) + b"&msg=" + raw
    assert report(body, charset).msg == "成功"


def test_text_in_no_known_encoding_does_not_lose_a_report() -> None:
    """It is for people only."""
    value = report(form(without(REPORT, "msg")) + b"&msg=%ff%ff!")
    assert (value.code, value.msg) == (2, "\ufffd\ufffd!")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"success",
        b'{"code":2,"voiceid":"1"}',
        b"\x00\xff",
        form(without(REPORT, "voiceid")),
        form(without(REPORT, "code")),
        form(REPORT | AUDIT),
        form(REPORT, voiceid="0"),
        form(REPORT, voiceid="1 2"),
        form(REPORT, voiceid="1\x002"),
        form(REPORT, voiceid="9" * 65),
        form(REPORT, code=""),
        form(REPORT, code="2.0"),
        form(REPORT, code="二"),
        form(REPORT, code="٢"),
        form(REPORT, code="9" * 5000),
        form(REPORT, talktime="-1"),
        form(REPORT, talktime="12s"),
        form(REPORT, mobilephone="<script>"),
        form(REPORT, report_time="2018-02-30 17:46:50"),
        form(REPORT, report_time="2018-05-24"),
        form(REPORT, report_time="24/05/2018 17:46:50"),
        form(REPORT, report_time="2018-05/24 17:46:50"),
        form(REPORT, report_time="1527155210"),
        form(REPORT) + b"&code=0",
        form(AUDIT, code="1"),
        form(AUDIT, code="-1"),
        form(AUDIT, templateid="00"),
        b"&".join(b"x%d=1" % place for place in range(101)) + b"&" + form(REPORT),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(body: bytes) -> None:
    """Everybody behind us would believe the guess."""
    with pytest.raises(PushUnreadable):
        parse_push(body)


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


def test_audits_share_a_rank() -> None:
    """They carry no time, so their arrival is all there is."""
    assert parse_push(form(AUDIT)).rank(1.0) == parse_push(form(AUDIT, code="2")).rank(2.0) == 0


def test_no_repr_shows_a_number_or_the_body() -> None:
    """Reprs end up in logs."""
    push = parse_push(form(REPORT, msg="13900000000 已接听"))
    assert "13900000000" not in repr(push)
    assert "139****0000" in repr(push)


@given(st.binary(max_size=300), st.text(max_size=10))
def test_any_bytes_are_a_push_or_refused(body: bytes, charset: str) -> None:
    """Nothing else ever comes out."""
    try:
        push = parse_push(body, charset)
    except PushUnreadable:
        return
    assert isinstance(push, Push)


@given(st.lists(st.tuples(st.sampled_from([*REPORT, *AUDIT]), st.binary(max_size=20)), max_size=9))
def test_any_values_are_a_push_with_a_key_or_refused(pairs: list[tuple[str, bytes]]) -> None:
    """Whatever stands in the vendor's fields."""
    try:
        push = parse_push(urlencode(pairs).encode())
    except PushUnreadable:
        return
    assert len(push.key) == 64
    assert push.subject.strip("0")


@given(
    st.from_regex(r"[1-9][0-9]{0,19}", fullmatch=True),
    st.integers(-99, 99),
    st.integers(0, 10_000),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - the zone is added
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30),
)
def test_a_report_survives_the_way_here(
    voice_id: str, code: int, talk_time: int, time: datetime, msg: str
) -> None:
    """What the vendor encodes is what comes out."""
    time = time.replace(microsecond=0)
    fields = {
        "code": str(code),
        "msg": msg,
        "mobilephone": "13900000000",
        "talktime": str(talk_time),
        "voiceid": voice_id,
        "report_time": f"{time:%Y-%m-%d %H:%M:%S}",
    }
    expected = DeliveryReport(
        voice_id, code, "13900000000", talk_time, time.replace(tzinfo=CHINA), msg
    )
    assert report(form(fields)) == expected
