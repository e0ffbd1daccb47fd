"""One call that a signal cuts off: it is told, and by the exit code, whether it may ring."""

import json
import signal
import subprocess
import sys

import pytest

from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, MOBILE, quick_program, seen

SIGNALS = [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
if sys.platform != "win32":
    SIGNALS.append(pytest.param(signal.SIGHUP, marks=pytest.mark.long))


def interrupted(vendor: Simulator, name: int, *args: str, count: int = 1) -> tuple[int, str, str]:
    """Send a command a signal once the vendor has seen so many requests; return how it ended."""
    running = subprocess.Popen(  # noqa: S603 - our own program
        [*quick_program(), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    seen(vendor, count, running)
    running.send_signal(name)
    said, complained = running.communicate(timeout=60)
    return running.returncode, said, complained


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
def test_a_call_that_is_cut_off_in_flight_is_unknown(vendor: Simulator, name: int) -> None:
    """With what to do; a script that reads the exit code doesn't just call again."""
    vendor.add_fault(Fault("silence"))
    code, said, complained = interrupted(vendor, name, "submit", MOBILE, CONTENT)
    assert (code, said) == (5, "")
    assert "OutcomeUnknown: interrupted when the request was in flight" in complained
    assert "the phone may ring already" in complained


def test_a_program_is_told_too(vendor: Simulator) -> None:
    """As of any call whose outcome is unknown."""
    vendor.add_fault(Fault("silence"))
    args = ("--lang", "zh", "submit", MOBILE, CONTENT, "--json")
    code, said, _ = interrupted(vendor, signal.SIGTERM, *args)
    told = json.loads(said)
    assert (code, told["error"]) == (5, "OutcomeUnknown")
    assert "被中断" in told["message"]


@pytest.mark.parametrize(
    "args",
    [("add", "【变量】x"), pytest.param(("delete", "100001"), marks=pytest.mark.long)],
    ids=str,
)
def test_a_template_that_may_be_there_is_looked_for(
    vendor: Simulator, args: tuple[str, str]
) -> None:
    """At the vendor's; no report ever tells of it."""
    vendor.add_fault(Fault("silence"))
    code, _, complained = interrupted(vendor, signal.SIGINT, "template", *args)
    assert code == 5
    assert "look at the vendor's console" in complained


def test_what_surely_did_nothing_is_interrupted_and_no_more(vendor: Simulator) -> None:
    """A question for the balance, and a call that waits to be tried again."""
    vendor.add_fault(Fault("silence", operation="GetNum"))
    code, _, complained = interrupted(vendor, signal.SIGINT, "balance")
    assert (code, complained) == (130, "Interrupted.\n")
    vendor.add_fault(Fault("code", operation="Submit", code=4081))
    args = ("submit", MOBILE, CONTENT, "--max-wait", "100")
    for _ in range(5):  # the signal may come before the reply is read: then it is in flight
        more = len(vendor.arrivals) + 1
        code, _, complained = interrupted(vendor, signal.SIGTERM, *args, count=more)
        if code == 130:
            break
    assert (code, complained) == (130, "Interrupted.\n")
