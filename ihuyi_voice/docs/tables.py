"""Tables of the pages that are made of the code, so that they can't tell another story.

Each directive (`{codes} submit`, `{errors}`) is a function from its argument and the
language to a Markdown table.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from ihuyi_voice import errors
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
    "errors": (("error", "outcome", "meaning"), ("异常", "结果", "含义（英文）")),
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


def _told(kind: type[errors.VoiceError]) -> str:
    return (kind.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n    ", " ")


def every_error(_: str, chinese: bool) -> list[str]:
    """Every exception of `errors`, with the outcome that it means."""
    rows = (
        (f"`{kind.__name__}`", _status(kind), _told(kind))
        for kind in _family(errors.VoiceError)
        if kind is not errors.VoiceError
    )
    return _table(_HEADS["errors"][chinese], rows)


MADE: Final[dict[str, Callable[[str, bool], list[str]]]] = {"codes": codes, "errors": every_error}


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
