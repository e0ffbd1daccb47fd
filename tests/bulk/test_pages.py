"""A page is read in its order, and what comes out of that order is looked for not far ahead."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.bulk import pages
from ihuyi_voice.bulk.pages import Leaf, Name, as_text, names_of
from ihuyi_voice.calls import Page

NAMES: list[Name] = [
    (f"r{n}" if n % 3 else None, f"139{n:08d}", "您好"[: 1 + n % 2]) for n in range(60)
]
NEAR = 8


def page(names: list[Name]) -> Page:
    """Return a page of these."""
    return Page(len(names), text_of(names) or "", [f"v{n}" for n, _ in enumerate(names)], [])


def text_of(names: list[Name]) -> str | None:
    """Return them as they stand on a page, if they can."""
    fields = [*chain.from_iterable(names)]
    assert names_of(fields) == names
    return as_text(fields)


def rows_of(leaf: Leaf, names: list[Name]) -> list[int | None]:
    """Return where these stand, as a list is read on."""
    text = text_of(names)
    assert text is not None
    row = leaf.follow(text, len(names))
    return leaf.find(names) if row is None else [*range(row, row + len(names))]


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ahead a little only, so that a small page is as a large one."""
    monkeypatch.setattr(pages, "_NEAR", NEAR)


@given(
    listed=st.lists(st.integers(0, 70), max_size=120),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_what_is_found_is_what_stands_there(listed: list[int], sizes: list[int]) -> None:
    """In whatever order a list comes, and however many of it are read at once."""
    leaf = Leaf(page(NAMES))
    wanted: list[Name] = [NAMES[n] if n < len(NAMES) else (None, str(n), "") for n in listed]
    for size in sizes * 120:
        some, wanted = wanted[:size], wanted[size:]
        for name, row in zip(some, rows_of(leaf, some), strict=True):
            assert row is None or NAMES[row] == name
        assert 0 <= leaf.left <= len(leaf)


@given(
    gone=st.sets(st.integers(0, 59), max_size=20),
    new=st.sets(st.integers(0, 59), max_size=20),
    size=st.integers(1, NEAR // 2),
)
def test_a_list_in_its_order_is_found_whatever_is_gone_and_new(
    gone: set[int], new: set[int], size: int
) -> None:
    """As long as at most every other one is: so many stand no further ahead than is looked."""
    listed: list[tuple[Name, int | None]] = []
    for row, name in enumerate(NAMES):
        if row in gone and row - 1 not in gone:
            continue
        listed += [((None, f"new {row}", "x"), None)] if row in new else []
        listed.append((name, row))
    leaf = Leaf(page(NAMES))
    for at in range(0, len(listed), size):
        some = listed[at : at + size]
        assert rows_of(leaf, [name for name, _ in some]) == [row for _, row in some]
    assert leaf.met == len([row for _, row in listed if row is not None])


def test_what_is_far_ahead_or_was_passed_in_order_is_not_looked_for() -> None:
    """That would cost more than a look-up; what was skipped is found later."""
    leaf = Leaf(page(NAMES))
    assert leaf.find([NAMES[NEAR - 1], NAMES[NEAR]]) == [NEAR - 1, None]
    assert rows_of(leaf, NAMES[NEAR : 3 * NEAR]) == [*range(NEAR, 3 * NEAR)]
    assert leaf.find(NAMES[: NEAR + 1]) == [None] * (NEAR + 1)
    assert leaf.left == len(NAMES) - 3 * NEAR
    assert leaf.find([NAMES[3 * NEAR + 2], NAMES[3 * NEAR]]) == [3 * NEAR + 2, 3 * NEAR]
    assert rows_of(leaf, NAMES[3 * NEAR + 1 :]) == [*range(3 * NEAR + 1, len(NAMES))]
    assert (leaf.left, leaf.met) == (0, 1 + 2 * NEAR + 2 + len(NAMES) - 3 * NEAR - 1)


@pytest.mark.parametrize(
    "name",
    [
        ("", "139", "x"),
        (Page.END, "139", "x"),
        ("r", "13\x1f9", "x"),
        ("r", "139", "x\x1f"),
        (None, "", Page.END),
    ],
)
def test_what_could_be_taken_for_another_has_no_text(name: Name) -> None:
    """No reference is not the same as an empty one, and no field has what ends a field."""
    assert text_of([NAMES[0], name]) is None
    leaf = Leaf(page([(None, "139", "x"), ("r", "139", "x")]))
    assert leaf.find([name]) == [None]
