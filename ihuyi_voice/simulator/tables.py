"""The vendor's codes and texts, copied from its document for the simulator alone.

The client has tables of its own: sharing one would only prove that we agree with ourselves.
"""

from typing import Final

SUBMIT: Final = {  # section 2.5
    0: "提交失败",
    2: "提交成功",
    400: "非法ip访问",
    401: "帐号不能为空",
    402: "密码不能为空",
    403: "手机号码不能为空",
    4030: "手机号码已被列入黑名单",
    404: "语音内容不能为空",
    405: "用户名或密码不正确",
    4050: "账号被冻结",
    40505: "没有签定合同",
    4051: "剩余条数不足",
    4052: "访问 ip 与备案 ip 不符",
    406: "手机格式不正确",
    407: "短信内容含有敏感字符",
    4071: "没有提交备案模板",
    4072: "提交的语音内容必须与报备过的模板格式相匹配",
    40722: "变量内容超过指定的长度",
    4077: "发送内容未在运营商报备",
    408: "您的帐户疑被恶意利用,已被自动冻结,如有疑问请与客服联系",
    4080: "同一手机号码同一秒钟之内发送频率不能超过1条",
    4081: "同一手机号一分钟之内发送超过3条",
    4082: "超出同一手机号一天之内10条短信限制",
}

GET_NUM: Final = {  # section 3.5
    2: "查询成功",
    400: "非法ip访问",
    401: "帐号不能为空",
    402: "密码不能为空",
    405: "用户名或密码不正确",
    4050: "账号被冻结",
}

ADD_TEMPLATE: Final = {  # section 4.4
    2: "添加成功",
    400: "非法ip访问",
    401: "用户名不能为空",
    402: "密码不能为空",
    404: "模板内容不能为空",
    405: "用户名或密码不正确",
    4050: "账号被冻结",
    407: "模板内容含有敏感字符",
    408: "模板己存在",
}

DEL_TEMPLATE: Final = {  # section 5.4
    2: "删除成功",
    400: "非法ip访问",
    401: "用户名不能为空",
    402: "密码不能为空",
    404: "模板ID不能为空或模板ID不存在",
    405: "用户名或密码不正确",
    4050: "账号被冻结",
}

REPORT: Final = {  # section 6.2
    2: "成功",
    0: "未知错误",
    -1: "关机",
    -2: "停机",
    -3: "暂时无法接通",
    -4: "正在通话",
    -5: "空号",
    -6: "无人接听",
    -8: "呼入限制",
    -9: "网络忙",
    -10: "呼出限制",
    -11: "线路忙",
    -12: "用户拒接",
}

APPROVED: Final = "成功"
"""What an audit says that approves (section 4.5); one that doesn't gives its reason."""

TEXTS: Final = {
    "Submit": SUBMIT,
    "GetNum": GET_NUM,
    "AddTemplate": ADD_TEMPLATE,
    "DelTemplate": DEL_TEMPLATE,
}

# operation -> root of the XML, name of the id, its value on failure (None: there is no id)
SHAPES: Final = {
    "Submit": ("SubmitResult", "voiceid", "0"),
    "GetNum": ("GetNumResult", "num", "0"),
    "AddTemplate": ("AddTemplateResult", "templateid", "0"),
    "DelTemplate": ("AddTemplateResult", None, ""),  # the document names this root
}

SEEN: Final = {  # in the wild, not in the document; the texts are ours where none was captured
    4010: "该通道一分钟之内提交次数超过限制",
    4053: "用户不存在",
    4070: "签名格式不正确",
    4073: "内容过长",
    4074: "内容含有表情符号",
    4075: "签名未通过审核",
    4083: "同一手机号一分钟之内不能提交相同的内容",
    4084: "同一手机号一天之内提交相同的内容超过5条",
    4085: "提交过于频繁",
    4086: "提交过于频繁",
    40501: "动态密码已过期",
    40502: "动态密码不正确",
}
"""What other codes mean, whatever the operation."""

_SAMPLE_CODES: Final = {0, 2}
"""Of 13900000000 and 13900000002, which are everybody's samples and are accepted."""

MAGIC_NUMBERS: Final = {f"139{code:08d}": code for code in sorted({*SUBMIT, *SEEN} - _SAMPLE_CODES)}
"""Numbers to be refused with a code that stands at their end: 13900004072 with 4072."""

MAGIC_RESULTS: Final = {f"1390001{-code:04d}": code for code in REPORT if code < 0}
"""Numbers whose calls end as the number's end says: 13900010006 with -6, nobody answers."""

LIMITS: Final = ((1, 1.0, 4080), (3, 60.0, 4081), (10, 86_400.0, 4082))
"""The windows per number: at most so many calls, within so many seconds, or else this code."""

REPEAT_LIMITS: Final = ((1, 60.0, 4083), (5, 86_400.0, 4084))
"""The same for one content to one number, as some accounts have them (observed)."""
