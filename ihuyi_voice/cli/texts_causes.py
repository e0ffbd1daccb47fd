"""What a code or a failure means, and what to do about it: for the last lines of a run.

`cause.` and a code, or the name of an error's class, says what it means; `advice.` what comes next.
"""

from typing import Final

_KEY: Final = (
    "check IHUYI_ACCOUNT and IHUYI_API_KEY against the vendor's console",
    "检查 IHUYI_ACCOUNT 和 IHUYI_API_KEY 是否与平台控制台一致",
)
_CLOCK: Final = (
    "set this machine's clock, then send what is left",
    "校准本机时钟，然后发送其余部分",
)
_ADDRESS: Final = (
    "register this machine's address in the vendor's console, or send from one that is",
    "在平台控制台登记本机 IP，或改用已登记的机器发送",
)
_SERVICE: Final = (
    "call the vendor's service; nothing passes until then",
    "联系平台客服；解决之前所有通知都会失败",
)
_NUMBER: Final = (
    "correct the number or take the row out of the list",
    "更正号码，或从名单中删除该行",
)
_TEXT: Final = (
    "change the content, or have its template approved: ihuyi-voice template add",
    "修改内容，或提交模板审核：ihuyi-voice template add",
)
_TEMPLATE: Final = (
    "compare them: ihuyi-voice template check; or have the template approved: template add",
    "用 ihuyi-voice template check 比对；或用 template add 提交模板审核",
)
_LATER: Final = (
    "send what is left later",
    "稍后再发送其余部分",
)
_NO_REPLY: Final = ("no usable reply came", "没有收到可用的回复")
_REPORTS: Final = (
    "those phones may ring: look at the delivery reports before any of it is sent again",
    "这些电话可能会响：重发之前请先查看回执",
)
_ROWS: Final = (
    "correct these rows, then send them again",
    "更正这些行后再发送",
)

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "cause.0": ("the vendor could not take it this time", "平台此次未能受理"),
    "advice.0": _LATER,
    "cause.400": ("this machine's address may not use the account", "本机 IP 无权使用该账号"),
    "advice.400": _ADDRESS,
    "cause.401": ("no account was given", "没有提供账号"),
    "advice.401": _KEY,
    "cause.402": ("no key was given", "没有提供密钥"),
    "advice.402": _KEY,
    "cause.403": ("no number was given", "没有提供号码"),
    "advice.403": _NUMBER,
    "cause.4030": ("the number is on the vendor's black list", "号码在平台黑名单中"),
    "advice.4030": _NUMBER,
    "cause.404": ("the content is empty", "内容为空"),
    "advice.404": _TEXT,
    "cause.405": ("account or key is wrong", "账号或密钥不正确"),
    "advice.405": _KEY,
    "cause.4050": ("the account is frozen", "账号被冻结"),
    "advice.4050": _SERVICE,
    "cause.40501": ("the dynamic password is too old: a clock is wrong", "动态密码过期：时钟不准"),
    "advice.40501": _CLOCK,
    "cause.40502": (
        "the dynamic password is wrong: the key, mostly",
        "动态密码不正确：多因密钥有误",
    ),
    "advice.40502": _KEY,
    "cause.40505": ("the account has no contract", "账号没有签订合同"),
    "advice.40505": _SERVICE,
    "cause.4051": ("no notifications are left on the account", "账号剩余条数不足"),
    "advice.4051": (
        "recharge the account, then send what is left",
        "充值后再发送其余部分",
    ),
    "cause.4052": ("this machine's address is not the registered one", "本机 IP 与备案 IP 不符"),
    "advice.4052": _ADDRESS,
    "cause.4053": ("there is no such account", "账号不存在"),
    "advice.4053": _KEY,
    "cause.406": ("the vendor takes no such number", "平台不接受该号码格式"),
    "advice.406": _NUMBER,
    "cause.407": ("the content has words that may not be said", "内容含有敏感词"),
    "advice.407": _TEXT,
    "cause.4071": ("no template has been handed in", "没有提交过模板"),
    "advice.4071": _TEMPLATE,
    "cause.4072": ("the template isn't approved for this content", "内容与已审核的模板不符"),
    "advice.4072": _TEMPLATE,
    "cause.40722": ("a value in the template is too long", "模板中的变量内容过长"),
    "advice.40722": _TEMPLATE,
    "cause.4077": ("the content is not registered with the carrier", "内容未在运营商报备"),
    "advice.4077": _TEXT,
    "cause.408": ("the vendor has frozen the account", "账号已被平台冻结"),
    "advice.408": _SERVICE,
    "cause.4010": ("the account sends too fast", "账号发送过快"),
    "advice.4010": (
        "send what is left later, and slower: --max-rate",
        "稍后以 --max-rate 降低速度，再发送其余部分",
    ),
    "cause.quiet": ("nobody is called in quiet hours", "免打扰时段内不呼叫"),
    "advice.quiet": (
        "send what is left when they are over; an alarm goes without --quiet-hours",
        "时段结束后再发送其余部分；紧急通知请不加 --quiet-hours 发送",
    ),
    "cause.4080": ("one call a second to a number", "同一号码每秒最多 1 次"),
    "advice.4080": _LATER,
    "cause.4081": ("three calls a minute to a number", "同一号码每分钟最多 3 次"),
    "advice.4081": _LATER,
    "cause.4082": ("ten calls a day to a number", "同一号码每天最多 10 次"),
    "advice.4082": (
        "send what is left tomorrow",
        "明天再发送其余部分",
    ),
    "cause.NotSent": ("the vendor could not be reached", "无法连接平台"),
    "advice.NotSent": (
        "check the network, the proxy and --base-url; nothing rang, it is safe to send again",
        "检查网络、代理和 --base-url；没有拨打，可以放心重发",
    ),
    "cause.OutcomeUnknown": _NO_REPLY,
    "advice.OutcomeUnknown": _REPORTS,
    "cause.UnreadableReply": _NO_REPLY,
    "advice.UnreadableReply": _REPORTS,
    "cause.LedgerUnavailable": ("the ledger could not be written", "账本无法写入"),
    "advice.LedgerUnavailable": (
        "see to its disk or database, then run the same command again",
        "检查磁盘或数据库，然后再次运行同一命令",
    ),
    "advice.rows": _ROWS,
    "cause.InvalidRequest": ("rows of the list that can't be sent", "名单中有无法发送的行"),
    "advice.InvalidRequest": _ROWS,
}
