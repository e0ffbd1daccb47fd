"""`ihuyi-voice send`: files in, calls out, and a result for every row."""

import asyncio
import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import OutcomeStatus
from ihuyi_voice.cli import once
from ihuyi_voice.cli.course import Course, Plan
from ihuyi_voice.inputs.recipients import RecipientsFile
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.command import CONTENT, MOBILE, TEMPLATE, run
from tests.support.vendor import in_process
from tests.support.virtual_time import run_virtual

HEADER = [
    *("手机号", "订单", "备注"),
    *("status", "voice_id", "code", "error", "retry_at", "attempts", "line"),
]
ROWS = f"手机号,订单,备注\n{MOBILE},1,a\n12,2,b\n13911111111,3,c\n13922222222,x y,d\n"
MAPPING = ("--column", "mobile=手机号", "--column", "1=订单", "--column", "reference=备注")


def write(path: Path, text: str | bytes) -> str:
    """Write a recipients file and return its name."""
    file = path / "名单.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def results(path: Path) -> dict[int, dict[str, str]]:
    """Return the results file's rows by the line that they tell of; each line comes once."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    by_line = {int(row["line"]): row for row in rows}
    assert len(by_line) == len(rows)
    return by_line


def statuses(path: Path) -> dict[int, str]:
    """Return how each line ended."""
    return {line: row["status"] for line, row in results(path).items()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_good_rows_are_sent_and_the_others_reported_by_their_line(
    vendor: Simulator, tmp_path: Path, encoding: str
) -> None:
    """Those that can't be sent, and those that the vendor refuses; exit code 1."""
    vendor.vendor.blacklist = frozenset({"13911111111"})
    out = tmp_path / "结果.csv"
    file = write(tmp_path, ROWS.encode(encoding))
    result = run("send", file, "--template", TEMPLATE, *MAPPING, "--out", str(out))
    assert result.exit_code == 1
    assert set(re.findall(r"^line .*", result.stderr, re.MULTILINE)) == {
        "line 3: NOT_SENT: '12': a mobile has 11 digits, this has 2",
        "line 4: REJECTED: Submit 4030: 手机号码已被列入黑名单 [fix_request]",
        "line 5: NOT_SENT: value 1 has ' '; digits, letters and Chinese characters are allowed",
    }
    assert re.search(r"│ 4030 +│ 1 +│ 手机号码已被列入黑名单 +│ fix_request", result.stdout)
    assert re.search(r"^4 rows in [\d.]+ s: [\d,]+ a second$", result.stdout, re.MULTILINE)
    assert statuses(out) == {2: "ACCEPTED", 3: "NOT_SENT", 4: "REJECTED", 5: "NOT_SENT"}
    assert vendor.rung() == {(MOBILE, "您的订单号是：1。"): 1}


def test_the_results_hold_all_that_is_known_of_a_row(vendor: Simulator, tmp_path: Path) -> None:
    """With a BOM, so that spreadsheets read it."""
    vendor.vendor.blacklist = frozenset({"13911111111"})
    out = tmp_path / "out.csv"
    run("send", write(tmp_path, ROWS), "--template", TEMPLATE, *MAPPING, "--out", str(out))
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = results(out)
    accepted = rows[2]
    assert list(accepted) == HEADER
    assert accepted.pop("voice_id").isdigit()
    assert list(accepted.values()) == [MOBILE, "1", "a", "ACCEPTED", "2", "", "", "1", "2"]
    reason = "'12': a mobile has 11 digits, this has 2"
    assert list(rows[3].values()) == ["12", "2", "b", "NOT_SENT", "", "", reason, "", "0", "3"]
    refused = "Submit 4030: 手机号码已被列入黑名单 [fix_request]"
    assert list(rows[4].values()) == [
        *("13911111111", "3", "c", "REJECTED", "", "4030", refused, "", "1", "4")
    ]


def test_programs_get_counts_and_codes_on_one_line(vendor: Simulator, tmp_path: Path) -> None:
    """On stdout, with nothing on stderr; exit code 0, for everything was accepted."""
    file = write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n")
    result = run("send", file, "--json", "--max-rate", "100")
    assert (result.exit_code, result.stderr) == (0, "")
    row, told = map(json.loads, result.stdout.splitlines())
    assert (row["line"], row["status"], row["mobile"]) == (2, "ACCEPTED", MOBILE)
    assert told.pop("per_second") > 0
    counts = {status.value: 0 for status in OutcomeStatus}
    assert told == {
        "outcomes": {**counts, "ACCEPTED": 1},
        "codes": {"2": 1},
        "duplicates": 0,
        "carried": 0,
        "interrupted": False,
        "cause": None,
        "exit_code": 0,
    }


def test_programs_learn_of_bad_rows_by_count_and_exit_code(
    vendor: Simulator, tmp_path: Path
) -> None:
    """What is wrong with each stands in the results."""
    result = run("send", write(tmp_path, "mobile,content\n12,x\n"), "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    row, told = map(json.loads, result.stdout.splitlines())
    assert (row["line"], row["mobile"], row["attempts"]) == (2, None, 0)
    assert row["text"] == "'12': a mobile has 11 digits, this has 2"
    assert told["outcomes"]["NOT_SENT"] == 1
    assert not vendor.arrivals


def test_a_file_without_rows_is_done_at_once(vendor: Simulator, tmp_path: Path) -> None:
    """Exit code 0; nobody was to be called."""
    result = run("send", write(tmp_path, "mobile,content\n"))
    assert result.exit_code == 0
    assert "0 rows in" in result.stdout
    assert "Outcomes" in result.stdout
    assert "Codes" not in result.stdout  # an empty table tells nothing
    assert not vendor.arrivals


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f'{MOBILE},"{CONTENT}', "a quote that is closed nowhere"),
        (f"{MOBILE}", "1 cells instead of 2"),
        (f"{MOBILE},{CONTENT},x", "3 cells instead of 2"),
        (f"{MOBILE},\udcff", "bytes that make no sense"),
        (f"{MOBILE},", "content"),
        ("010-1234,x", "area code and number have 10 to 12 digits"),
    ],
)
def test_a_bad_row_spoils_no_other(
    vendor: Simulator, tmp_path: Path, row: str, reason: str
) -> None:
    """Unclosed quotes, missing cells, broken bytes: the rows before and after are sent."""
    text = f"mobile,content\n13911111111,{CONTENT}\n{row}\n13922222222,{CONTENT}\n"
    out = tmp_path / "out.csv"
    file = write(tmp_path, text.encode("utf-8", "surrogateescape"))
    result = run("send", file, "--out", str(out))
    assert result.exit_code == 1
    assert re.search(rf"^line 3: NOT_SENT: .*{reason}", result.stderr, re.MULTILINE)
    assert statuses(out) == {2: "ACCEPTED", 3: "NOT_SENT", 4: "ACCEPTED"}
    assert len(vendor.arrivals) == 2
    assert MOBILE not in result.output


def test_the_first_bad_rows_only_are_shown(vendor: Simulator, tmp_path: Path) -> None:
    """A file full of them doesn't flood the screen, and the results hold them all."""
    out = tmp_path / "out.csv"
    rows = "".join(f"{place:02},x\n" for place in range(30)) + "99,x\n" * 30
    file = write(tmp_path, f"mobile,content\n{rows}")
    result = run("send", file, "--out", str(out))
    reason = "'99': neither a mobile (1…) nor a landline with its area code (0…)"
    assert f"30 × NOT_SENT: {reason} (lines 32, 33, 34, 35, 36, …)" in result.stderr
    shown = re.findall(r"^line (\d+):", result.stderr, re.MULTILINE)
    assert shown == [str(line) for line in range(2, 21)]
    assert "… and 11 more; --out writes them all" in result.stderr
    assert len(results(out)) == 60


def test_a_wrong_template_is_the_vendors_word_row_by_row(vendor: Simulator, tmp_path: Path) -> None:
    """4072, with its text and what to do about it."""
    result = run("send", write(tmp_path, f"mobile,content\n{MOBILE},别的\n"))
    assert result.exit_code == 1
    assert re.search(r"│ 4072 +│ 1 +│ .+ │ fix_request", result.stdout)
    assert not vendor.rung()


def test_a_code_in_no_table_is_shown_as_it_came(vendor: Simulator, tmp_path: Path) -> None:
    """The vendor adds codes without telling."""
    vendor.add_fault(Fault("code", code=9999))
    result = run("send", write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n"))
    assert result.exit_code == 1
    assert re.search(r"│ 9999 +│ 1 +│ in no table +│ fix_request", result.stdout)


def test_what_may_have_arrived_is_unknown_and_not_sent_again(
    vendor: Simulator, tmp_path: Path
) -> None:
    """The phone rings once, and the results say that nobody knows."""
    vendor.add_fault(Fault("disconnect_after"))
    out = tmp_path / "out.csv"
    file = write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n")
    result = run("send", file, "--out", str(out))
    assert result.exit_code == 1
    assert re.search(r"│ UNKNOWN +│ 1 +│ no, it may ring already", result.stdout)
    assert (results(out)[2]["status"], results(out)[2]["code"]) == ("UNKNOWN", "")
    assert vendor.rung() == {(MOBILE, CONTENT): 1}


def test_what_its_number_holds_back_says_until_when(vendor: Simulator, tmp_path: Path) -> None:
    """A second call to one number, and no time to wait for it."""
    out = tmp_path / "out.csv"
    file = write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n{MOBILE},{CONTENT}\n")
    before = datetime.now(UTC)
    result = run("send", file, "--max-wait", "0", "--duplicates", "send", "--out", str(out))
    assert result.exit_code == 1
    assert statuses(out) == {2: "ACCEPTED", 3: "HELD"}
    assert datetime.fromisoformat(results(out)[3]["retry_at"]) > before
    assert len(vendor.arrivals) == 1


def test_a_code_that_stops_ends_the_run(vendor: Simulator, tmp_path: Path) -> None:
    """An empty balance isn't tried a hundred times; the rest is not sent, row by row."""
    vendor.add_fault(Fault("code", code=4051))
    out = tmp_path / "out.csv"
    rows = "".join(f"139{place:08d},{CONTENT}\n" for place in range(100))
    file = write(tmp_path, f"mobile,content\n{rows}")
    result = run("send", file, "--concurrency", "1", "--out", str(out), "--json")
    assert result.exit_code == 3
    *lines, last = map(json.loads, result.stdout.splitlines())
    assert (len(lines), last["codes"]) == (100, {"4051": 1})
    told = statuses(out)
    assert list(told) == list(range(2, 102))
    assert list(told.values()) == ["REJECTED", *["NOT_SENT"] * 99]
    assert len(vendor.arrivals) == 1


@pytest.mark.parametrize(
    ("text", "args", "shown"),
    [
        ("number,text\n1,2\n", (), "has no column 'mobile' for the mobile; it has: number, text"),
        ("mobile\n1\n", (), "has no column 'content' for the content; it has: mobile"),
        ("", (), "has no column 'mobile' for the mobile; it has: none"),
        ('mobile,"content\n1,2\n', (), "the header of 名单.csv can't be read"),
        ("mobile,a,b\n1,2,3\n", ("--template", TEMPLATE), "the template takes 1 values, and"),
        ("mobile,a\n1,2\n", ("--column", "oops"), "--column 'oops': write it as mobile=手机号"),
        ("mobile,a\n1,2\n", ("--column", "mobile="), "--column 'mobile=': write it as"),
        ("mobile,content\n", ("--column", "2=a"), "and there is no template"),
        ("mobile,content\n", ("--template", "【变量】"), "a template needs some text"),
        ("mobile,content\n", ("--max-rate", "0"), "max_rate is 0.0; it must be above 0"),
        ("mobile,content\n", ("--max-rate", "1e-9"), "max_rate is 1e-09, slower than one a day"),
        (None, (), "No such file"),
    ],
)
def test_a_file_or_an_option_that_cannot_be_used_is_told_at_once(
    vendor: Simulator, tmp_path: Path, text: str | None, args: tuple[str, ...], shown: str
) -> None:
    """Exit code 2, a reason without a traceback, and nothing is sent."""
    file = write(tmp_path, text) if text is not None else str(tmp_path / "none.csv")
    result = run("send", file, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert shown in result.stderr
    assert "Traceback" not in result.stderr
    assert not vendor.arrivals


def test_a_wrong_header_can_be_told_to_programs(vendor: Simulator, tmp_path: Path) -> None:
    """As an error object in the place of the counts."""
    result = run("send", write(tmp_path, "number\n1\n"), "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    told = json.loads(result.stdout)
    assert (told["error"], told["code"]) == ("InvalidRequest", None)
    assert "no column 'mobile'" in told["message"]


def test_results_never_overwrite_the_recipients(vendor: Simulator, tmp_path: Path) -> None:
    """Not even by another name of the same file."""
    text = f"mobile,content\n{MOBILE},{CONTENT}\n"
    file = write(tmp_path, text)
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    result = run("send", file, "--out", str(link))
    assert (result.exit_code, "would overwrite" in result.stderr) == (2, True)
    assert Path(file).read_text(encoding="utf-8") == text
    assert not vendor.arrivals


def test_results_that_cannot_be_written_stop_the_run_before_it_begins(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Nobody is called of whom nothing would be known."""
    file = write(tmp_path, f"mobile,content\n{MOBILE},{CONTENT}\n")
    result = run("send", file, "--out", str(tmp_path / "none" / "out.csv"))
    assert (result.exit_code, "No such file" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_results_are_written_row_by_row(tmp_path: Path) -> None:
    """A command that is killed in the middle has told what came until then."""
    out = tmp_path / "out.csv"
    simulator = Simulator(latency=5.0, limits=())
    rows = "".join(f"139{place:08d},{CONTENT}\n" for place in range(3))
    file = RecipientsFile(Path(write(tmp_path, f"mobile,content\n{rows}")))

    async def main() -> dict[int, str]:
        async with in_process(simulator) as client:
            plan = Plan(file, out=out, concurrency=1)
            running = asyncio.create_task(once.go(client, plan, hidden=True))
            await simulator.arrived(3)
            so_far = statuses(out)
            await running
            return so_far

    assert run_virtual(main()) == {2: "ACCEPTED", 3: "ACCEPTED"}


def test_an_interrupted_run_writes_the_results_of_those_in_flight(tmp_path: Path) -> None:
    """Their phones ring; whoever sends the rest must know."""
    out = tmp_path / "out.csv"
    simulator = Simulator(latency=5.0, limits=())
    rows = "".join(f"139{place:08d},{CONTENT}\n" for place in range(10))
    file = RecipientsFile(Path(write(tmp_path, f"mobile,content\n{rows}")))

    async def main() -> None:
        async with in_process(simulator) as client:
            plan = Plan(file, out=out, concurrency=3)
            running = asyncio.create_task(once.go(client, plan, hidden=True))
            await simulator.arrived(3)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    run_virtual(main())
    ends = statuses(out)
    assert [line for line, end in ends.items() if end == "ACCEPTED"] == [2, 3, 4]
    assert set(ends.values()) == {"ACCEPTED", "NOT_SENT"}
    assert simulator.rung().total() == 3


numbers = st.integers(0, 99).map(lambda place: f"139{place:08d},")
good = st.tuples(numbers, st.sampled_from("ab ,")).map("".join)
lines = good | st.sampled_from(["", "12,x", f'{MOBILE},"x'])


@settings(max_examples=25)
@given(st.lists(lines, max_size=12))
def test_every_row_has_one_result(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    """Good or bad, repeated or not: as many as there are rows that aren't blank."""
    folder = tmp_path_factory.mktemp("send")
    out = folder / "out.csv"
    file = RecipientsFile(Path(write(folder, "\n".join(["mobile,content", *rows]))))

    async def main() -> Course:
        async with in_process(Simulator()) as client:
            return await once.go(client, Plan(file, out=out), hidden=True)

    course = run_virtual(main())
    expected = [row.line for row in file]
    assert sorted(statuses(out)) == expected
    assert course.report.counts.total() + course.same == len(expected)


def test_results_are_never_written_over_older_ones(vendor: Simulator, tmp_path: Path) -> None:
    """An older file says whose phone rang; nothing is sent before another name is given."""
    out = tmp_path / "results.csv"
    out.write_text("older")
    file = tmp_path / "recipients.csv"
    file.write_text("mobile,content\n13900000000,x\n")
    result = run("send", str(file), "--out", str(out))
    assert result.exit_code == 2
    assert "is there already" in result.output
    assert out.read_text() == "older"
    assert not vendor.arrivals
