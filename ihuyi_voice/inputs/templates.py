"""Templates with 【变量】 in them: render values into one, and match a content against it (1.6)."""

import unicodedata
from bisect import bisect_left
from typing import Final

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs.kinds import check_text
from ihuyi_voice.inputs.options import counted

VARIABLE: Final = "【变量】"


def _check_text(_: object, __: object, text: str) -> None:
    check_text("template", text)
    if not text.replace(VARIABLE, "").strip():
        raise InvalidRequest("a template needs some text beside its variables", field="template")
    if VARIABLE * 2 in text:
        raise InvalidRequest(
            f"two {VARIABLE} stand side by side, and nobody could tell their values apart; "
            "put text between them",
            field="template",
        )


@attrs.frozen
class Template:
    """A content with places for values, as the vendor approves them (section 1.6).

    Values consist of digits, letters and Chinese characters; one at least.

    Attributes:
        text: The template with 【变量】 where values go.
        max_value_length: The longest value in characters; longer ones would be refused with
            40722. None for no check: the vendor's document names no number.
    """

    text: str = attrs.field(validator=_check_text)
    max_value_length: int | None = attrs.field(default=None, validator=counted)
    _literals: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        # attrs' documented way to set a derived field of a frozen class.
        object.__setattr__(self, "_literals", tuple(self.text.split(VARIABLE)))

    @property
    def variables(self) -> int:
        """How many values it takes."""
        return len(self._literals) - 1

    def render(self, *values: str | int) -> str:
        """Return the content with `values` in the places of 【变量】, in order.

        Raises:
            InvalidRequest: There are too few or too many, or one can't be a value; the error
                says which and why.
        """
        if len(values) != self.variables:
            raise InvalidRequest(
                f"the template takes {self.variables} values, {len(values)} were given",
                field="values",
            )
        texts = [self._checked(value, place) for place, value in enumerate(values, 1)]
        parts = zip(self._literals, [*texts, ""], strict=True)
        return "".join(literal + text for literal, text in parts)

    def match(self, content: str) -> tuple[str, ...] | None:
        """Return the values that make this template into `content`, or None if none do.

        Where several sets of values would, the last value is the shortest possible, then the one
        before it, and so on. The time it takes grows with the content's length, not faster.
        """
        found = self._find(content)
        return found if isinstance(found, tuple) else None

    def check(self, content: str) -> tuple[str, ...]:
        """Return the values as `match` does, and say where the content departs if none fit.

        Raises:
            InvalidRequest: The vendor would refuse it with 4072 or, for a value that is too
                long, with 40722.
        """
        found = self._find(content)
        if isinstance(found, tuple):
            return found
        raise InvalidRequest(found, field="content")

    def _checked(self, value: str | int, place: int) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
            # Or a None from a database would be said as "None".
            raise InvalidRequest(
                f"value {place} is of type {type(value).__name__}; give text or an int",
                field="values",
            )
        text = str(value)
        limit = self.max_value_length
        fault = _fault(text)
        if fault is None and limit is not None and len(text) > limit:
            fault = _too_long(len(text), limit)
        if fault is not None:
            raise InvalidRequest(f"value {place} {fault}", field="values")
        return text

    def _find(self, content: str) -> tuple[str, ...] | str:
        """Return the values, or why there are none.

        Literals are laid from left to right. Of the places where the one before may end, the
        nearest is always the best: its gap is the shortest and the least likely to hold a
        character that no value may have. So one pass over the content a literal is enough.
        """
        check_text("content", content)
        first, *others = self._literals
        if not content.startswith(first):
            return _departs(f"{first[:20]!r} is missing at its beginning")
        if not others and content != first:
            return _departs(f"it goes on behind {first[-20:]!r}")
        bad = [place for place, char in enumerate(content) if not _may_stand_in_value(char)]
        ends, trail = [len(first)], list[dict[int, int]]()
        for place, literal in enumerate(others, 1):
            starts = _places(content, literal, anchored=place == len(others))
            hops = _hops(bad, ends, starts)
            kept = self._short_enough(hops)
            if not kept:
                return self._why(content, place, ends[0], starts, hops)
            trail.append(kept)
            ends = [start + len(literal) for start in kept]
        return self._values(content, trail)

    def _short_enough(self, hops: dict[int, int]) -> dict[int, int]:
        limit = self.max_value_length
        if limit is None:
            return hops
        return {start: end for start, end in hops.items() if start - end <= limit}

    def _why(
        self, content: str, place: int, end: int, starts: list[int], hops: dict[int, int]
    ) -> str:
        if hops and self.max_value_length is not None:
            shortest = min(start - end for start, end in hops.items())
            return f"value {place} {_too_long(shortest, self.max_value_length)}"
        start = next((start for start in starts if start >= end), None)
        if start is not None:  # the literal is there, so what stands before it is no value
            return _departs(f"value {place} {_fault(content[end:start])}")
        where = "at its end" if place == self.variables else f"behind value {place}"
        return _departs(f"{self._literals[place][:20]!r} is missing {where}")

    def _values(self, content: str, trail: list[dict[int, int]]) -> tuple[str, ...]:
        values: list[str] = []
        start = next(iter(trail[-1]), 0) if trail else 0
        for place in range(len(trail), 0, -1):
            end = trail[place - 1][start]
            values.append(content[end:start])
            start = end - len(self._literals[place - 1])
        return tuple(reversed(values))


def _may_stand_in_value(char: str) -> bool:
    # Section 1.6: digits, letters, Chinese characters. Full-width forms are punctuation to the
    # vendor's matcher for all we know, so they are refused.
    if char.isascii():
        return char.isalnum()
    return unicodedata.category(char) == "Lo" and unicodedata.name(char, "").startswith("CJK")


def _fault(value: str) -> str | None:
    if not value:
        return "is empty"
    bad = next((char for char in value if not _may_stand_in_value(char)), None)
    if bad is None:
        return None
    return f"has {bad!r}; digits, letters and Chinese characters are allowed"


def _places(content: str, literal: str, *, anchored: bool) -> list[int]:
    """Return where `literal` stands, overlaps included; only at the very end if `anchored`."""
    if anchored:
        return [len(content) - len(literal)] if content.endswith(literal) else []
    places: list[int] = []
    start = content.find(literal)
    while start >= 0:
        places.append(start)
        start = content.find(literal, start + 1)
    return places


def _hops(bad: list[int], ends: list[int], starts: list[int]) -> dict[int, int]:
    """Return each start that a value can reach, with the nearest of `ends` before it.

    `bad` are the places of characters that no value may have.
    """
    hops: dict[int, int] = {}
    for start in starts:
        nearest = bisect_left(ends, start) - 1
        last_bad = bisect_left(bad, start) - 1
        if nearest >= 0 and (last_bad < 0 or bad[last_bad] < ends[nearest]):
            hops[start] = ends[nearest]
    return hops


def _departs(how: str) -> str:
    return f"the content doesn't follow the template (the vendor's 4072): {how}"


def _too_long(length: int, limit: int) -> str:
    return f"has {length} characters, at most {limit} are allowed (the vendor's 40722)"
