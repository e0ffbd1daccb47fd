"""Which column of a table holds what: by the names of its header, ours or people's own."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.earlier import earlier
from ihuyi_voice.inputs.templates import VARIABLE, Template

OWN: Final = ("mobile", "content", "reference")

_ALIASES: Final = {
    "mobile": frozenset({
        "mobile", "mobileno", "mobilenumber", "mobilephone", "phone", "phoneno", "phonenumber",
        "tel", "telephone", "cell", "cellphone",
        "手机", "手机号", "手机号码", "移动电话", "电话", "电话号", "电话号码",
        "联系电话", "联系手机", "联系方式", "客户电话", "客户手机", "客户手机号",
        "收件人电话", "收货人电话", "收货人手机", "被叫", "被叫号码",
    }),
    "content": frozenset({
        "content", "text", "message", "内容", "通知内容", "语音内容", "短信内容", "文本",
    }),
    "reference": frozenset({"reference", "ref", "参考号", "外部编号"}),
}  # fmt: skip
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\u2066-\u2069\ufeff\u00ad]")
_TRIFLES: Final = re.compile(r"[\s_.\-（）()：:*]+")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]{1,40})\}")


@attrs.frozen
class Layout:
    """Which column holds what, by place.

    Attributes:
        names: All of them.
        mobile: The number's.
        content: The content's; None if a template makes it.
        reference: The reference's, if there is one.
        values: Those of the template's values, in order.
        results: Those of an earlier run's results, which are nobody's value.
    """

    names: tuple[str, ...]
    mobile: int
    content: int | None
    reference: int | None
    values: tuple[int, ...]
    results: range = range(0)


def cleaned(name: str) -> str:
    """Return a name without what nobody sees in it."""
    return " ".join(_INVISIBLE.sub("", name).split())


def named_values(text: str) -> tuple[str, dict[str, str]]:
    """Return a template that names columns, `您好{姓名}`, with 【变量】, and which value is whose.

    Raises:
        InvalidRequest: It has both kinds of places.
    """
    names = _PLACEHOLDER.findall(text)
    if names and VARIABLE in text:
        raise InvalidRequest(
            f"the template has both {VARIABLE} and {{{names[0]}}}; use one of them"
        )
    columns = {str(place): cleaned(name) for place, name in enumerate(names, 1)}
    return _PLACEHOLDER.sub(VARIABLE, text), columns


class MissingColumn(InvalidRequest):
    """A content names a column that the table doesn't have: the table's fault, not the row's."""


def filled(content: str, names: Sequence[str], cells: Sequence[str]) -> str:
    """Return a content whose places, like {姓名}, hold what the row has in that column.

    Raises:
        MissingColumn: There is no such column, or there are two.
        InvalidRequest: A cell can't be said in such a place.
    """
    wanted = [cleaned(name) for name in _PLACEHOLDER.findall(content)]
    if not wanted:
        return content
    for name in wanted:
        if names.count(name) != 1:
            listed = ", ".join(names) or "none"
            count = "two columns" if name in names else "no column"
            raise MissingColumn(
                f"a content has {{{name}}}, and there is {count} {name!r}; there are: {listed}",
                field="content",
            )
    template = Template(named_values(content)[0])
    return template.render(*[cells[names.index(name)].strip() for name in wanted])


@attrs.frozen
class Columns:
    """What is wanted of a header.

    Attributes:
        file: The file's name, for errors.
        template: Makes the content; None if a column has it.
        named: Other names of columns.
    """

    file: str
    template: Template | None
    named: Mapping[str, str]

    def layout(self, header: Sequence[str]) -> Layout:
        """Return which column of a header holds what.

        Raises:
            InvalidRequest: One that is needed is missing, or two would do.
        """
        names = tuple(cleaned(name) for name in header)
        self._check_named()
        mobile = self._find(names, "mobile")
        content = None if self.template else self._find(names, "content")
        reference = self._find_if_there(names, "reference")
        results = earlier(names)
        taken = {mobile, reference, content, self._find_if_there(names, "content"), *results}
        values = self._values(names, taken) if self.template else ()
        return Layout(names, mobile, content, reference, values, results)

    def _places(self) -> list[str]:
        """Return what the template's values are called: 1, 2 and so on."""
        count = self.template.variables if self.template else 0
        return [str(place) for place in range(1, count + 1)]

    def _check_named(self) -> None:
        places = self._places()
        known = (*OWN, *places)
        strange = next((name for name in self.named if name not in known), None)
        if strange is not None and strange.isdigit():
            raise InvalidRequest(self._too_high(strange, len(places)), field="columns")
        if strange is not None:
            raise InvalidRequest(
                f"no column is needed for {strange!r}; there are: {', '.join(known)}",
                field="columns",
            )
        named = [place for place in places if place in self.named]
        if named and named != places:
            raise InvalidRequest(
                f"the template takes {len(places)} values, and only {', '.join(named)} has a "
                "column named; name all of them or none",
                field="columns",
            )

    def _too_high(self, place: str, count: int) -> str:
        if self.template is None:
            return f"{place}=… names a value of a template, and there is no template"
        if not count:
            return f"{place}=… names a value, and there is no {VARIABLE} in the template"
        return f"{place}=… names a value, and the template takes only {count}"

    def _find(self, names: tuple[str, ...], wanted: str) -> int:
        found = self._fitting(names, wanted)
        if len(found) == 1:
            return found[0]
        listed = ", ".join(names) or "none"
        name = cleaned(self.named.get(wanted, wanted))
        if len({names[place] for place in found}) > 1:
            several = ", ".join(names[place] for place in found)
            raise InvalidRequest(
                f"{self.file} has several columns for the {wanted}: {several}; say which by"
                f" {wanted}=…",
                field="columns",
            )
        count = "two columns" if found else "no column"
        shown = names[found[0]] if found else name
        raise InvalidRequest(
            f"{self.file} has {count} {shown!r} for the {wanted}; it has: {listed}", field="columns"
        )

    def _find_if_there(self, names: tuple[str, ...], wanted: str) -> int | None:
        if wanted not in self.named and len(self._fitting(names, wanted)) != 1:
            return None
        return self._find(names, wanted)

    def _fitting(self, names: tuple[str, ...], wanted: str) -> list[int]:
        """Return the columns of that name, or else those whose own names mean the same."""
        name = cleaned(self.named.get(wanted, wanted))
        exact = [place for place, each in enumerate(names) if each == name]
        if exact or wanted in self.named:
            return exact
        aliases = _ALIASES.get(wanted, frozenset())
        return [
            place
            for place, each in enumerate(names)
            if _TRIFLES.sub("", each).casefold() in aliases
        ]

    def _values(self, names: tuple[str, ...], taken: set[int | None]) -> tuple[int, ...]:
        wanted = self._places()
        if all(place in self.named for place in wanted):
            return tuple(self._find(names, place) for place in wanted)
        rest = [place for place, name in enumerate(names) if place not in taken and name]
        if len(rest) != len(wanted):
            listed = ", ".join(names[place] for place in rest) or "none"
            raise InvalidRequest(
                f"the template takes {len(wanted)} values, and {self.file} has "
                f"{len(rest)} columns for them ({listed}); say which by 1=…, 2=…",
                field="columns",
            )
        return tuple(rest)
