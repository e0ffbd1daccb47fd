"""The pictures tell of the code: what they name is there, and nothing of it is left out."""

import re
from importlib import import_module
from typing import Any

import pytest

from ihuyi_voice.guards import Guard
from ihuyi_voice.ledger.states import State, opens
from tests.docs.examples import PAGES

# Its wheel needs a library of the system's, which a bare machine may lack. CI must have it: there
# the site, which has the pictures in it, is built.
pytest.importorskip(
    "pygraphviz", reason="the extra `docs`, or what it needs, isn't installed", exc_type=ImportError
)

from ihuyi_voice.docs import pictures

NAMES = pictures.names()
ABOUT = {name: pictures.about(name) for name in NAMES}
STATES = [name for name in NAMES if "states" in ABOUT[name]]
THEORIES = [name for name in NAMES if "theory" in ABOUT[name]]
LANGUAGES = ("en", "zh")


def _found(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name) if name else import_module(module)


def _states(picture: Any) -> list[str]:
    return [state for node in picture.nodes() for state in pictures.heads(node)]


@pytest.mark.parametrize("name", STATES)
def test_its_states_are_those_of_the_code(name: str) -> None:
    """Each of them once, and no other."""
    states = [state.name for state in _found(ABOUT[name]["states"])]
    assert sorted(_states(pictures.graph(name))) == sorted(states)


@pytest.mark.parametrize("name", THEORIES)
def test_its_states_are_those_of_the_theory_of_operation(name: str) -> None:
    """The words that its module's docstring sets in *asterisks*."""
    picture = pictures.graph(name)
    theory = _found(ABOUT[name]["theory"]).__doc__.lower()
    plain = [node for node in picture.nodes() if not node.attr["head_en"]]
    told = {word for node in plain for word in pictures.heads(node)}
    assert told
    assert told <= set(re.findall(r"\*([^*]+)\*", theory))


def test_what_opens_again_is_what_the_ledger_opens_again() -> None:
    """By itself, and where it is asked for."""
    picture = pictures.graph("entry")
    drawn = {
        asked: {
            state
            for node in picture.nodes()
            if node.attr["opens"] in which
            for state in pictures.heads(node)
        }
        for asked, which in ((False, {"default"}), (True, {"default", "asked"}))
    }
    for asked, states in drawn.items():
        highest = opens(retry_rejected=asked)
        assert states == {state.name for state in State if State.OPEN < state <= highest}


def test_the_arrows_of_a_number_are_the_methods_of_a_guard() -> None:
    """All of them, and no other."""
    picture = pictures.graph("number")
    assert _found(ABOUT["number"]["calls"]) is Guard
    methods = {name for name in vars(Guard) if not name.startswith("_")}
    assert {edge.attr["call"] for edge in picture.edges() if edge.attr["call"]} == methods


@pytest.mark.parametrize("name", NAMES)
def test_each_word_is_said_in_both_languages(name: str) -> None:
    """Of nodes, arrows and boxes, and of what the picture shows."""
    picture = pictures.graph(name)
    parts = [*picture.nodes(), *picture.edges()]
    told = [part.attr for part in parts] + [box.graph_attr for box in picture.subgraphs()]
    assert [bool(each["en"]) for each in told] == [bool(each["zh"]) for each in told]
    assert ABOUT[name]["alt_en"]
    assert ABOUT[name]["alt_zh"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_phone_and_can_be_read_aloud(name: str, language: str) -> None:
    """320 points at most, so that a narrow screen shows it nearly as large as it is."""
    drawn = pictures.drawn(name, language)
    width = re.search(r'width="([\d.]+)"', drawn)
    assert width
    assert float(width[1]) <= 330
    assert 'role="img"' in drawn
    assert ABOUT[name][f"alt_{language}"][:20] in drawn


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_picture_stands_on_a_page(language: str) -> None:
    """And each that a page names is there."""
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in PAGES if path.parent.name == language
    )
    assert sorted(re.findall(r"^:::\{picture\} (\w+)", pages, re.MULTILINE)) == NAMES
