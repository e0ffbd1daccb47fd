"""Every row of the vendor's tables, through the client (sections 2.5, 3.5, 4.4, 5.4, observed)."""

import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

import ihuyi_voice
from ihuyi_voice import Action, Operation, VendorError, VoiceClient
from ihuyi_voice.protocol.codes import TABLES, closes_the_account, vendor_error, window_of
from tests.support.vendor import CONTENT, MOBILE, answering

FIX, WAIT, RETRY, STOP = Action.FIX_REQUEST, Action.WAIT, Action.RETRY, Action.STOP

# Copied from the vendor's document by hand, apart from the package's own tables.
SUBMIT = """
0 提交失败 | SubmissionFailed RETRY
400 非法ip访问 | AccessDenied STOP
401 帐号不能为空 | InvalidCredentials STOP
402 密码不能为空 | InvalidCredentials STOP
403 手机号码不能为空 | InvalidMobile FIX_REQUEST
4030 手机号码已被列入黑名单 | Blacklisted FIX_REQUEST
404 语音内容不能为空 | ContentRejected FIX_REQUEST
405 用户名或密码不正确 | InvalidCredentials STOP
4050 账号被冻结 | AccountUnavailable STOP
40505 没有签定合同 | AccountUnavailable STOP
4051 剩余条数不足 | BalanceExhausted STOP
4052 访问 ip 与备案 ip 不符 | AccessDenied STOP
406 手机格式不正确 | InvalidMobile FIX_REQUEST
407 短信内容含有敏感字符 | ContentRejected FIX_REQUEST
4071 没有提交备案模板 | TemplateMismatch FIX_REQUEST
4072 提交的语音内容必须与报备过的模板格式相匹配 | TemplateMismatch FIX_REQUEST
40722 变量内容超过指定的长度 | TemplateMismatch FIX_REQUEST
4077 发送内容未在运营商报备 | ContentRejected FIX_REQUEST
408 您的帐户疑被恶意利用,已被自动冻结,如有疑问请与客服联系 | AccountUnavailable STOP
4080 同一手机号码同一秒钟之内发送频率不能超过1条 | RateLimited WAIT
4081 同一手机号一分钟之内发送超过3条 | RateLimited WAIT
4082 超出同一手机号一天之内10条短信限制 | RateLimited WAIT
40501 | InvalidCredentials STOP
40502 | InvalidCredentials STOP
4053 用户不存在 | InvalidCredentials STOP
4010 | RateLimited WAIT
4070 签名格式不正确 | VendorError FIX_REQUEST
4073 | VendorError FIX_REQUEST
4074 | VendorError FIX_REQUEST
4075 | VendorError FIX_REQUEST
4083 | RateLimited WAIT
4084 | RateLimited WAIT
4085 | RateLimited WAIT
4086 | RateLimited WAIT
"""
BALANCE = """
400 非法ip访问 | AccessDenied STOP
401 帐号不能为空 | InvalidCredentials STOP
402 密码不能为空 | InvalidCredentials STOP
405 用户名或密码不正确 | InvalidCredentials STOP
4050 账号被冻结 | AccountUnavailable STOP
40501 | InvalidCredentials STOP
40502 | InvalidCredentials STOP
4053 用户不存在 | InvalidCredentials STOP
"""
ADD = """
400 非法ip访问 | AccessDenied STOP
401 用户名不能为空 | InvalidCredentials STOP
402 密码不能为空 | InvalidCredentials STOP
404 模板内容不能为空 | ContentRejected FIX_REQUEST
405 用户名或密码不正确 | InvalidCredentials STOP
4050 账号被冻结 | AccountUnavailable STOP
407 模板内容含有敏感字符 | ContentRejected FIX_REQUEST
408 模板己存在 | TemplateExists FIX_REQUEST
40501 | InvalidCredentials STOP
40502 | InvalidCredentials STOP
4053 用户不存在 | InvalidCredentials STOP
"""
DELETE = """
400 非法ip访问 | AccessDenied STOP
401 用户名不能为空 | InvalidCredentials STOP
402 密码不能为空 | InvalidCredentials STOP
404 模板ID不能为空或模板ID不存在 | TemplateNotFound FIX_REQUEST
405 用户名或密码不正确 | InvalidCredentials STOP
4050 账号被冻结 | AccountUnavailable STOP
40501 | InvalidCredentials STOP
40502 | InvalidCredentials STOP
4053 用户不存在 | InvalidCredentials STOP
"""
DOCUMENT = {
    Operation.SUBMIT: SUBMIT,
    Operation.BALANCE: BALANCE,
    Operation.ADD_TEMPLATE: ADD,
    Operation.DELETE_TEMPLATE: DELETE,
}
CALLS: dict[Operation, Callable[[VoiceClient], Awaitable[Any]]] = {
    Operation.SUBMIT: lambda client: client.submit(MOBILE, CONTENT),
    Operation.BALANCE: lambda client: client.balance(),
    Operation.ADD_TEMPLATE: lambda client: client.add_template(CONTENT),
    Operation.DELETE_TEMPLATE: lambda client: client.delete_template("123"),
}


def _rows() -> list[tuple[Operation, int, str, str, str]]:
    rows: list[tuple[Operation, int, str, str, str]] = []
    for operation, table in DOCUMENT.items():
        for line in table.strip().splitlines():
            said, _, ours = line.partition(" | ")
            code, _, text = said.partition(" ")
            error, action = ours.split()
            rows.append((operation, int(code), text, error, action))
    return rows


@pytest.mark.parametrize(("operation", "code", "text", "error", "action"), _rows())
async def test_a_code_becomes_its_error(
    operation: Operation, code: int, text: str, error: str, action: str
) -> None:
    """Code, class, action and the vendor's text, each as its operation's table says."""
    body = f'{{"code":{code},"msg":""}}'.encode()
    async with answering(lambda _: httpx.Response(200, content=body)) as client:
        with pytest.raises(VendorError) as caught:
            await CALLS[operation](client)
    raised = caught.value
    assert type(raised) is getattr(ihuyi_voice, error)
    assert (raised.code, raised.operation, raised.action.name) == (code, operation, action)
    assert raised.msg == text if text else raised.msg
    assert raised.raw is not None
    assert raised.attempts == 1


@pytest.mark.parametrize("operation", list(Operation))
def test_the_tables_hold_the_documents_rows_and_no_others(operation: Operation) -> None:
    """A row that is in one and not in the other is a mistake."""
    assert sorted(TABLES[operation]) == sorted(row[1] for row in _rows() if row[0] is operation)


@pytest.mark.parametrize(
    ("operation", "code", "error"),
    [
        (Operation.BALANCE, 4052, "AccessDenied"),
        (Operation.ADD_TEMPLATE, 40505, "AccountUnavailable"),
        (Operation.DELETE_TEMPLATE, 408, "AccountUnavailable"),
        (Operation.ADD_TEMPLATE, 4051, "BalanceExhausted"),
    ],
)
def test_a_code_that_another_operation_calls_stop_is_stop(
    operation: Operation, code: int, error: str
) -> None:
    """The operation's own table lacks it."""
    raised = vendor_error(operation, code, "")
    assert type(raised) is getattr(ihuyi_voice, error)
    assert (raised.action, raised.operation) == (Action.STOP, operation)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [(4080, 1), (4081, 60), (4082, 86_400), (4083, 60), (4084, 86_400), (4085, 60), (4010, 60)],
)
def test_a_rate_code_closes_for_its_window(code: int, seconds: int) -> None:
    """One that nobody knows closes for a minute; only 4010 speaks of the whole account."""
    assert window_of(code) == seconds
    assert closes_the_account(code) is (code == 4010)


@pytest.mark.parametrize("operation", list(Operation))
async def test_a_code_that_nobody_listed_is_carried(operation: Operation) -> None:
    """Lost is neither the code nor the vendor's text."""
    body = '{"code":49999,"msg":"新的代码"}'.encode()
    async with answering(lambda _: httpx.Response(200, content=body)) as client:
        with pytest.raises(VendorError, match="49999: 新的代码") as caught:
            await CALLS[operation](client)
    assert type(caught.value) is VendorError
    assert caught.value.action is Action.FIX_REQUEST


def test_errors_survive_pickling() -> None:
    """A task queue may carry one to another process."""
    error = ihuyi_voice.RateLimited(4080, "text", Operation.SUBMIT, Action.WAIT)
    error.attempts = 3
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(copy), copy.code, str(copy), copy.attempts) == (type(error), 4080, str(error), 3)
