"""The two languages are one documentation, and what they quote of the code stands there."""

import inspect
import re
from functools import cache
from typing import Any

import pytest

import ihuyi_voice
from ihuyi_voice.bulk import BulkOptions
from tests.docs.examples import PAGES, ROOT

FOLDER = ROOT / "ihuyi_voice" / "docs"
NAMES = sorted(path.name for path in PAGES if path.parent.name == "en")
_FENCE = re.compile(r"^(```|:::)(\{?[\w-]+\}?)(.*)$", re.MULTILINE)


def _page(language: str, name: str) -> str:
    return (FOLDER / language / name).read_text(encoding="utf-8")


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_both_languages_have_the_same_pages() -> None:
    """None is missing in one of them."""
    assert sorted(path.name for path in PAGES if path.parent.name == "zh") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_same_parts_in_both_languages(name: str) -> None:
    """Headings, code, pictures, tables that are made, and rows of those that are not."""
    parts = [
        (
            [len(marks) for marks in re.findall(r"^(#+) ", _without_code(text), re.MULTILINE)],
            [(kind, given.strip()) for _, kind, given in _FENCE.findall(text)],
            len(re.findall(r"^\|", _without_code(text), re.MULTILINE)),
            len(re.findall(r"^- ", _without_code(text), re.MULTILINE)),
        )
        for text in (_page("en", name), _page("zh", name))
    ]
    assert parts[0] == parts[1]


@cache
def _code() -> str:
    """All of it, with the texts whole that stand in several lines."""
    files = [path for path in (ROOT / "ihuyi_voice").rglob("*.py") if FOLDER not in path.parents]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*[fr]*"', "", text)


_OF_TESTS = re.compile(r"IHUYI_(TEST_\w+|LONG_TESTS|SCREENS|PUSH_TOKEN)")  # and of an example


def test_each_variable_of_the_environment_is_read_by_the_code() -> None:
    """Every IHUYI_… that a page names."""
    named = {
        name
        for path in PAGES
        for name in re.findall(r"IHUYI_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
        if not _OF_TESTS.fullmatch(name)
    }
    assert {name for name in named if name not in _code()} == set()


def _symptoms(language: str) -> list[str]:
    headings = re.findall(r"^### (.*)$", _page(language, "troubleshooting.md"), re.MULTILINE)
    return [quoted for heading in headings for quoted in re.findall(r"`([^`]+)`", heading)]


# What a value stands in of that text, and what isn't ours.
_VALUES = re.compile(
    r"ConnectError: …|http://…|HTTP 502|404: |412|4711|host-a|0\.4|redis|…"
    r"|(?:, as )?20(?= messages)"
)
_OF_OTHERS = {"database is locked", "database or disk is full", "certificate verify failed"}


@pytest.mark.parametrize("quoted", sorted(set(_symptoms("en")) - _OF_OTHERS))
def test_a_symptom_is_quoted_as_the_code_prints_it(quoted: str) -> None:
    """In the parts between its values."""
    parts = [part.strip(" ()[]'") for part in _VALUES.split(quoted)]
    assert [part for part in parts if part and part not in _code()] == []


def test_the_symptoms_are_the_same_in_both_languages() -> None:
    """For the code speaks English to everybody."""
    assert _symptoms("en") == _symptoms("zh")


_DEFAULTS = [
    pytest.param(call, name, value, id=f"{path.parent.name}/{path.name}: {call} {name}")
    for path in PAGES
    for call, given in re.findall(
        r"`(\w+)\((\w+=[\d.]+(?:, \w+=[\d.]+)*)\)`", path.read_text("utf-8")
    )
    for name, _, value in (each.partition("=") for each in given.split(", "))
    if call in {"RetryPolicy", "Limits"}
]


@pytest.mark.parametrize(("call", "name", "value"), _DEFAULTS)
def test_a_default_is_the_one_of_the_code(call: str, name: str, value: str) -> None:
    """Where a page shows them all."""
    made: Any = getattr(ihuyi_voice, call)
    assert inspect.signature(made).parameters[name].default == float(value)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["max_failures", "max_rejections"])
def test_the_breaker_is_described_by_its_defaults(language: str, name: str) -> None:
    """On the page of runs."""
    default = inspect.signature(BulkOptions).parameters[name].default
    assert f"`{name}={default}`" in _page(language, "bulk.md")
