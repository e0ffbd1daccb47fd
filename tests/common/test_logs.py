"""Lines of the log: harmless to terminals, and to whoever writes them."""

import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.common.logs import Trouble, Troubles, tell
from ihuyi_voice.common.redaction import UNSAFE, excerpt
from ihuyi_voice.errors import VendorError
from ihuyi_voice.models import Operation
from ihuyi_voice.protocol.codes import vendor_error

EVIL = "\x1b[2J\x9b31m\r\nforged line\u202e"
logger = logging.getLogger("ihuyi_voice.test")


def is_heard(name: str) -> bool:
    """Say whether somebody hears the lines of a logger that most programs don't."""
    return logging.getLogger(name).isEnabledFor(logging.INFO)


FOREIGN = ("httpx", "httpx2", "httpcore.http11", "httpcore2.http11")


def test_nobody_hears_httpx_but_tests_that_ask_for_lines() -> None:
    """So tests take the way of a program that configures no logging, which is a shorter one."""
    assert not any(map(is_heard, FOREIGN))


def test_who_asks_for_lines_has_those_of_httpx(caplog: pytest.LogCaptureFixture) -> None:
    """Or no secret in them would be found."""
    assert all(map(is_heard, FOREIGN))


def test_an_error_takes_one_line_and_steers_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may be the vendor's."""
    error = vendor_error(Operation.SUBMIT, 9999, EVIL)
    assert isinstance(error, VendorError)
    tell(logger, logging.WARNING, "again: %s", error)
    assert caplog.messages[0].isprintable()
    assert r"\x1b[2J\x9b31m\r\nforged line\u202e" in caplog.messages[0]


def test_an_error_shows_no_number(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may be a ledger's, or a guard's, of anybody's making."""
    tell(logger, logging.WARNING, "again: %s", LookupError("no row for 13900000000"))
    assert caplog.messages == ["again: no row for 139****0000"]


def test_a_traceback_keeps_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing else that a terminal would obey; numbers stay numbers."""
    tell(logger, logging.WARNING, "%d: %s", 7, "Traceback:\n  x\x1b[2J\n成功")
    assert caplog.messages == ["7: Traceback:\n  x\\x1b[2J\n成功"]


def test_what_breaks_while_a_line_is_written_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """There is no place left to say so."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    tell(logger, logging.WARNING, "%s", Broken())
    assert not caplog.messages


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_an_excerpt_is_a_short_harmless_line_without_numbers(content: bytes) -> None:
    """Whatever was sent."""
    line = excerpt(content)
    assert not {unicodedata.category(char) for char in line} & UNSAFE
    assert len(line) <= 1000


@given(st.text("0123456789", min_size=7, max_size=13), st.text("ax&=(\n", max_size=9))
def test_no_number_is_whole_in_an_excerpt(number: str, around: str) -> None:
    """Plain or percent-encoded, in the middle of anything."""
    for written in (number, "".join(f"%{ord(digit):02x}" for digit in number)):
        assert number not in excerpt(f"{around}{written}{around}".encode())


def test_a_trouble_is_told_once_a_minute_and_once_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that comes and goes is told no oftener; nobody hears the end of what was not told."""
    now = [0.0]
    trouble = Trouble(logger, lambda: now[0])
    trouble.over("well")
    for moment in (0.0, 2.0, 58.0, 60.0, 62.0):
        now[0] = moment
        trouble.note("ill at %d", moment)
    told = ["ill at 0", "ill at 60, 3 since the last such line"]
    assert caplog.messages == told
    assert trouble.count == 5
    for _ in range(2):
        trouble.over("well")
        trouble.note("ill again")
    assert caplog.messages == [*told, "well"]
    now[0] = 120.0
    trouble.note("ill at last")
    trouble.over("well at last")
    assert caplog.messages[3:] == ["ill at last, 3 since the last such line", "well at last"]


def test_a_trouble_says_more_the_first_time_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Behind its count, and again the first time after it was over; nobody makes it in vain."""
    now, made = [0.0], list[float]()
    trouble = Trouble(logger, lambda: now[0], logging.ERROR)

    def trace() -> str:
        made.append(now[0])
        return "more"

    for moment in (0.0, 1.0, 60.0):
        now[0] = moment
        trouble.note("ill", trace=trace)
    trouble.over("well")
    for moment in (61.0, 120.0):
        now[0] = moment
        trouble.note("ill", trace=trace)
    again = "ill, 2 since the last such line"
    assert caplog.messages == ["ill\nmore", again, "well", f"{again}\nmore"]
    assert made == [0.0, 120.0]
    assert caplog.records[0].levelno == logging.ERROR


def test_troubles_are_told_apart_by_their_words_and_not_by_numbers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is told to be over by itself."""
    troubles = Troubles(logger, lambda: 0.0)
    for words in ("row 7", "row 8", "table 7"):
        troubles.of(words).note("ill: %s", words)
    troubles.over("well: %d")
    assert caplog.messages == ["ill: row 7", "ill: table 7", "well: 2", "well: 1"]
