"""What to do next, for each of the vendor's codes and each kind of error: (English, Chinese).

`next.408` is what to do about 408 in any operation but those that have a text of their own.
"""

from typing import Final

_KEY: Final = (
    "check IHUYI_ACCOUNT and IHUYI_API_KEY against the vendor's console",
    "检查 IHUYI_ACCOUNT 和 IHUYI_API_KEY，与供应商控制台核对",
)
_ADDRESS: Final = (
    "have the vendor register this machine's address",
    "请供应商登记本机的出口 IP 地址",
)
_FROZEN: Final = ("ask the vendor's support about the account", "联系供应商客服处理账号")
_NUMBER: Final = ("correct the number", "修改号码")
_WORDS: Final = ("change the content", "修改内容")
_LATER: Final = ("call this number again later", "稍后再呼叫此号码")

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "next.line": ("What to do: {words}", "处理办法：{words}"),
    "next.0": ("send it again", "可以直接重发"),
    "next.400": _ADDRESS,
    "next.401": ("set IHUYI_ACCOUNT", "设置 IHUYI_ACCOUNT"),
    "next.402": ("set IHUYI_API_KEY", "设置 IHUYI_API_KEY"),
    "next.403": _NUMBER,
    "next.4030": (
        "leave the number out: it doesn't want to be called",
        "移除该号码：机主已拒绝接听",
    ),
    "next.404": ("give a content", "填写语音内容"),
    "next.405": _KEY,
    "next.4050": _FROZEN,
    "next.40501": (
        "set this machine's clock by the network (NTP)",
        "通过网络校准本机时钟（NTP）",
    ),
    "next.40502": _KEY,
    "next.40505": _FROZEN,
    "next.4051": ("buy more notifications at the vendor", "在供应商处充值"),
    "next.4052": _ADDRESS,
    "next.4053": _KEY,
    "next.406": _NUMBER,
    "next.407": ("take the sensitive words out of it", "去掉内容中的敏感词"),
    "next.4070": _WORDS,
    "next.4071": (
        "hand in a template first: ihuyi-voice template add",
        "先提交模板：ihuyi-voice template add",
    ),
    "next.4072": (
        "let the content follow an approved template: ihuyi-voice template check",
        "使内容与审核通过的模板一致：ihuyi-voice template check",
    ),
    "next.40722": ("shorten what is filled in", "缩短变量内容"),
    "next.4073": ("shorten the content", "缩短内容"),
    "next.4074": ("take the emoji out of it", "去掉内容中的表情符号"),
    "next.4075": _WORDS,
    "next.4077": (
        "ask the vendor to register the content",
        "请供应商向运营商报备该内容",
    ),
    "next.408": _FROZEN,
    "next.4010": (
        "send again in a minute, with a lower --max-rate",
        "一分钟后再发，并调低 --max-rate",
    ),
    "next.4080": _LATER,
    "next.4081": _LATER,
    "next.4082": ("call this number again tomorrow", "明天再呼叫此号码"),
    "next.4083": _LATER,
    "next.4084": ("say the same to it again tomorrow", "明天再向此号码发送相同内容"),
    "next.4085": _LATER,
    "next.4086": _LATER,
    "next.AddTemplate.404": ("give the template's text", "填写模板内容"),
    "next.AddTemplate.408": (
        "nothing: the account has this template already",
        "无需处理：该模板已存在",
    ),
    "next.DelTemplate.404": ("check the template's id", "检查模板编号"),
    "next.unlisted": (
        "ask the vendor; the code is in no table",
        "代码未列出，请咨询供应商",
    ),
    "next.HELD": ("send it again after {when}", "{when} 之后再发"),
    "next.NotSent": (
        "see what is wrong by ihuyi-voice check, then send it again",
        "先用 ihuyi-voice check 检查，再重发",
    ),
    "next.OutcomeUnknown": (
        "wait for its delivery report before it is sent again: the phone may ring already",
        "等待回执后再决定是否重发：电话可能已经响了",
    ),
}
