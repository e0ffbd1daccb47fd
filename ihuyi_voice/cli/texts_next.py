"""What to do next about one call, where that isn't what a list's last lines advise.

`next.4081` is what to do about 4081 in any operation but those that have a text of their own, and
about codes that are not here, `texts_causes` says it.
"""

from typing import Final

_NUMBER: Final = ("correct the number", "修改号码")
_WORDS: Final = ("change the content", "修改内容")
_LATER: Final = ("call this number again later", "稍后再呼叫此号码")

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "next.line": ("What to do: {words}", "处理办法：{words}"),
    "next.0": ("send it again", "可以直接重发"),
    "next.403": _NUMBER,
    "next.4030": (
        "leave the number out: it doesn't want to be called",
        "移除该号码：机主已拒绝接听",
    ),
    "next.404": ("give a content", "填写语音内容"),
    "next.40501": (
        "set this machine's clock by the network (NTP)",
        "通过网络校准本机时钟（NTP）",
    ),
    "next.4051": ("buy more notifications at the vendor", "在平台充值"),
    "next.406": _NUMBER,
    "next.4070": _WORDS,
    "next.4073": ("shorten the content", "缩短内容"),
    "next.4074": ("take the emoji out of it", "去掉内容中的表情符号"),
    "next.4075": _WORDS,
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
        "代码未列出，请咨询平台",
    ),
    "next.template": (
        "look at the vendor's console: it may have been done",
        "请到供应商控制台查看：可能已经生效",
    ),
    "next.HELD": ("send it again after {when}", "{when} 之后再发"),
    "next.OutcomeUnknown": (
        "wait for its delivery report before it is sent again: the phone may ring already",
        "等待回执后再决定是否重发：电话可能已经响了",
    ),
}
