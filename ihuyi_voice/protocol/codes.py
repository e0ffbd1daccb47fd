"""The vendor's codes: one table an operation, to be held against its document row by row."""

from typing import Final

import attrs

from ihuyi_voice import errors
from ihuyi_voice.errors import VendorError
from ihuyi_voice.models import Action, Operation

SUCCESS: Final = 2

FIX, WAIT, RETRY, STOP = Action.FIX_REQUEST, Action.WAIT, Action.RETRY, Action.STOP


@attrs.frozen
class CodeRow:
    """One row: the code, the vendor's text, what we raise, and what it asks of the caller."""

    code: int
    text: str
    error: type[VendorError]
    action: Action


def _table(*rows: tuple[int, str, type[VendorError], Action]) -> dict[int, CodeRow]:
    return {row[0]: CodeRow(*row) for row in rows}


# Codes seen in the wild and in no table of the document; they mean the same in every operation.
_OBSERVED: Final = (
    (40501, "动态密码已过期", errors.InvalidCredentials, STOP),
    (40502, "动态密码不正确", errors.InvalidCredentials, STOP),
    (4053, "用户不存在", errors.InvalidCredentials, STOP),
)

SUBMIT: Final = _table(  # section 2.5
    (0, "提交失败", errors.SubmissionFailed, RETRY),
    (400, "非法ip访问", errors.AccessDenied, STOP),
    (401, "帐号不能为空", errors.InvalidCredentials, STOP),
    (402, "密码不能为空", errors.InvalidCredentials, STOP),
    (403, "手机号码不能为空", errors.InvalidMobile, FIX),
    (4030, "手机号码已被列入黑名单", errors.Blacklisted, FIX),
    (404, "语音内容不能为空", errors.ContentRejected, FIX),
    (405, "用户名或密码不正确", errors.InvalidCredentials, STOP),
    (4050, "账号被冻结", errors.AccountUnavailable, STOP),
    (40505, "没有签定合同", errors.AccountUnavailable, STOP),
    (4051, "剩余条数不足", errors.BalanceExhausted, STOP),
    (4052, "访问 ip 与备案 ip 不符", errors.AccessDenied, STOP),
    (406, "手机格式不正确", errors.InvalidMobile, FIX),
    (407, "短信内容含有敏感字符", errors.ContentRejected, FIX),
    (4071, "没有提交备案模板", errors.TemplateMismatch, FIX),
    (4072, "提交的语音内容必须与报备过的模板格式相匹配", errors.TemplateMismatch, FIX),
    (40722, "变量内容超过指定的长度", errors.TemplateMismatch, FIX),
    (4077, "发送内容未在运营商报备", errors.ContentRejected, FIX),
    (
        408,
        "您的帐户疑被恶意利用,已被自动冻结,如有疑问请与客服联系",
        errors.AccountUnavailable,
        STOP,
    ),
    (4080, "同一手机号码同一秒钟之内发送频率不能超过1条", errors.RateLimited, WAIT),
    (4081, "同一手机号一分钟之内发送超过3条", errors.RateLimited, WAIT),
    (4082, "超出同一手机号一天之内10条短信限制", errors.RateLimited, WAIT),
    *_OBSERVED,
    (4010, "通道发送频率超出限制,请稍后再试", errors.RateLimited, WAIT),
    (4070, "签名格式不正确", VendorError, FIX),
    (4073, "内容超过长度限制", VendorError, FIX),
    (4074, "内容含有表情符号", VendorError, FIX),
    (4075, "签名未通过审核", VendorError, FIX),
    (4083, "同一手机号一分钟之内不能重复发送相同内容", errors.RateLimited, WAIT),
    (4084, "同一手机号一天之内相同内容不能超过5条", errors.RateLimited, WAIT),
    (4085, "发送过于频繁", errors.RateLimited, WAIT),
    (4086, "发送过于频繁", errors.RateLimited, WAIT),
)

BALANCE: Final = _table(  # section 3.5
    (400, "非法ip访问", errors.AccessDenied, STOP),
    (401, "帐号不能为空", errors.InvalidCredentials, STOP),
    (402, "密码不能为空", errors.InvalidCredentials, STOP),
    (405, "用户名或密码不正确", errors.InvalidCredentials, STOP),
    (4050, "账号被冻结", errors.AccountUnavailable, STOP),
    *_OBSERVED,
)

ADD_TEMPLATE: Final = _table(  # section 4.4
    (400, "非法ip访问", errors.AccessDenied, STOP),
    (401, "用户名不能为空", errors.InvalidCredentials, STOP),
    (402, "密码不能为空", errors.InvalidCredentials, STOP),
    (404, "模板内容不能为空", errors.ContentRejected, FIX),
    (405, "用户名或密码不正确", errors.InvalidCredentials, STOP),
    (4050, "账号被冻结", errors.AccountUnavailable, STOP),
    (407, "模板内容含有敏感字符", errors.ContentRejected, FIX),
    (408, "模板己存在", errors.TemplateExists, FIX),
    *_OBSERVED,
)

DELETE_TEMPLATE: Final = _table(  # section 5.4
    (400, "非法ip访问", errors.AccessDenied, STOP),
    (401, "用户名不能为空", errors.InvalidCredentials, STOP),
    (402, "密码不能为空", errors.InvalidCredentials, STOP),
    (404, "模板ID不能为空或模板ID不存在", errors.TemplateNotFound, FIX),
    (405, "用户名或密码不正确", errors.InvalidCredentials, STOP),
    (4050, "账号被冻结", errors.AccountUnavailable, STOP),
    *_OBSERVED,
)

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_WINDOWS: Final = {4080: 1.0, 4081: _MINUTE, 4082: _DAY, 4083: _MINUTE, 4084: _DAY}
_OF_THE_ACCOUNT: Final = frozenset({4010})


def window_of(code: int) -> float:
    """Return how long a rate code closes a number, or the account, in seconds (section 2.5).

    Others use the number too, at times unknown to us: only the whole length of the window from the
    reply on is surely enough. A code whose window nobody knows (4085, 4086) counts as a minute.
    """
    return _WINDOWS.get(code, _MINUTE)


def closes_the_account(code: int) -> bool:
    """Say whether a rate code speaks of the whole account's channel, not of one number."""
    return code in _OF_THE_ACCOUNT


TABLES: Final = {
    Operation.SUBMIT: SUBMIT,
    Operation.BALANCE: BALANCE,
    Operation.ADD_TEMPLATE: ADD_TEMPLATE,
    Operation.DELETE_TEMPLATE: DELETE_TEMPLATE,
}

_STOPS: Final = {
    code: row for table in TABLES.values() for code, row in table.items() if row.action is STOP
}


def vendor_error(operation: Operation, code: int, msg: str) -> VendorError:
    """Return the exception for a code; unlisted codes come out as VendorError itself.

    A code that this operation's table lacks and another's calls STOP means the same here.

    Args:
        operation: What was asked.
        code: The vendor's code.
        msg: The vendor's text, redacted; if it is empty, the document's text stands in.
    """
    row = TABLES[operation].get(code) or _STOPS.get(code)
    if row is None:
        return VendorError(code, msg, operation, Action.FIX_REQUEST)
    return row.error(code, msg or row.text, operation, row.action)
