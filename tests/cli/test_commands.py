"""The commands that ask one thing, as a person and as a script use them."""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ihuyi_voice import (
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    VendorError,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.cli import main, simulate
from ihuyi_voice.cli.output import EXIT_HELP, console, exit_code
from ihuyi_voice.models import Action, Operation
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, KEY, MOBILE, TEMPLATE, run

PROGRAM = (sys.executable, "-c", "from ihuyi_voice.cli import main; main()")
COMMANDS = (
    ("demo",),
    ("submit",),
    ("balance",),
    ("send",),
    ("simulate",),
    ("template", "add"),
    ("template", "delete"),
    ("template", "check"),
)


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


def test_a_template_is_handed_in(vendor: Simulator) -> None:
    """Its id is printed, and the vendor has it under that id."""
    told = run("template", "add", "a【变量】")
    assert told.exit_code == 0
    found = re.fullmatch(r"handed in, template_id (\d+)\n", told.stdout)
    assert found is not None
    added = json.loads(run("template", "add", "b【变量】", "--json").stdout)
    assert vendor.vendor.templates[found[1]].content == "a【变量】"
    assert vendor.vendor.templates[added["template_id"]].content == "b【变量】"


def test_a_template_that_exists_is_refused_by_its_code(vendor: Simulator) -> None:
    """408 means that in AddTemplate, and something else in Submit."""
    result = run("template", "add", TEMPLATE, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"], told["code"]) == (3, "TemplateExists", 408)


@pytest.mark.parametrize("name", ["1", "[/x]"])
def test_a_template_is_deleted_once(vendor: Simulator, name: str) -> None:
    """The second time there is none; an id is printed as it is, brackets included."""
    stored = vendor.vendor.templates
    stored[name] = next(iter(stored.values()))
    assert run("template", "delete", name).stdout == f"deleted {name}\n"
    assert name not in stored
    again = run("template", "delete", name)
    assert (again.exit_code, "TemplateNotFound" in again.stderr) == (3, True)


def test_a_deletion_can_be_told_to_programs(vendor: Simulator) -> None:
    """As an object with the id."""
    name = next(iter(vendor.vendor.templates))
    told = run("template", "delete", name, "--json").stdout
    assert json.loads(told) == {"deleted": name}


@pytest.mark.parametrize(
    ("content", "options", "shown"),
    [
        (CONTENT, (), "it follows; values: 9633\n"),
        (CONTENT, ("--json",), '{"values": ["9633"]}\n'),
        ("您的订单号是：9 33。", (), "InvalidRequest: the content doesn't follow"),
        ("别的", (), "4072"),
        (CONTENT, ("--max-value-length", "3"), "40722"),
    ],
)
def test_checking_a_template_asks_nobody(
    vendor: Simulator, content: str, options: tuple[str, ...], shown: str
) -> None:
    """A wrong content is found before it costs a call."""
    result = run("template", "check", TEMPLATE, content, *options)
    assert shown in result.output
    assert result.exit_code == (2 if "follows" not in shown and "values" not in shown else 0)
    assert not vendor.arrivals


def test_a_template_of_no_values_says_none(vendor: Simulator) -> None:
    """Rather than an empty list."""
    assert run("template", "check", "今天停水", "今天停水").stdout == "it follows; values: none\n"


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
    assert re.search(rf"\b{code} \w", EXIT_HELP)


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


def test_the_key_is_no_option() -> None:
    """Options show in the list of processes and in the shell's history."""
    for command in COMMANDS:
        if command != ("simulate",):
            assert "key" not in run(*command, "--help").output.lower()


class _Echo(BaseHTTPRequestHandler):
    """Answers with a text that has the key and all that it was sent in it."""

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = f'<?xml version="1.0"?><r><code>9999</code><msg>{KEY} {sent}</msg></r>'
        data = body.replace("&", " ").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    """A vendor that says back what it heard; its address."""
    with HTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/voice.php"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_vendor_that_echoes_the_key_does_not_bring_it_to_the_screen(
    monkeypatch: pytest.MonkeyPatch, echo: str, options: tuple[str, ...]
) -> None:
    """Nor the dynamic password, nor the whole number."""
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM00000000")
    monkeypatch.setenv("IHUYI_API_KEY", KEY)
    result = run("submit", MOBILE, CONTENT, "--base-url", echo, *options)
    assert result.exit_code == 3
    assert "[redacted]" in result.output
    assert MOBILE not in result.output
    assert not re.search(r"[0-9a-f]{32}", result.output)


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_help_needs_no_manual(args: tuple[str, ...]) -> None:
    """Each command says what it does and has each option explained."""
    result = run(*args, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: root {' '.join(args)} [OPTIONS]" in result.stdout
    options = [line for line in result.stdout.splitlines() if line.startswith("│ --")]
    assert options
    assert not [line for line in options if re.fullmatch(r"│ --\S+ +(<.+>)? *│", line)]


def test_the_help_of_all_names_commands_variables_and_exit_codes() -> None:
    """So that nobody needs another page to begin."""
    shown = " ".join(run("--help").stdout.split())
    for name, *_ in COMMANDS:
        assert f" {name} " in shown
    assert "IHUYI_ACCOUNT and IHUYI_API_KEY" in shown
    assert EXIT_HELP in shown


@pytest.mark.parametrize("args", [(), ("template",)])
def test_no_arguments_show_the_help(args: tuple[str, ...]) -> None:
    """As wrong usage, exit code 2."""
    result = run(*args)
    assert (result.exit_code, "Usage" in result.output) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("submit", MOBILE),
        ("balance", "--nonsense"),
        ("submit", MOBILE, CONTENT, "--max-wait", "-1"),
        ("send", "x.csv", "--concurrency", "0"),
        ("demo", "--count", "19"),
        ("simulate", "--port", "65536"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_without_a_traceback(args: tuple[str, ...]) -> None:
    """Exit code 2, on stderr."""
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_console_script_runs(vendor: Simulator) -> None:
    """In a process of its own, from the environment alone, on stdout and nothing on stderr."""
    done = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "balance", "--json"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"balance": 856}\n', "")


def test_main_is_the_app(monkeypatch: pytest.MonkeyPatch, vendor: Simulator) -> None:
    """It takes its arguments from the command line and ends with the exit code."""
    monkeypatch.setattr(sys, "argv", ["ihuyi-voice", "submit", "12", CONTENT])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it, and what could not be imported."""
    monkeypatch.setitem(sys.modules, "ihuyi_voice.cli.app", None)
    with pytest.raises(SystemExit, match=r"pip install 'ihuyi-voice\[cli\]' \(.*cli.app") as ended:
        main()
    assert ended.value.code != 0


async def test_simulate_serves_until_it_is_interrupted() -> None:
    """In a process of its own: it prints its address, answers there, and Ctrl-C ends it."""
    args = ("simulate", "--port", "0", "--account", "VM1", "--api-key", KEY, "--balance", "7")
    with subprocess.Popen(  # noqa: S603, ASYNC220 - our own program, whose lines come at once
        [*PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().removeprefix("listening at ").strip()
        assert process.stdout.readline() == "account VM1\n"
        async with VoiceClient("VM1", KEY, base_url=url) as client:
            assert await client.balance() == 7
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate()
    assert process.returncode not in {0, -signal.SIGINT}
    assert (rest, "Traceback" in told) == ("", False)
    assert KEY not in url + rest + told


def test_simulate_takes_the_vendors_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option reaches the simulator; its key doesn't show in a repr."""
    served: list[simulate.SimulatorSettings] = []

    class Recorded(Simulator):
        def __init__(self, *args: object, **options: object) -> None:
            served.append(settings_of(args, options))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(simulate, "Simulator", Recorded)
    options = ("--balance", "3", "--template", "a", "--template", "b", "--latency", "1", "--jitter")
    result = run("simulate", "--account", "VM1", "--api-key", KEY, *options, "0.5")
    assert result.exit_code == 2
    assert served == [simulate.SimulatorSettings("VM1", KEY, 3, ("a", "b"), 1.0, 0.5)]
    assert KEY not in repr(served)


def settings_of(args: tuple[object, ...], options: dict[str, object]) -> simulate.SimulatorSettings:
    """Return what a simulator was made of."""
    names = ("balance", "templates", "latency", "jitter")
    return simulate.SimulatorSettings(*args, *(options[name] for name in names))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - compared, not used


def test_a_port_that_is_taken_is_told() -> None:
    """Exit code 2, with the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("simulate", "--port", str(taken.getsockname()[1]))
    assert (result.exit_code, "in use" in result.stderr) == (2, True)


async def test_the_simulator_prints_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it does listen; cancelled, it closes."""
    lines: list[str] = []
    told = asyncio.Event()

    def note(line: str, **_: object) -> None:
        lines.append(line)
        if line == "account VM1":
            told.set()

    monkeypatch.setattr(console, "print", note)
    settings = simulate.SimulatorSettings("VM1", KEY, 7, (), 0.0, 0.0)
    serving = asyncio.create_task(simulate.simulate("127.0.0.1", 0, settings))
    await told.wait()
    url = lines[0].removeprefix("listening at ")
    async with VoiceClient("VM1", KEY, base_url=url, retry=RetryPolicy(attempts=1)) as client:
        assert await client.balance() == 7
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(NotSent):
            await client.balance()
