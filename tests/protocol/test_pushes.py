"""Pushes as pure functions: bytes to values."""

import pickle
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.models import CHINA, DeliveryReport, DeliveryStatus, TemplateAudit
from ihuyi_voice.protocol import Push, PushKind, PushUnreadable, RawPush, parse_push
from tests.protocol.posted import AUDIT, FORM, REPORT, audit, form, report, without

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
    assert report(body, f"{FORM}; charset={charset}").msg == "成功"


@pytest.mark.parametrize("between", [";", " ; ", ", ", " "])
def test_an_encoding_is_declared_after_whatever_sign(between: str) -> None:
    """Two bytes that are UTF-8 as well are read as what they are said to be."""
    body = form(without(REPORT, "msg")) + b"&msg=" + "模".encode("gbk")
    assert report(body, f"{FORM}{between}charset=gbk").msg == "模"
    assert report(body, FORM).msg == "ģ"


def test_text_in_no_known_encoding_does_not_lose_a_report() -> None:
    """It is for people only."""
    value = report(form(without(REPORT, "msg")) + b"&msg=%ff%ff!")
    assert (value.code, value.msg) == (2, "\ufffd\ufffd!")


INFORMATIONAL: list[tuple[str, str, object]] = [  # a field, what it says, and what is read
    ("talktime", "12.0", 12),
    ("talktime", "12.", 12),
    ("talktime", "12.9", 12),
    ("talktime", "12s", 12),
    ("talktime", "12 S", 12),
    ("talktime", "12秒", 12),
    ("talktime", "007", 7),
    ("talktime", "", 0),
    ("talktime", "-1", None),
    ("talktime", "00:12", None),
    ("talktime", "1e3", None),
    ("talktime", "１２", None),
    ("talktime", "9" * 10, None),
    ("talktime", "x" * 5000, None),
    ("mobilephone", "(021)51234567", "(021)51234567"),
    ("mobilephone", "139xxxx0000", "139xxxx0000"),
    ("mobilephone", "139XXXX0000", "139XXXX0000"),
    ("mobilephone", "139****0000", "139****0000"),
    ("mobilephone", "+86 139-0000-0000", "+86 139-0000-0000"),
    ("mobilephone", "\ufeff13900000000", "13900000000"),
    ("mobilephone", "<script>", ""),
    ("mobilephone", "1" * 33, ""),
    ("mobilephone", "139\x1b[2J", ""),
    ("report_time", "2018-05-24 17:46:50.0", datetime(2018, 5, 24, 17, 46, 50, tzinfo=CHINA)),
    ("report_time", "0000-00-00 00:00:00", None),
]
NAMES = {"talktime": "talk_time", "mobilephone": "mobile", "report_time": "report_time"}


@pytest.mark.parametrize(("name", "text", "expected"), INFORMATIONAL)
def test_what_only_informs_never_refuses_a_push(name: str, text: str, expected: object) -> None:
    """What means something is read, the rest left out; the vendor's own words are in `raw`."""
    value = report(form(REPORT, **{name: text}))
    assert getattr(value, NAMES[name]) == expected
    assert value.raw[name] == text.removeprefix("\ufeff")
    assert (value.voice_id, value.code) == ("60495654", 2)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("+2", 2), ("2.0", 2), ("-6.00", -6), ("+0", 0), ("-0", 0), ("02", 2), ("\ufeff2", 2)],
)
def test_a_code_is_read_as_programs_write_numbers(code: str, expected: int) -> None:
    """As long as it is a whole one."""
    assert report(form(REPORT, code=code)).code == expected


def test_an_id_of_0_is_none() -> None:
    """The vendor writes so where it has none, section 2.3."""
    assert parse_push(form(REPORT, templateid="0")).kind is PushKind.REPORT
    assert parse_push(form(AUDIT, voiceid="0")).kind is PushKind.AUDIT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "neither a voiceid nor a templateid"),
        (b"success", "neither"),
        (b"\x00\xff", "neither"),
        (form(without(REPORT, "voiceid")), "neither"),
        (form(without(REPORT, "code")), "code is not"),
        (form(REPORT | AUDIT), "two ids"),
        (form(REPORT, voiceid="0"), "an id of 0"),
        (form(REPORT, voiceid="0", templateid="0"), "an id of 0"),
        (form(REPORT, voiceid="1 2"), "voiceid is not"),
        (form(REPORT, voiceid="1\x002"), "voiceid is not"),
        (form(REPORT, voiceid="9" * 65), "voiceid is not"),
        (form(REPORT, code=""), "code is not"),
        (form(REPORT, code="DELIVRD"), "code is not"),
        (form(REPORT, code="2.5"), "code is not"),
        (form(REPORT, code="2e0"), "code is not"),
        (form(REPORT, code="--2"), "code is not"),
        (form(REPORT, code="二"), "code is not"),
        (form(REPORT, code="٢"), "code is not"),
        (form(REPORT, code="9" * 5000), "code is not"),
        (form(REPORT) + b"&code=0", "'code' comes twice"),
        (form(REPORT) + b"&msg=x", "'msg' comes twice"),
        (form(AUDIT, code="1"), "neither 2 nor 0"),
        (form(AUDIT, code="-1"), "neither 2 nor 0"),
        (form(AUDIT, templateid="00"), "an id of 0"),
        (form(AUDIT, templateid="1 2"), "^templateid is not what it should be$"),
        (b"&".join(b"x%d=1" % place for place in range(1001)) + b"&" + form(REPORT), "1000 fields"),
    ],
)
def test_an_id_or_a_code_that_would_have_to_be_guessed_is_unreadable(
    body: bytes, reason: str
) -> None:
    """Everybody behind us would believe the guess; the reason says what is wrong."""
    with pytest.raises(PushUnreadable, match=reason):
        parse_push(body, FORM)


def test_no_repr_shows_a_number_or_the_body() -> None:
    """Reprs end up in logs."""
    push = parse_push(form(REPORT, msg="13900000000 已接听"))
    assert "13900000000" not in repr(push)
    assert "139****0000" in repr(push)
    assert isinstance(push.value, DeliveryReport)
    assert "13900000000" not in repr(push.value.raw)
    assert "13900000000" not in repr(RawPush(b"13900000000", "", "no reason"))


def test_what_came_can_be_read_and_copied_but_not_changed() -> None:
    """Reports are values: equal, hashed and pickled, whatever else the vendor wrote."""
    value = report(form(REPORT, talktime="-1", sign="x"))
    assert dict(value.raw) == REPORT | {"talktime": "-1", "sign": "x"}
    assert not hasattr(value.raw, "__setitem__")
    assert value == report(form(REPORT, talktime="-1"))
    assert len({value, report(form(REPORT, talktime="-1"))}) == 1
    copied = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    assert (copied, dict(copied.raw)) == (value, dict(value.raw))
    assert DeliveryReport("7", 2).raw == {}


@given(st.binary(max_size=300), st.sampled_from([FORM, ""]) | st.text(max_size=40))
def test_any_bytes_are_a_push_or_refused(body: bytes, kind: str) -> None:
    """Nothing else ever comes out."""
    try:
        push = parse_push(body, kind)
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
