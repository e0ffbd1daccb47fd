"""`submit` and `balance`, as a person and as a script use them."""

import json
import re
import socket

import pytest

from ihuyi_voice import (
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    VendorError,
    VoiceError,
)
from ihuyi_voice.cli.exits import epilogue
from ihuyi_voice.cli.verdicts import exit_code
from ihuyi_voice.models import Action, Operation
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, KEY, MOBILE, Answering, run


def never(*_: object) -> bool:
    """Stand in for RetryPolicy.allows."""
    return False


def test_submit_prints_the_voice_id(vendor: Simulator) -> None:
    """For a person one line, for a program one JSON object, and each call is one submission."""
    result = run("submit", MOBILE, CONTENT)
    assert result.exit_code == 0
    assert re.fullmatch(r"accepted, voice_id \d+\n", result.stdout)
    result = run("submit", "13911111111", CONTENT, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told.pop("voice_id").isdigit()) == (0, True)
    assert told == {"status": "ACCEPTED"}
    assert vendor.rung() == {(MOBILE, CONTENT): 1, ("13911111111", CONTENT): 1}


def test_balance_prints_a_number(vendor: Simulator) -> None:
    """And nothing else."""
    assert run("balance").stdout == "856\n"
    assert json.loads(run("balance", "--json").stdout) == {"balance": 856}


@pytest.mark.parametrize(
    ("fault", "args", "exit_status", "error", "code"),
    [
        (None, ("12", CONTENT), 2, "InvalidRequest", None),
        (None, (MOBILE, " "), 2, "InvalidRequest", None),
        (None, (MOBILE, "x"), 3, "TemplateMismatch", 4072),
        (Fault("code", code=4051), (MOBILE, CONTENT), 3, "BalanceExhausted", 4051),
        (Fault("code", code=9999), (MOBILE, CONTENT), 3, "VendorError", 9999),
        (Fault("code", code=4081), (MOBILE, CONTENT), 4, "RateLimited", 4081),
        (Fault("disconnect_after"), (MOBILE, CONTENT), 5, "OutcomeUnknown", None),
        (Fault("unreadable"), (MOBILE, CONTENT), 5, "UnreadableReply", None),
    ],
)
def test_each_family_of_errors_has_its_exit_code(
    vendor: Simulator,
    fault: Fault | None,
    args: tuple[str, str],
    exit_status: int,
    error: str,
    code: int | None,
) -> None:
    """Told on stderr to people, as an object on stdout to programs; the number stays masked."""
    if fault is not None:
        vendor.add_fault(fault)
    result = run("submit", *args)
    assert (result.exit_code, result.stdout) == (exit_status, "")
    assert result.stderr.startswith(f"{error}: ")
    told = run("submit", *args, "--json")
    assert (told.exit_code, told.stderr) == (exit_status, "")
    object_told = json.loads(told.stdout)
    assert (object_told["error"], object_told["code"]) == (error, code)
    assert object_told["message"]
    assert MOBILE not in result.output + told.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("x"), 2),
        (VendorError(1, "x", Operation.SUBMIT, Action.STOP), 3),
        (RateLimited(4081, "x", Operation.SUBMIT, Action.WAIT), 4),
        (NotSent("x"), 4),
        (OutcomeUnknown("x"), 5),
        (VoiceError("x"), 1),
    ],
)
def test_exit_codes_are_as_the_help_says(error: VoiceError, code: int) -> None:
    """The number of each family is explained."""
    assert exit_code(error) == code
    assert re.search(rf"^{code}: \w", epilogue(), re.MULTILINE)


def test_an_unreachable_vendor_is_safe_to_try_again(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4; the option's address goes before the environment's."""
    monkeypatch.setattr(RetryPolicy, "allows", never)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/voice.php"
        result = run("balance", "--base-url", url)
    assert result.exit_code == 4
    assert result.stderr.startswith("NotSent: ")
    assert not vendor.arrivals


def test_another_account_may_be_given_as_an_option(vendor: Simulator) -> None:
    """It goes before the environment's; this vendor doesn't know it."""
    assert run("balance", "--account", "VM99999999").exit_code == 3
    assert vendor.arrivals[-1].fields["account"] == "VM99999999"


@pytest.mark.parametrize("missing", ["IHUYI_ACCOUNT", "IHUYI_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, value: str | None
) -> None:
    """Exit code 2, whether it isn't set or is empty."""
    for name in ("IHUYI_ACCOUNT", "IHUYI_API_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv(missing)
    if value is not None:
        monkeypatch.setenv(missing, value)
    result = run("balance")
    assert result.exit_code == 2
    assert missing in result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_vendor_that_echoes_the_key_does_not_bring_it_to_the_screen(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Nor the dynamic password, nor the whole number."""
    with Answering(lambda sent: {"code": 9999, "msg": f"{KEY} {sent}"}) as answering:
        answering.point(monkeypatch)
        result = run("submit", MOBILE, CONTENT, *options)
    assert result.exit_code == 3
    assert "[redacted]" in result.output
    assert MOBILE not in result.output
    assert not re.search(r"[0-9a-f]{32}", result.output)
