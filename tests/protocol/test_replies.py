"""Bytes become values, or one clear error; never a wrong success (sections 2.3 to 5.4)."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import Operation, RawReply, UnreadableReply, VendorError
from ihuyi_voice.common.redaction import Redactor
from ihuyi_voice.protocol.replies import (
    MAX_REPLY_BYTES,
    Reply,
    ReplyUnreadable,
    parse_reply,
    read_reply,
)
from tests.support.long import few_or_many

SUBMIT = Operation.SUBMIT
ACCEPTED = """<?xml version="1.0" encoding="utf-8"?>
<SubmitResult xmlns="http://106.ihuyi.com/">
<code>2</code>
<msg>提交成功</msg>
<voiceid>16842079209571524017</voiceid>
</SubmitResult>
""".encode()
# Byte for byte as captured from a sibling service of the same vendor.
CAPTURED = (
    '<?xml version="1.0" encoding="utf-8"?>\n<SubmitResult xmlns="http://106.ihuyi.com/">\n'
    "<code>401</code>\n<msg>帐号不能为空</msg>\n<smsid>0</smsid>\n</SubmitResult>\n"
).encode()
VALUES = {
    SUBMIT: ("voiceid", "60495654"),
    Operation.BALANCE: ("num", "856"),
    Operation.ADD_TEMPLATE: ("templateid", "123"),
}


def test_the_captured_reply_is_read() -> None:
    """The only byte-exact capture there is."""
    assert parse_reply(SUBMIT, CAPTURED) == Reply(401, "帐号不能为空")


@pytest.mark.parametrize("body", [ACCEPTED, CAPTURED])
def test_a_reply_as_it_usually_comes_needs_no_parser(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Neither an acceptance nor a refusal: that would cost ten times as much."""
    monkeypatch.setattr("ihuyi_voice.protocol.replies._fields", None)
    assert parse_reply(SUBMIT, body).code in {2, 401}


def test_an_id_above_int64_stays_a_string() -> None:
    """Ids of 20 digits are seen in the wild."""
    assert parse_reply(SUBMIT, ACCEPTED) == Reply(2, "提交成功", "16842079209571524017")


@pytest.mark.parametrize("operation", list(VALUES))
@pytest.mark.parametrize("numbers_as_text", [True, False])
def test_json_is_read_with_numbers_or_texts(operation: Operation, *, numbers_as_text: bool) -> None:
    """The code may be a text and the id a number."""
    name, value = VALUES[operation]
    reply = {"code": "2", name: int(value)} if numbers_as_text else {"code": 2, name: value}
    body = json.dumps({**reply, "msg": "成功", "new": {"x": [1]}}, ensure_ascii=False).encode()
    assert parse_reply(operation, body) == Reply(2, "成功", value)


def test_the_observed_json_failure_is_read() -> None:
    """With the id of a sibling service and an id of 0."""
    body = '{"code":406,"msg":"手机格式不正确，格式为11位的数字.","smsid":"0"}'.encode()
    assert parse_reply(SUBMIT, body).code == 406


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("root", ["SubmitResult", "GetNumResult", "AddTemplateResult", "x"])
@pytest.mark.parametrize("xmlns", ["", ' xmlns="http://106.ihuyi.cn/"', ' xmlns="urn:x"'])
def test_xml_is_read_whatever_its_root_and_namespace(
    operation: Operation, root: str, xmlns: str
) -> None:
    """Elements count by their local names."""
    name, value = VALUES.get(operation, ("", ""))
    tail = f"<{name}>{value}</{name}>" if name else ""
    body = f"<{root}{xmlns}><code> 2 </code>{tail}<msg>ok</msg><extra><a/></extra></{root}>"
    assert parse_reply(operation, body.encode()) == Reply(2, "ok", value)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n  ", b"\xef\xbb\xbf \n"])
@pytest.mark.parametrize("body", [ACCEPTED, b'{"code":2,"msg":"","voiceid":"1"}'])
def test_a_bom_and_stray_whitespace_do_no_harm(before: bytes, body: bytes) -> None:
    """Around either format."""
    assert parse_reply(SUBMIT, before + body + b"\n \n").code == 2


@pytest.mark.parametrize(
    "msg", ["余额<10 & 请充值", "a & b", "x < y > z", "<b>no</b> & so", "&nbsp;?"]
)
@pytest.mark.parametrize(("code", "id_"), [(4051, "0"), (2, "60495654")])
def test_a_text_that_nobody_escaped_hides_no_code(msg: str, code: int, id_: str) -> None:
    """The vendor's own sample reads replies by a regular expression, which survives that."""
    body = (
        '<?xml version="1.0" encoding="utf-8"?>\n<SubmitResult xmlns="http://106.ihuyi.com/">\n'
        f"<code>{code}</code>\n<msg>{msg}</msg>\n<voiceid>{id_}</voiceid>\n</SubmitResult>\n"
    )
    reply = parse_reply(SUBMIT, body.encode())
    assert (reply.code, reply.value) == (code, "60495654" if code == 2 else "")


@pytest.mark.parametrize("msg", [b"a\nb", b"\t\x01", "您好".encode("gbk"), b"\xff"])
def test_a_text_that_json_does_not_have_hides_no_code(msg: bytes) -> None:
    """Raw line ends, and bytes that are no UTF-8."""
    body = b'{"code":4051,"msg":"%s","voiceid":"0"}' % msg
    assert parse_reply(SUBMIT, body).code == 4051


@pytest.mark.parametrize(
    "body",
    [
        "<r><code>2</code><msg>a & b</msg><voiceid>123</voiceid>",  # cut off before its end
        "<r><code>2</code><msg>a & b</msg><voiceid>12",
        "<r><code>2</code><msg>a & b</msg>text<voiceid>123</voiceid></r>",
        "<r><code>2</code><msg>a & b</msg><voiceid>123</voiceid></r><r></r>",
        "<r><code>2</code><code>405</code><msg>a & b</msg><voiceid>123</voiceid></r>",
        "<r><code>2</code><msg>a & b</msg><voiceid>1</voiceid><voiceid>2</voiceid></r>",
        "<!DOCTYPE r><r><code>2</code><msg>a & b</msg><voiceid>123</voiceid></r>",
        "<r><code>2</code><msg>a & b</msg></r>",
        "<html><p>a & b<code>2</code><voiceid>1</voiceid></html>",
    ],
)
def test_broken_xml_is_never_read_as_more_than_it_says(body: str) -> None:
    """Only leaf after leaf of a whole reply, without a contradiction."""
    with pytest.raises(ReplyUnreadable):
        parse_reply(SUBMIT, body.encode())


def test_a_namespace_without_a_scheme_is_no_obstacle() -> None:
    """It stands in the vendor's own sample."""
    body = b'<r xmlns="106.ihuyi.com"><code>2</code><msg>ok</msg><voiceid>77</voiceid></r>'
    assert parse_reply(SUBMIT, body) == Reply(2, "ok", "77")


@pytest.mark.parametrize(
    ("ids", "value"),
    [
        ({"voiceid": "0", "smsid": "77"}, "77"),
        ({"voiceid": "", "smsid": "77"}, "77"),
        ({"smsid": "77", "voiceid": 0}, "77"),
        ({"voiceid": "66", "smsid": "77"}, "66"),
    ],
)
def test_a_good_id_beside_an_empty_one_counts(ids: dict[str, object], value: str) -> None:
    """The sibling service's name may hold it."""
    body = json.dumps({"code": 2, "msg": "ok", **ids}).encode()
    assert parse_reply(SUBMIT, body).value == value


@pytest.mark.parametrize(
    ("num", "value"),
    [("856.00", "856"), ("856.0", "856"), (856, "856"), ("-3.00", "-3"), (856.0, "856")],
)
def test_a_balance_may_be_written_with_decimals(num: object, value: str) -> None:
    """Zeros only: half a notification is none."""
    body = json.dumps({"code": 2, "msg": "ok", "num": num}).encode()
    assert parse_reply(Operation.BALANCE, body).value == value


@pytest.mark.parametrize(
    "num",
    ["856.5", "856.", ".0", "1e3", "8 56", "", 856.5, 1e30, float("nan"), None, True, [856], {}],
)
def test_a_balance_that_is_no_whole_number_is_unreadable(num: object) -> None:
    """Nothing is guessed."""
    body = json.dumps({"code": 2, "msg": "ok", "num": num}).encode()
    with pytest.raises(ReplyUnreadable, match=r"^num is not what it should be$"):
        parse_reply(Operation.BALANCE, body)


@given(st.binary(max_size=200), st.sampled_from(["<r><code>2</code><msg>%s</msg>%s</r>"]))
def test_no_text_makes_a_success_of_a_refusal(text: bytes, frame: str) -> None:
    """Whatever stands in `msg`, escaped or not."""
    head, _, tail = frame.replace("2", "4072").partition("%s")
    body = head.encode() + text + tail.replace("%s", "<smsid>0</smsid>").encode()
    with suppress(ReplyUnreadable):
        assert parse_reply(SUBMIT, body).code != 2


def test_reading_goes_all_the_way_to_an_answer_or_its_error() -> None:
    """Status, body, code: one call, and the evidence is sealed."""
    key = "1q784322ba1d9bb88d50cf5cdfd89k7d"
    body = json.dumps({"code": 2, "msg": f"key {key}", "voiceid": "7"}).encode()
    answer = read_reply(SUBMIT, RawReply(200, [(b"X", key.encode())], body), Redactor(key))
    assert (answer.value, answer.msg) == ("7", "key [redacted]")
    assert key not in repr([answer.raw.content, answer.raw.headers])
    with pytest.raises(UnreadableReply, match="HTTP 502") as unreadable:
        read_reply(SUBMIT, RawReply(502, [], body), Redactor(key))
    assert key not in str(unreadable.value)
    with pytest.raises(VendorError, match="4072") as refused:
        read_reply(SUBMIT, RawReply(200, [], b'{"code":4072,"msg":""}'), Redactor(key))
    assert refused.value.raw is not None


_SPACE = st.text(" \n\t\r\x0b\x0c", max_size=3)
_FORM = st.tuples(
    st.sampled_from(["", '<?xml version="1.0" encoding="utf-8"?>\n', "<?xml version='1.0'?>"]),
    st.sampled_from(["SubmitResult", "GetNumResult", "x"]),
    st.sampled_from(["", ' xmlns="http://106.ihuyi.com/"', ' xmlns="106.ihuyi.com"', ' a="b"']),
    st.sampled_from(["2", "0", "-1", "405", " 2 ", "", "2x", "--1", "1" * 12]),
    st.text(max_size=12)
    | st.sampled_from(["提交成功", "&amp;", "\ufffe", "\uffff", "\x85 a \u3000"]),
    st.sampled_from(["voiceid", "smsid", "num", "templateid", "code", "msg", ""]),
    st.sampled_from(["0", "60495654", "16842079209571524017", " 7 ", "856.00", "", "a b", "１"]),
    _SPACE,
)


@settings(max_examples=few_or_many(25, 500), deadline=None)
@given(_FORM, st.sampled_from(list(Operation)))
def test_the_short_way_through_the_usual_form_agrees_with_the_parser(
    form: tuple[str, str, str, str, str, str, str, str], operation: Operation
) -> None:
    """Whatever stands in it: both read the same, or both refuse."""
    start, root, space, code, msg, name, value, gap = form
    last = f"<{name}>{value}</{name}>" if name else ""
    text = (
        f"{start}<{root}{space}>{gap}<code>{code}</code>{gap}<msg>{msg}</msg>{gap}{last}</{root}>"
    )
    body = text.encode("utf-8", "surrogatepass")

    def read(data: bytes) -> Reply | None:
        try:
            return parse_reply(operation, data)
        except ReplyUnreadable:
            return None

    by_the_parser = body.replace(f"<{root}".encode(), f"<{root} b='c'".encode(), 1)
    assert read(body) == read(by_the_parser)


def test_a_reply_in_gb2312_is_read_if_it_says_so() -> None:
    """The declared encoding counts."""
    body = '<?xml version="1.0" encoding="gb2312"?><r><code>0</code><msg>提交失败</msg></r>'
    assert parse_reply(SUBMIT, body.encode("gb2312")) == Reply(0, "提交失败")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "^empty body$"),
        (b" \n\xef\xbb\xbf", "^neither XML nor JSON$"),
        (b"OK", "neither"),
        (b"[]", "neither"),
        (b"<html><body><h1>502 Bad Gateway</h1></body></html>", "^no code$"),
        (b"<!DOCTYPE html><html><head><title>x</title></head></html>",
         "^XML with a document type, which the vendor never sends$"),
        (b"<html><p>unclosed</html>", "^broken XML: .* line 1"),
        (b"<!DOCTYPE r><r>a & b</r>", "^broken XML: .* line 1"),
        (ACCEPTED[:-30], "broken XML"),
        (ACCEPTED[: len(ACCEPTED) // 2], "broken XML"),
        (b'{"code":2,"voiceid":"1"', "^broken JSON: JSONDecodeError$"),
        (b'{"msg":"x"}', "^no code$"),
        (b'{"code":null}', "^no code$"),
        (b'{"code":true}', "^the code is no integer$"),
        (b'{"code":2.0}', "^the code is no integer$"),
        (b'{"code":"two"}', "^the code is no integer$"),
        ('{"code":"２"}'.encode(), "^the code is no integer$"),
        (b'{"code":[2]}', "^the code is no integer$"),
        (b"<r><code>2<b>3</b></code></r>", "^no code$"),
        (b"<r><a><code>2</code></a></r>", "^no code$"),
        (b'{"code":405,"msg":{}}', "^msg is no text$"),
        (b'{"code":2,"msg":"x"}', "^code 2 without a voiceid$"),
        (b'{"code":2,"voiceid":"0"}', "^code 2 without a voiceid$"),
        (b'{"code":2,"voiceid":null}', "^code 2 without a voiceid$"),
        (b'{"code":2,"voiceid":{}}', "^voiceid is no text$"),
        (b'{"code":2,"voiceid":"a b"}', "voiceid is not what it should be"),
        (b"<r><code>2</code><code>405</code><voiceid>1</voiceid></r>", "comes twice"),
        (b'{"code":405,"code":2,"voiceid":"1"}', "comes twice"),
        (b'{"code":1' + b"0" * 5000 + b"}", "broken JSON"),
        (b'{"a":' * 10_000, "broken JSON"),
        (b"<a>" * 10_000, "broken XML"),
        (b"<a>" + b"x" * MAX_REPLY_BYTES, "longer than"),
        (b"\0" * 10, "neither"),
    ],
)  # fmt: skip
def test_what_is_no_reply_is_unreadable_and_the_error_says_why(body: bytes, reason: str) -> None:
    """One kind of error for everything, and success only ever with its id."""
    with pytest.raises(ReplyUnreadable, match=reason):
        parse_reply(SUBMIT, body)


def test_a_balance_must_be_a_number() -> None:
    """A success whose number is none is unreadable; a negative one is a number."""
    with pytest.raises(ReplyUnreadable, match="num"):
        parse_reply(Operation.BALANCE, b'{"code":2,"num":"many"}')
    assert parse_reply(Operation.BALANCE, b'{"code":2,"num":-3}').value == "-3"


def test_an_entity_bomb_goes_off_nowhere() -> None:
    """A billion laughs are refused before they are expanded."""
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE r [<!ENTITY l0 "lol">{entities}]><r><code>2</code><msg>&l9;</msg></r>'
    with pytest.raises(ReplyUnreadable):
        parse_reply(SUBMIT, bomb.encode())


def test_an_external_entity_reads_no_file(tmp_path: Path) -> None:
    """Neither a file nor a number in it ever becomes part of a reply."""
    secret = tmp_path / "id"
    secret.write_text("12345678")
    attack = (
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]>'
        "<r><code>2</code><voiceid>&x;</voiceid></r>"
    )
    with pytest.raises(ReplyUnreadable, match="document type"):
        parse_reply(SUBMIT, attack.encode())


@given(st.binary(max_size=300))
def test_random_bytes_never_crash_and_never_succeed(body: bytes) -> None:
    """Success takes a whole reply."""
    try:
        reply = parse_reply(SUBMIT, body)
    except ReplyUnreadable:
        return
    assert reply.code != 2


@given(st.integers(0, len(ACCEPTED) - 2))
def test_a_reply_cut_anywhere_is_unreadable(length: int) -> None:
    """Half a success is none (the last line end may be missing)."""
    with pytest.raises(ReplyUnreadable):
        parse_reply(SUBMIT, ACCEPTED[:length])


@given(st.integers(0, len(ACCEPTED) - 1), st.integers(0, 255))
def test_one_flipped_byte_never_makes_another_id(place: int, byte: int) -> None:
    """Either it is unreadable, or it is some reply; what is read never crashes."""
    body = ACCEPTED[:place] + bytes([byte]) + ACCEPTED[place + 1 :]
    try:
        reply = parse_reply(SUBMIT, body)
    except ReplyUnreadable:
        return
    assert isinstance(reply.code, int)
    assert reply.code != 2 or reply.value


@given(st.integers(-99999, 99999), st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_json_replies_come_through_unchanged(code: int, msg: str) -> None:
    """Whatever the code and the text."""
    body = json.dumps({"code": code, "msg": msg, "voiceid": "77"}).encode()
    assert parse_reply(SUBMIT, body) == Reply(code, msg, "77" if code == 2 else "")
