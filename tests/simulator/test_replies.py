"""The bytes of replies: the captured shapes, and what may be odd about them."""

import pytest

from ihuyi_voice.simulator import Fault, Quirk, Simulator
from tests.simulator.asking import (
    CONTENT,
    MOBILE,
    OPERATIONS,
    SAMPLES,
    TEMPLATE,
    TEXTS,
    USUAL,
    ask,
    reply,
)


async def test_xml_is_byte_shaped_as_the_capture() -> None:
    """But for the name of the id, which belongs to a sibling service."""
    captured = (SAMPLES / "submit_401.xml").read_bytes().replace(b"smsid", b"voiceid")
    assert (await ask(Simulator(), "Submit", account="")).content == captured


async def test_json_has_the_shape_of_the_capture() -> None:
    """Flat, an int code, a text id, raw UTF-8; the msg is the document's."""
    captured = (SAMPLES / "submit_406.json").read_text("utf-8").replace("smsid", "voiceid")
    ours = await ask(Simulator(), "Submit", mobile="1", content="x", format="json")
    assert ours.content.decode() == captured.replace("，格式为11位的数字.", "")


@pytest.mark.parametrize(
    ("method", "inside"),
    [
        ("Submit", "<msg>提交成功</msg>\n<voiceid>16842079209571520001</voiceid>"),
        ("GetNum", "<msg>查询成功</msg>\n<num>1000000</num>"),
        ("AddTemplate", "<msg>添加成功</msg>\n<templateid>100002</templateid>"),
        ("DelTemplate", "<msg>删除成功</msg>"),
    ],
)
async def test_every_operation_has_its_root_and_its_id(method: str, inside: str) -> None:
    """The document names AddTemplateResult for deletions too; ids may be above int64."""
    simulator = Simulator(templates=[TEMPLATE])
    fields = {"mobile": MOBILE, "content": CONTENT if method == "Submit" else "新"}
    root = "AddTemplateResult" if method == "DelTemplate" else f"{method}Result"
    found = await ask(simulator, method, templateid="100001", **fields)
    assert found.text == (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} xmlns="http://106.ihuyi.com/">\n'
        f"<code>2</code>\n{inside}\n</{root}>\n"
    )


async def read(operation: str, wish: str, *quirks: str, **fields: str) -> str:
    """Return a reply that is odd in some ways."""
    simulator = Simulator(templates=[TEMPLATE], quirks=quirks)
    form = {**USUAL.get(operation, {}), "templateid": "100001", "format": wish, **fields}
    return (await ask(simulator, operation, **form)).text


ID = "16842079209571520001"
XML = '<?xml version="1.0" encoding="utf-8"?>\n'


@pytest.mark.parametrize(
    ("quirk", "operation", "json", "xml"),
    [
        ("smsid", "Submit", f'"voiceid":"0","smsid":"{ID}"}}',
         f"<voiceid>0</voiceid>\n<smsid>{ID}</smsid>"),
        ("decimals", "GetNum", '"num":"1000000.00"}', "<num>1000000.00</num>"),
        ("raw_msg", "Submit", '"msg":"提交成功（1<2 & A&B）"', "<msg>提交成功（1<2 & A&B）</msg>"),
        ("bare_namespace", "Submit", '{"code":2,', '<SubmitResult xmlns="106.ihuyi.com">'),
        ("swapped_types", "Submit", f'{{"code":"2","msg":"提交成功","voiceid":{ID}}}', "<code>2<"),
        ("other_format", "Submit", f"{XML}<SubmitResult ", '{"code":2,"msg":'),
    ],
)  # fmt: skip
async def test_a_reply_may_be_odd(quirk: str, operation: str, json: str, xml: str) -> None:
    """In one way, as told; without a quirk it is not."""
    assert json in await read(operation, "json", quirk)
    assert xml in await read(operation, "xml", quirk)
    if quirk not in {"bare_namespace", "swapped_types"}:
        assert json not in await read(operation, "json")
    if quirk != "swapped_types":
        assert xml not in await read(operation, "xml")


@pytest.mark.parametrize("operation", ["Submit", "GetNum", "AddTemplate"])
async def test_a_failure_may_have_no_id(operation: str) -> None:
    """Rather than one of 0; a success has it all the same."""
    failed = await read(operation, "json", "no_id", account="")
    assert failed == f'{{"code":401,"msg":"{TEXTS[operation, 401]}"}}'
    name = {"Submit": "voiceid", "GetNum": "num", "AddTemplate": "templateid"}[operation]
    assert f"<{name}>" not in await read(operation, "xml", "no_id", account="")
    assert f"<{name}>" in await read(operation, "xml", "no_id")


async def test_a_refusal_may_repeat_the_password() -> None:
    """As an older host did; only 405 does."""
    echoed = "account=VM00000000 password=wrong"
    assert echoed in await read("Submit", "json", "echo", password="wrong")
    assert echoed in await read("GetNum", "xml", "echo", password="wrong")
    assert "account" not in await read("Submit", "json", "echo", mobile="1")


async def test_several_oddities_go_together_and_can_be_changed() -> None:
    """A set that a test may change; a kind that doesn't exist is refused."""
    simulator = Simulator(quirks=[Quirk.SMSID, "swapped_types"], limits=())
    form = {"mobile": MOBILE, "content": CONTENT, "format": "json"}
    answer = await ask(simulator, "Submit", **form)
    assert answer.text == f'{{"code":"2","msg":"提交成功","voiceid":0,"smsid":{ID}}}'
    simulator.quirks.clear()
    assert (await ask(simulator, "Submit", **form)).json()["code"] == 2
    with pytest.raises(ValueError, match="nonsense"):
        Simulator(quirks=["nonsense"])


@pytest.mark.parametrize("quirk", Quirk)
async def test_no_oddity_changes_what_happens(quirk: Quirk) -> None:
    """The phone rings, and the arrival says so."""
    simulator = Simulator(quirks=[quirk])
    await ask(simulator, "Submit", mobile=MOBILE, content=CONTENT)
    assert simulator.rung() == {(MOBILE, CONTENT): 1}
    assert simulator.codes == {2: 1}


@pytest.mark.parametrize(
    ("chosen", "text"), [(4053, "用户不存在"), (40501, "动态密码已过期"), (4999, "")]
)
async def test_codes_that_no_document_names_have_a_text_where_one_is_known(
    chosen: int, text: str
) -> None:
    """In any operation; others have none."""
    for operation in OPERATIONS:
        simulator = Simulator()
        simulator.add_fault(Fault("code", code=chosen))
        answer = await reply(simulator, operation)
        assert (answer["code"], answer["msg"]) == (chosen, text)
