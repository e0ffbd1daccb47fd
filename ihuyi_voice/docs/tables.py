"""Tables of the pages that are made of the code, so that they can't tell another story.

Each directive (`{codes} submit`, `{errors}`, `{clients} cpu`) is a function from its argument and
the language to a Markdown table.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from ihuyi_voice import errors
from ihuyi_voice.cli.texts_causes import TEXTS
from ihuyi_voice.docs import figures
from ihuyi_voice.models import Action, Operation
from ihuyi_voice.protocol.codes import TABLES

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_OPERATIONS: Final = {
    "submit": Operation.SUBMIT,
    "balance": Operation.BALANCE,
    "add-template": Operation.ADD_TEMPLATE,
    "delete-template": Operation.DELETE_TEMPLATE,
}
_HEADS: Final = {
    "codes": (
        ("code", "the vendor's text", "raised", "action"),
        ("代码", "平台原文", "异常", "处理方式"),
    ),
    "errors": (("error", "outcome", "meaning"), ("异常", "结果", "含义")),
    "troubles": (("code", "it means", "do"), ("代码", "含义", "处理")),
}
_ACTIONS: Final = {
    Action.FIX_REQUEST: (
        "FIX_REQUEST: this request never passes as it is",
        "FIX_REQUEST：此请求须改正",
    ),
    Action.WAIT: ("WAIT: may pass later", "WAIT：稍后可再提交"),
    Action.RETRY: ("RETRY: tried again by itself", "RETRY：自动重试"),
    Action.STOP: ("STOP: nothing passes until a person acts", "STOP：须人工处理，批量立即停止"),
}

_IN_CHINESE: Final = {
    "InvalidRequest": "输入无法发送，没有发出",
    "NotSent": "请求确定没有到达平台：无法连接、连接池无空位、任务已停止",
    "RunStopped": "轮到这条消息之前，批量任务已结束；`__cause__` 说明原因",
    "GuardUnavailable": "发出之前，限流器无法访问或出错；`__cause__` 说明详情",
    "LedgerUnavailable": "发出之前，账本无法查询或写入",
    "LedgerClosed": "账本没有打开：尚未进入，或已经离开",
    "CallInFlight": "同一个键的另一次调用在途，且在 `max_wait` 之内没有结束",
    "RunInUse": "另一个活着的进程正在做这个任务；文字说明何时开始、最后一次心跳",
    "OutcomeUnknown": "请求可能已到达平台，但没有得到可用的答复",
    "UnreadableReply": "收到了答复，但无法使用：空白、截断、错误页面，或答非所问",
    "VendorError": "平台返回了表示失败的代码",
    "SubmissionFailed": "0 提交失败：平台此次未能受理",
    "AccessDenied": "400、4052：本机 IP 无权使用该账号",
    "InvalidCredentials": "401、402、405、4053、40501、40502：账号、密钥或动态密码不正确",
    "AccountUnavailable": "4050、40505、Submit 的 408：账号被冻结，或没有合同",
    "BalanceExhausted": "4051：剩余条数不足",
    "InvalidMobile": "403、406：平台不接受该号码",
    "Blacklisted": "4030：号码在平台的黑名单中",
    "ContentRejected": "404、407、4077：内容为空、含敏感词或未报备",
    "TemplateMismatch": "4071、4072、40722：没有模板，或内容与模板不符",
    "TemplateExists": "AddTemplate 的 408：账号已有这个模板",
    "TemplateNotFound": "DelTemplate 的 404：没有这个编号的模板",
    "RateLimited": "对该号码拨打过于频繁：由限流器事先告知，或由平台拒绝",
    "StorageUnavailable": "数据库无法完成操作",
    "StorageClosed": "数据库已经关闭",
    "InboxUnavailable": "收件箱的数据库无法完成操作：没有保存，或没有读到",
    "InboxClosed": "收件箱没有打开：尚未进入，或已经离开",
}


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> list[str]:
    return [_row(head), _row("---" for _ in head), *map(_row, rows)]


def codes(operation: str, chinese: bool) -> list[str]:
    """The codes of one operation, as its table in `protocol.codes` has them."""
    rows = (
        (str(row.code), row.text, f"`{row.error.__name__}`", _ACTIONS[row.action][chinese])
        for row in TABLES[_OPERATIONS[operation]].values()
    )
    return _table(_HEADS["codes"][chinese], rows)


def _family(kind: type[errors.VoiceError]) -> Iterator[type[errors.VoiceError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _family(child)


def _status(kind: type[errors.VoiceError]) -> str:
    """Its outcome; where that depends on who said it, both."""
    status: Any = kind.status  # a property where it depends
    return str(getattr(status, "value", "REJECTED, HELD"))


def _told(kind: type[errors.VoiceError], chinese: bool) -> str:
    if chinese:
        return _IN_CHINESE[kind.__name__]
    return (kind.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n    ", " ")


def every_error(_: str, chinese: bool) -> list[str]:
    """Every exception of `errors`, with the outcome that it means."""
    rows = (
        (f"`{kind.__name__}`", _status(kind), _told(kind, chinese))
        for kind in _family(errors.VoiceError)
        if kind is not errors.VoiceError
    )
    return _table(_HEADS["errors"][chinese], rows)


def clients(measure: str, chinese: bool) -> list[str]:
    """What a submission costs with ours and with others, as it was measured: `cpu` or `latency`."""
    return {"cpu": figures.table, "latency": figures.latencies}[measure](chinese)


def troubles(_: str, chinese: bool) -> list[str]:
    """What a code of Submit's means and what to do about it, in the words of the command."""
    rows = (
        (str(code), TEXTS[f"cause.{code}"][chinese], TEXTS[f"advice.{code}"][chinese])
        for code in TABLES[Operation.SUBMIT]
        if f"cause.{code}" in TEXTS
    )
    return _table(_HEADS["troubles"][chinese], rows)


MADE: Final[dict[str, Callable[[str, bool], list[str]]]] = {
    "clients": clients,
    "codes": codes,
    "errors": every_error,
    "troubles": troubles,
}


class Made(SphinxDirective):
    """A table that is made when the site is built."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make it, and read it as Markdown."""
        chinese = str(self.config.language).startswith("zh")
        argument = str(self.arguments[0]) if self.arguments else ""
        lines = StringList(MADE[self.name](argument, chinese), source=self.name)
        box = nodes.container()
        self.state.nested_parse(lines, self.content_offset, box)
        return list(box.children)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Give the directives to Sphinx."""
    for name in MADE:
        app.add_directive(name, Made)
    return {"parallel_read_safe": True}
