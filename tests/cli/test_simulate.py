"""`simulate`: the vendor as a server of its own."""

import asyncio
import re
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice import (
    ContentRejected,
    DeliveryStatus,
    InvalidRequest,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    VendorError,
    VoiceClient,
)
from ihuyi_voice.cli import simulating
from ihuyi_voice.cli.simulating import SimulatorSettings, read_fault
from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.simulator import FaultKind, tables
from ihuyi_voice.simulator.server import serving
from tests.cli.receiving import TOKEN
from tests.support.command import CONTENT, KEY, MOBILE, quick_program, run
from tests.support.servers import make_certificate

ONCE = RetryPolicy(attempts=1)


@contextmanager
def simulating_at(*args: str) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Run it in a process of its own; yield that and its address."""
    options = ("--port", "0", "--account", "VM1", "--api-key", KEY, *args)
    command = [*quick_program(), "simulate", *options]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening at ").strip()
            assert process.stdout.readline() == "account VM1\n"
            page = process.stdout.readline()
            assert re.fullmatch(r"what it saw: https?://127\.0\.0\.1:\d+/seen\n", page)
            yield process, url
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]", by: signal.Signals = signal.SIGINT) -> str:
    """End it; return what it still printed."""
    process.send_signal(by)
    rest, told = process.communicate()
    assert (process.returncode, told) == (0, "")
    assert KEY not in rest
    return rest


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
async def test_simulate_serves_until_it_is_interrupted(by: signal.Signals) -> None:
    """Ctrl-C is its end, which is in words and no failure; balances count down as in process."""
    with simulating_at("--balance", "7") as (process, url):
        async with VoiceClient("VM1", KEY, base_url=url) as client:
            assert await client.balance() == 7
            await client.submit(MOBILE, CONTENT)
            assert await client.balance() == 6
        assert ended(process, by) == "Stopped: 3 requests, 6 notifications left.\n"


async def test_numbers_and_limits_are_those_of_the_vendor() -> None:
    """Magic numbers, the black list, words, templates and the limits per number."""
    options = ("--blacklist", "13900000007", "--sensitive", "赌", "--template", "今天【变量】")
    with simulating_at(*options) as (_, url):
        async with VoiceClient("VM1", KEY, base_url=url, guard=None, retry=ONCE) as client:

            async def code(mobile: str, content: str = "今天停水") -> int:
                with pytest.raises(VendorError) as caught:
                    await client.submit(mobile, content)
                return caught.value.code

            for magic in (405, 4051, 4072, 40722):
                assert await code(f"139{magic:08d}") == magic
            assert await code("13900000007") == 4030
            assert await code(MOBILE, "x") == 4072
            with pytest.raises(ContentRejected):
                await client.submit(MOBILE, "今天赌")
            await client.submit(MOBILE, "今天停水")
            with pytest.raises(RateLimited, match="4080"):
                await client.submit(MOBILE, "今天停水")


async def test_without_magic_and_limits_every_number_is_one() -> None:
    """For lists that were made up in a row."""
    with simulating_at("--no-magic", "--limits", "none") as (_, url):
        async with VoiceClient("VM1", KEY, base_url=url, guard=None) as client:
            for _ in range(3):
                await client.submit("13900000405", CONTENT)


async def test_faults_strike_over_the_socket() -> None:
    """As their conditions say."""
    faults = ("--fault", "disconnect_after:operation=Submit,nth=2", "--fault", "status:status=503")
    with simulating_at("--limits", "none", *faults) as (_, url):
        async with VoiceClient("VM1", KEY, base_url=url, retry=ONCE, guard=None) as client:
            with pytest.raises(OutcomeUnknown, match="503"):
                await client.submit(MOBILE, CONTENT)
            with pytest.raises(OutcomeUnknown, match="may have gone out"):
                await client.submit(MOBILE, CONTENT)


async def test_it_prints_each_arrival_and_shows_a_page() -> None:
    """Numbers masked on the screen; no password on the page."""
    with simulating_at("--verbose", "--fault", "code:code=0,nth=3") as (process, url):
        async with VoiceClient("VM1", KEY, base_url=url, retry=ONCE) as client:
            voice_id = (await client.submit(MOBILE, CONTENT)).voice_id
            await client.balance()
            with pytest.raises(VendorError):
                await client.balance()
        async with httpx.AsyncClient(trust_env=False) as web:
            page = (await web.get(url.replace("/webservice/voice.php", "/seen"))).json()
        rest = ended(process).splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d Submit 2 139\*\*\*\*0000 {CONTENT}", rest[0])
    assert rest[2].endswith("GetNum 0 [code]")
    assert page["codes"] == {"2": 2, "none": 1}
    assert (page["account"], page["balance"], page["requests"]) == ("VM1", 999_999, 3)
    assert page["arrivals"][0]["fields"]["mobile"] == MOBILE
    assert "password" not in page["arrivals"][0]["fields"]
    assert page["arrivals"][2]["fault"] == "code"
    assert voice_id


async def test_it_answers_on_when_who_read_its_arrivals_has_left() -> None:
    """An answer that is lost for a line on a screen is an UNKNOWN; the end is told, exit code 6."""
    with simulating_at("--verbose") as (process, url):
        assert process.stdout is not None
        process.stdout.close()
        async with VoiceClient("VM1", KEY, base_url=url, retry=None) as client:
            for place in range(2):
                await client.submit(f"1390000000{place}", CONTENT)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 6
        assert process.stderr is not None
        assert process.stderr.read() == (
            "ihuyi-voice: the output was closed before everything was written\n"
        )


async def test_it_answers_on_while_nobody_reads_its_arrivals() -> None:
    """As at a terminal that was stopped; what waited is printed when it is read again."""
    count = 200  # more than a pipe holds
    with simulating_at("--verbose", "--limits", "none") as (process, url):
        async with VoiceClient("VM1", KEY, base_url=url, retry=None, guard=None) as client:
            for _ in range(count):
                await client.submit(MOBILE, "好" * 150)
        assert len(ended(process).splitlines()) == count + 1


async def test_pushes_come_as_in_process(tmp_path: Path) -> None:
    """A magic number's call ends as its number says."""
    inbox = Inbox.open(str(tmp_path / "pushes.sqlite3"))
    receiver: Any = PushReceiver(inbox, token=TOKEN)
    async with inbox, serving(receiver) as address:
        options = ("--push-to", f"{address}/{TOKEN}", "--report-delay", "0")
        with simulating_at(*options) as (_, url):
            async with VoiceClient("VM1", KEY, base_url=url) as client:
                busy = await client.submit("13900010004", CONTENT)
                fine = await client.submit(MOBILE, CONTENT)
            assert (await inbox.report_of(busy.voice_id, timeout=60)).status is DeliveryStatus.BUSY
            assert (await inbox.report_of(fine.voice_id, timeout=60)).answered


async def test_it_speaks_tls(tmp_path: Path) -> None:
    """With a certificate of one's own."""
    tls = make_certificate(tmp_path)
    options = ("--tls-cert", str(tls.chain), "--tls-key", str(tls.key))
    with simulating_at(*options) as (_, url):
        assert url.startswith("https://")
        async with VoiceClient("VM1", KEY, base_url=url, verify=tls.trust) as client:
            assert await client.balance() == 1_000_000


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--balance", "-5"), "--balance is -5; it can't be negative"),
        (("--latency", "-1"), "--latency is -1"),
        (("--latency", "nan"), "--latency is nan"),
        (("--report-delay", "inf"), "--report-delay is inf"),
        (("--jitter", "x"), "Invalid value"),
        (("--account", " "), "--account is empty"),
        (("--api-key", ""), "--api-key is empty"),
        (("--push-to", "ftp://127.0.0.1/t"), "--push-to: it must begin with http"),
        (("--push-to", "http:///t"), "name a host"),
        (("--limits", "some"), "--limits some: it can be vendor, none, repeat"),
        (("--tls-cert", "x.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-cert", "x.pem", "--tls-key", "y.pem"), "No such file"),
        (("--fault", "explode"), "--fault explode: one of latency, disconnect_before"),
        (("--fault", "code:code=x"), "--fault code:code=x"),
        (("--fault", "code:often=1"), "any of code, jitter, mobile, nth"),
        (("--fault", "status:nth=0"), "--fault status:nth=0: nth is 0, below 1"),
        (("--fault", "code:share=1.5"), "share is 1.5, not 0 to 1"),
    ],
    ids=str,
)
def test_bad_options_are_refused(args: tuple[str, ...], told: str) -> None:
    """In words, with the exit code of wrong usage."""
    result = run("simulate", "--port", "0", *args)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nth=0", "nth 为 0，小于 1"),
        ("status=600", "status 为 600，应为 100 到 599"),
        ("seconds=inf", "seconds 为 inf，应为有限的数"),
    ],
)
def test_a_fault_that_can_not_be_is_refused_in_chinese(given: str, told: str) -> None:
    """Before anything is served."""
    result = run("--lang", "zh", "simulate", "--port", "0", "--fault", f"status:{given}")
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_a_fault_is_read_as_it_is_written() -> None:
    """Each condition by its name."""
    fault = read_fault("latency:seconds=1.5,share=0.5,nth=2,times=3,mobile=139,operation=Submit")
    assert (fault.kind, fault.seconds, fault.share) == (FaultKind.LATENCY, 1.5, 0.5)
    assert (fault.nth, fault.times, fault.mobile, fault.operation) == (2, 3, "139", "Submit")
    assert read_fault("silence").kind is FaultKind.SILENCE
    with pytest.raises(InvalidRequest):
        read_fault("")


def test_the_settings_show_no_key() -> None:
    """Nor the token of the receiver."""
    settings = SimulatorSettings("VM1", KEY, 3, (), 0.0, 0.0, "http://h/secret", limits="repeat")
    assert KEY not in repr(settings)
    assert "secret" not in repr(settings)
    assert settings.options()["repeat_limits"] == tables.REPEAT_LIMITS


def test_magic_numbers_are_of_the_vendors_codes() -> None:
    """The samples of everybody's documents are accepted."""
    assert tables.MAGIC_NUMBERS["13900004072"] == 4072
    assert tables.MAGIC_NUMBERS["13900040722"] == 40722
    assert not {"13900000000", "13900000002"} & set(tables.MAGIC_NUMBERS)
    assert tables.MAGIC_RESULTS["13900010006"] == -6
    assert not set(tables.MAGIC_NUMBERS) & set(tables.MAGIC_RESULTS)


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", "is taken by another program: give another --port"), ("zh", "已被其他程序占用")],
)
@pytest.mark.parametrize("command", ["simulate", "receive"])
def test_a_port_that_is_taken_is_told(inbox: str, command: str, lang: str, words: str) -> None:
    """Exit code 6, with what to do; and no empty inbox is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--lang", lang, command, "--port", str(taken.getsockname()[1]))
    assert (result.exit_code, words in result.stderr) == (6, True), result.stderr
    assert not Path(inbox).exists()


def test_a_host_of_somebody_else_is_told() -> None:
    """It can be listened on only there."""
    result = run("simulate", "--port", "0", "--host", "192.0.2.1")
    assert (result.exit_code, "no address of this machine" in result.stderr) == (6, True)


async def test_the_page_is_of_the_simulator_alone() -> None:
    """Everything else is answered as the vendor does."""
    settings = SimulatorSettings("VM1", KEY, 7, (), 0.0, 0.0)
    shown = simulating.Shown(settings, None)
    transport = httpx.ASGITransport(app=shown)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as web:
        assert (await web.get("/seen")).json()["requests"] == 0
        assert (await web.get("/other")).status_code == 404
        done = await asyncio.wait_for(web.get("/seen"), 30)
    assert done.headers["cache-control"] == "no-store"
