"""A results file that is sent again: what is safe to send again, and nothing else."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice.cli import once
from ihuyi_voice.cli.course import Plan
from ihuyi_voice.inputs import RecipientsFile, earlier
from ihuyi_voice.inputs.earlier import OF_A_LEDGER, OF_ONE_RUN, beside
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.simulator import Fault, Simulator
from tests.cli.test_once import results
from tests.support.command import CONTENT, TEMPLATE, run
from tests.support.vendor import in_process
from tests.support.virtual_time import run_virtual

SAFE = ("--only", "held,not_sent")
PAST = datetime.now(UTC) - timedelta(minutes=1)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


def write(folder: Path, ends: Sequence[tuple[str, str]]) -> Path:
    """Write a results file of rows with these statuses and times."""
    file = folder / "results.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(("姓名", "手机号", "content", *OF_ONE_RUN))
        for place, (status, retry_at) in enumerate(ends):
            told = (status, "", "", "", retry_at, "1", place + 2)
            rows.writerow((f"张{place}", f"139{place:08d}", CONTENT, *told))
    return file


def numbers(vendor: Simulator) -> set[str]:
    """Return the numbers that were called."""
    return {mobile for mobile, _ in vendor.rung()}


def test_what_is_safe_to_send_again_is_sent_and_nothing_else(
    vendor: Simulator, tmp_path: Path
) -> None:
    """The new results tell of every row: those that were sent, and the others as they were."""
    ends = [
        ("ACCEPTED", ""), ("REJECTED", ""), ("UNKNOWN", ""), ("NOT_SENT", ""),
        ("HELD", str(PAST)), ("HELD", str(FUTURE)), ("HELD", "2026/11/1"), ("", ""),
    ]  # fmt: skip
    file, out = write(tmp_path, ends), tmp_path / "again.csv"
    result = run("send", str(file), *SAFE, "--out", str(out))
    assert result.exit_code == 0
    assert numbers(vendor) == {"13900000003", "13900000004", "13900000006"}
    rows = {row["姓名"]: row["status"] for row in results(out)}
    assert list(results(out)[0]) == ["姓名", "手机号", "content", *OF_ONE_RUN]
    assert rows == {
        "张0": "ACCEPTED", "张1": "REJECTED", "张2": "UNKNOWN", "张3": "ACCEPTED",
        "张4": "ACCEPTED", "张5": "HELD", "张6": "ACCEPTED", "张7": "UNKNOWN",
    }  # fmt: skip
    assert "5 rows were left as an earlier run left them" in result.stdout
    assert f"held back, the last until {FUTURE}" in result.stdout
    third = run("send", str(out), *SAFE, "--json")
    *lines, last = map(json.loads, third.stdout.splitlines())
    assert (len(lines), last["carried"], sum(last["outcomes"].values())) == (8, 8, 0)
    assert len(vendor.arrivals) == 3


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ((), "say which of its rows to send, mostly --only held,not_sent"),
        (("--only", "unknown"), "those phones ring twice; say --ring-again"),
        (("--only", "held,accepted"), "those phones ring twice; say --ring-again"),
        (("--only", "nonsense"), "--only 'nonsense': there are accepted"),
        (("--only", ""), "--only '': there are accepted"),
    ],
)
def test_nothing_is_sent_that_may_have_rung(
    vendor: Simulator, tmp_path: Path, args: Sequence[str], shown: str
) -> None:
    """Unless it is said in words; a results file is never sent as if it were a list."""
    file = write(tmp_path, [("ACCEPTED", ""), ("UNKNOWN", ""), ("HELD", "")])
    result = run("send", str(file), *args)
    assert (result.exit_code, shown in " ".join(result.stderr.split())) == (2, True)
    assert not vendor.arrivals


def test_in_explicit_words_phones_ring_again(vendor: Simulator, tmp_path: Path) -> None:
    """For an alarm, say."""
    file = write(tmp_path, [("ACCEPTED", ""), ("UNKNOWN", ""), ("HELD", "")])
    assert run("send", str(file), "--only", "unknown", "--ring-again").exit_code == 0
    assert numbers(vendor) == {"13900000001"}


def test_a_list_has_no_statuses_to_choose_from(vendor: Simulator, tmp_path: Path) -> None:
    """And is not sent in part."""
    file = tmp_path / "a.csv"
    file.write_text(f"mobile,content,status\n13900000000,{CONTENT},HELD\n", encoding="utf-8")
    result = run("send", str(file), *SAFE)
    assert (result.exit_code, "is no results file" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_results_are_no_values_of_a_template(vendor: Simulator, tmp_path: Path) -> None:
    """The columns that are left over are those of the list."""
    file, out = tmp_path / "a.csv", tmp_path / "1.csv"
    file.write_text("手机号,订单\n13900000000,1\n13900000001,2\n", encoding="utf-8")
    vendor.add_fault(Fault("code", code=4051))
    args = ("--template", TEMPLATE, "--concurrency", "1")
    assert run("send", str(file), *args, "--out", str(out)).exit_code == 3
    vendor.clear_faults()
    assert run("send", str(out), *args, *SAFE).exit_code == 0
    assert vendor.rung() == {("13900000001", "您的订单号是：2。"): 1}


def test_a_row_like_one_that_rang_is_not_sent(vendor: Simulator, tmp_path: Path) -> None:
    """Under another line it is the same call; it carries that row's result."""
    file, out = write(tmp_path, [("ACCEPTED", ""), ("NOT_SENT", "")]), tmp_path / "2.csv"
    text = file.read_text(encoding="utf-8-sig").replace("13900000001", "13900000000")
    file.write_text(text, encoding="utf-8")
    result = run("send", str(file), *SAFE, "--out", str(out))
    assert (result.exit_code, len(vendor.arrivals)) == (0, 0)
    assert [row["status"] for row in results(out)] == ["ACCEPTED", "ACCEPTED"]


def test_with_a_ledger_the_others_are_carried_too(vendor: Simulator, tmp_path: Path) -> None:
    """Whatever the ledger knows of them."""
    file, out = write(tmp_path, [("ACCEPTED", ""), ("NOT_SENT", "")]), tmp_path / "2.csv"
    ledger = ("--ledger", str(tmp_path / "n.db"), "--json")
    result = run("send", str(file), *SAFE, "--out", str(out), *ledger)
    assert result.exit_code == 0, result.output
    assert numbers(vendor) == {"13900000001"}
    assert [row["status"] for row in results(out)] == ["ACCEPTED", "ACCEPTED"]
    assert [json.loads(line).get("line") for line in result.stdout.splitlines()] == [2, 3, None]


names = st.lists(st.sampled_from(["a", "status", "line", "key", "result.status", "code"]))


@given(names, names, st.sampled_from([OF_ONE_RUN, OF_A_LEDGER]))
def test_our_columns_are_found_wherever_they_stand(
    before: list[str], behind: list[str], ours: tuple[str, ...]
) -> None:
    """Whatever a list's own columns are called, and whatever people put behind."""
    left = (*before, *behind)
    header = (*before, *beside(left, ours), *behind)
    assert list(earlier(header)) == list(range(len(before), len(before) + len(ours)))


statuses = st.lists(st.sampled_from(list(OutcomeStatus)), max_size=8)


@settings(max_examples=25)
@given(statuses, st.sets(st.sampled_from(list(OutcomeStatus))))
def test_as_many_rows_come_out_as_go_in(
    tmp_path_factory: pytest.TempPathFactory, ends: list[OutcomeStatus], only: set[OutcomeStatus]
) -> None:
    """And as many are sent as were asked for."""
    folder = tmp_path_factory.mktemp("feeding")
    file = write(folder, [(status.value, "") for status in ends])
    simulator, out = Simulator(), folder / "out.csv"

    async def main() -> None:
        async with in_process(simulator) as client:
            plan = Plan(RecipientsFile(file), only=frozenset(only), out=out)
            await once.go(client, plan, hidden=True)

    run_virtual(main())
    assert len(simulator.arrivals) == sum(status in only for status in ends)
    assert [row["姓名"] for row in sorted(results(out), key=lambda row: int(row["line"]))] == [
        f"张{place}" for place in range(len(ends))
    ]


def test_a_row_like_one_further_down_that_rang_is_not_sent(
    vendor: Simulator, tmp_path: Path
) -> None:
    """As where the results of two runs were put together: the phone rang in the second."""
    ends = [("NOT_SENT", ""), ("HELD", ""), ("ACCEPTED", ""), ("UNKNOWN", "")]
    file, out = write(tmp_path, ends), tmp_path / "2.csv"
    text = file.read_text(encoding="utf-8-sig")
    text = text.replace("13900000002", "13900000000").replace("13900000003", "13900000001")
    file.write_text(text, encoding="utf-8")
    for more in ((), ("--ledger", str(tmp_path / "n.db"), "--force")):
        result = run("send", str(file), *SAFE, "--out", str(out), *more)
        assert not vendor.arrivals
        rows = results(out)
        told = {row["姓名"]: row["status"] for row in rows}
        assert told == {"张0": "ACCEPTED", "张1": "UNKNOWN", "张2": "ACCEPTED", "张3": "UNKNOWN"}
        assert (result.exit_code, len(rows)) == (0, 4), more


def test_rows_that_a_spreadsheet_or_a_hand_has_changed_are_json_all_the_same(
    vendor: Simulator, tmp_path: Path
) -> None:
    """What is no whole number is none; before, a run ended in the middle of its list by it."""
    file = write(tmp_path, [("ACCEPTED", "")] * 4 + [("NOT_SENT", "")])
    text = file.read_text(encoding="utf-8-sig")
    for place, (code, attempts) in enumerate(
        [("2.0", "1.0"), (" ", "一"), ("9" * 5000, ""), ("二", "1 ")]
    ):
        text = text.replace(
            f"ACCEPTED,,,,,1,{place + 2}", f"ACCEPTED,,{code},,,{attempts},{place + 2}"
        )
    file.write_text(text, encoding="utf-8")
    result = run("send", str(file), *SAFE, "--json")
    *rows, last = map(json.loads, result.stdout.splitlines())
    told = {row["line"]: (row["code"], row["attempts"]) for row in rows}
    assert (result.exit_code, last["exit_code"], len(vendor.arrivals)) == (0, 0, 1)
    assert told == {2: (2, 1), 3: (None, 0), 4: (None, 0), 5: (None, 1), 6: (2, 1)}
