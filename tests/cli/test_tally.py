"""What a run has come to: counted, blamed on a cause, and shown under a bar as it comes."""

import io
import os
import pty
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from ihuyi_voice import NotSent, OutcomeUnknown, VendorError
from ihuyi_voice.cli import once, tally
from ihuyi_voice.cli.course import Plan
from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.cli.tally import Report, trouble
from ihuyi_voice.errors import BalanceExhausted, Blacklisted, RunStopped, VoiceError
from ihuyi_voice.inputs.recipients import RecipientsFile
from ihuyi_voice.models import Action, Operation, OutcomeStatus
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, MOBILE, program
from tests.support.vendor import in_process
from tests.support.virtual_time import run_virtual

BLACK = Blacklisted(4030, "黑名单", Operation.SUBMIT, Action.FIX_REQUEST)
EMPTY = BalanceExhausted(4051, "剩余条数不足", Operation.SUBMIT, Action.STOP)
UNLISTED = VendorError(9999, "系统维护", Operation.SUBMIT, Action.FIX_REQUEST)


def write(folder: Path, rows: int) -> Path:
    """Write a recipients file of so many good rows."""
    path = folder / "a.csv"
    lines = "".join(f"139{place:08d},{CONTENT}\n" for place in range(rows))
    path.write_text(f"mobile,content\n{lines}", encoding="utf-8")
    return path


def test_a_report_of_no_time_has_no_rate() -> None:
    """Rather than a division by it."""
    assert Report().rate == 0.0


def test_a_report_masks_numbers_whatever_text_they_come_in() -> None:
    """It is for the screen, and screens are copied into tickets."""
    report = Report()
    report.note(2, OutcomeStatus.REJECTED, f"{MOBILE} can't be called")
    (group,) = report.groups.values()
    assert (group.lines, group.reason) == ([2], "139****0000 can't be called")
    assert MOBILE not in "".join(trouble(report))


def noted(*ends: tuple[OutcomeStatus, VoiceError | None]) -> list[str]:
    """Return what stands under the bar after these outcomes."""
    report = Report()
    for line, (status, error) in enumerate(ends, 2):
        report.note(line, status, str(error or "bad row"), error)
    return trouble(report)


def stopped(cause: Exception) -> RunStopped:
    """Return the error of a message whose turn never came."""
    error = RunStopped("the run stopped before this message's turn")
    error.__cause__ = cause
    return error


def test_all_five_outcomes_are_told() -> None:
    """With no cause as long as nothing failed; what is held back is no failure."""
    assert noted((OutcomeStatus.ACCEPTED, None), (OutcomeStatus.HELD, BLACK)) == [
        "accepted 1, refused 0, unknown 0, not sent 0, held 1"
    ]
    told = noted(*((status, BLACK) for status in OutcomeStatus))
    assert told[0] == "accepted 1, refused 1, unknown 1, not sent 1, held 1"


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (OutcomeStatus.REJECTED, BLACK, "4030 黑名单"),
        (OutcomeStatus.REJECTED, UNLISTED, "9999 系统维护"),
        (OutcomeStatus.NOT_SENT, NotSent("no connection"), "NotSent: no connection"),
        (OutcomeStatus.UNKNOWN, OutcomeUnknown("silence"), "OutcomeUnknown: silence"),
        (OutcomeStatus.NOT_SENT, stopped(EMPTY), "4051 剩余条数不足"),
        (OutcomeStatus.NOT_SENT, stopped(ValueError()), "RunStopped: the run stopped before"),
        (OutcomeStatus.NOT_SENT, None, "rows that can't be sent, the first: bad row"),
        (OutcomeStatus.NOT_SENT, NotSent(f"{MOBILE} failed"), "NotSent: 139****0000 failed"),
    ],
)
def test_a_cause_is_told_in_words(
    status: OutcomeStatus, error: VoiceError | None, cause: str
) -> None:
    """The vendor's code and text, or the kind of failure; of a stopped run what stopped it."""
    assert noted((status, error))[1].startswith(f"mostly (1): {cause}")


def test_the_commonest_cause_is_told() -> None:
    """Refusals count by their code, other failures by their kind, whatever their texts are."""
    failures = [NotSent("a"), BLACK, NotSent("b"), EMPTY, stopped(NotSent("c"))]
    told = noted(*((OutcomeStatus.NOT_SENT, error) for error in failures))
    assert told[1] == "mostly (3): NotSent: a"
    told = noted(*((OutcomeStatus.REJECTED, error) for error in (BLACK, EMPTY, EMPTY)))
    assert told[1] == "mostly (2): 4051 剩余条数不足"


def test_causes_are_few_however_many_rows_fail() -> None:
    """A file of a million rows, each with words of its own, doesn't fill the memory."""
    report = Report()
    for line in range(2000):
        report.note(line, OutcomeStatus.NOT_SENT, f"bad {line}")
        error = NotSent(f"no connection to port {line}")
        report.note(line, OutcomeStatus.NOT_SENT, str(error), error)
    assert (len(report.causes), len(report.words), len(report.groups)) == (2, 2, 1000)
    assert max(len(group.lines) for group in report.groups.values()) == 5
    shown = sum(group.count for group in report.groups.values())
    assert shown + report.not_shown == 4000


def test_rows_that_ended_alike_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    """How many, why, and where the first of them stand; the most first."""
    report = Report()
    report.note(2, OutcomeStatus.REJECTED, str(BLACK), BLACK)
    for line in range(3, 3001):
        error = NotSent(f"no connection: try {line}")
        report.note(line, OutcomeStatus.NOT_SENT, str(error), error)
    tally.print_causes(report)
    assert capsys.readouterr().err.splitlines() == [
        "2,998 × NOT_SENT: no connection: try 3 (lines 3, 4, 5, 6, 7, …)",
        "line 2: REJECTED: Submit 4030: 黑名单 [fix_request]",
    ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, list[str]]]:
    """What bars are told to show: how many are done, the note beside it and the lines under it."""
    told: list[tuple[int, str, list[str]]] = []

    def note(_: object, completed: int, note: str = "", lines: Iterable[str] = ()) -> None:
        told.append((completed, note, list(lines)))

    monkeypatch.setattr(tally, "errors", Console(file=io.StringIO()))
    monkeypatch.setattr(tally.Shown, "update", note)
    return told


def send_to(simulator: Simulator, folder: Path, rows: int) -> None:
    """Send a file of so many rows, one at a time, on virtual time."""

    async def main() -> None:
        async with in_process(simulator) as client:
            file = RecipientsFile(write(folder, rows))
            await once.go(client, Plan(file, concurrency=1))

    run_virtual(main())


def test_failures_are_told_with_each_outcome(
    tmp_path: Path, told: list[tuple[int, str, list[str]]]
) -> None:
    """Not at the end, when nothing can be stopped any more."""
    send_to(Simulator(blacklist=["13900000000", "13900000001"], latency=1.0), tmp_path, 3)
    counts = {(done, lines[0].partition(", unknown")[0]): lines[1:] for done, _, lines in told}
    cause = "4030 手机号码已被列入黑名单"
    assert counts == {
        (0, "accepted 0, refused 0"): [],
        (1, "accepted 0, refused 1"): [f"mostly (1): {cause}"],
        (2, "accepted 0, refused 2"): [f"mostly (2): {cause}"],
        (3, "accepted 1, refused 2"): [f"mostly (2): {cause}"],
    }


def test_attempts_that_are_made_again_are_told(
    tmp_path: Path, told: list[tuple[int, str, list[str]]]
) -> None:
    """While no message has failed for good: a dead address shows at once, not after its retries."""
    simulator = Simulator()
    simulator.add_fault(Fault("code", code=0))
    send_to(simulator, tmp_path, 1)
    assert any(
        done == 0 and lines[1:] == ["an attempt failed: Submit 0: 提交失败 [retry]"]
        for done, _, lines in told
    )
    assert told[-1][2][1:] == ["mostly (1): 0 提交失败"]


def test_a_run_in_which_nothing_ends_is_shown_too(
    tmp_path: Path, told: list[tuple[int, str, list[str]]]
) -> None:
    """Four times a second, until the reply comes."""
    send_to(Simulator(latency=5.0), tmp_path, 1)
    waiting = [note for done, note, _ in told if done == 0 and note == "0/s, 1 in flight"]
    assert 18 <= len(waiting) <= 21


def test_nothing_follows_a_run_whose_bar_is_hidden(
    tmp_path: Path, told: list[tuple[int, str, list[str]]]
) -> None:
    """Programs pay for no screen."""

    async def main() -> None:
        async with in_process(Simulator(latency=5.0)) as client:
            file = RecipientsFile(write(tmp_path, 1))
            await once.go(client, Plan(file), hidden=True)

    run_virtual(main())
    assert [done for done, _, _ in told] == [1]


@pytest.mark.parametrize("width", [30, 80])
def test_the_lines_under_the_bar_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Cut rather than wrapped, wide letters counted twice; brackets are no markup."""
    screen = io.StringIO()
    monkeypatch.setattr(tally, "errors", Console(file=screen, width=width))
    with tally.progress_bar("bar.sending", 9, hidden=False) as bar:
        bar.update(1, "[bold]", ["[red]短" + "长" * 60, "second"])
    shown = screen.getvalue().splitlines()
    assert len(shown) == 3
    assert shown[1].startswith("[red]短长")
    assert shown[1].endswith("…")
    assert shown[2] == "second"
    assert max(map(cell_len, shown)) <= width
    assert "[b" in shown[0]


def test_a_hidden_bar_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs."""
    screen = io.StringIO()
    monkeypatch.setattr(tally, "errors", Console(file=screen))
    with tally.progress_bar("bar.sending", 9, hidden=True) as bar:
        bar.update(1, "x", ["y"])
    assert not screen.getvalue()


@pytest.mark.parametrize(
    ("language", "counts", "cause"),
    [
        ("en", "accepted 0, refused 1", "mostly (1): 4030 "),
        ("zh", "已受理 0，被拒绝 1", "主要原因（1）：4030 "),
    ],
)
def test_a_real_terminal_shows_the_failure_while_the_run_goes_on(
    vendor: Simulator, tmp_path: Path, language: str, counts: str, cause: str
) -> None:
    """The first row is refused and the second never answered: the first is on the screen now."""
    vendor.add_fault(Fault("code", code=4030, mobile="13900000000"))
    vendor.add_fault(Fault("silence"))
    file = str(write(tmp_path, 2))
    outer, inner = pty.openpty()
    command = [*program(), "--lang", language, "send", file, "--concurrency", "1"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=inner, stdout=inner, stderr=inner
    ) as process:
        os.close(inner)
        shown = b""
        while counts.encode() not in shown or cause.encode() not in shown:
            shown += os.read(outer, 65536)  # raises once the process has ended
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    os.close(outer)


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        (2, "nothing", "无需处理"),
        (0, "retry", "可以直接重试"),
        (4072, "fix_request", "修改后再发"),
        (4083, "wait", "稍后再发"),
        (4084, "wait", "稍后再发"),
        (4010, "wait", "稍后再发"),
        (4053, "stop", "停止发送，先解决账号问题"),
        (9999, "fix_request", "修改后再发"),
    ],
)
def test_each_code_says_what_to_do(
    capsys: pytest.CaptureFixture[str], code: int, english: str, chinese: str
) -> None:
    """In the table at the end, beside the vendor's text."""
    for language, action in ((Language.EN, english), (Language.ZH, chinese)):
        choose(language)
        report = Report()
        report.codes[code] += 1
        tally.print_report(report)
        rows = [
            line for line in capsys.readouterr().out.splitlines() if line.startswith(f"│ {code} ")
        ]
        assert len(rows) == 1
        assert rows[0].rstrip("│ ").endswith(action)


def test_rows_that_ended_alike_are_told_in_the_order_of_the_list() -> None:
    """Whichever ended first: a person looks for them there."""
    report = Report()
    for line in (9, 4, 7, 2, 8, 3, 6):
        report.note(line, OutcomeStatus.NOT_SENT, "x")
    (group,) = report.groups.values()
    assert (group.count, group.lines) == (7, [2, 3, 4, 6, 7])
