"""Where results may be written, what is never written over, and lists that change meanwhile."""

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import pytest

from ihuyi_voice.cli.course import Plan
from ihuyi_voice.cli.listing import Scratch, look_at, steady
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.simulator import Simulator
from tests.cli.test_once import Sending, arrived, statuses, write
from tests.support.command import PROGRAM, run

WRITING = (
    ("send", "{list}", "--force", "--out"),
    ("send", "{list}", "--force", "--ledger", "{ledger}", "--out"),
    ("ledger", "csv", "r", "--ledger", "{ledger}", "--recipients", "{list}", "--out"),
    ("ledger", "html", "r", "--ledger", "{ledger}", "--out"),
)
KEEPING = tuple(tuple(each for each in args if each != "--force") for args in WRITING)


@pytest.fixture
def places(vendor: Simulator, tmp_path: Path) -> dict[str, str]:
    """A list, and a ledger that has a run of it."""
    file, ledger = str(write(tmp_path, 2)), str(tmp_path / "n.db")
    assert run("send", file, "--ledger", ledger, "--run", "r").exit_code == 0
    return {"list": file, "ledger": ledger}


def filled(args: tuple[str, ...], places: dict[str, str]) -> list[str]:
    """Return the arguments with their places."""
    return [each.format(**places) for each in args]


def refused(args: tuple[str, ...], places: dict[str, str], out: Path) -> str:
    """Run a command that must not write there; return what it complains of."""
    result = run(*filled(args, places), str(out))
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.mark.parametrize("args", WRITING, ids=" ".join)
def test_nothing_is_written_over_that_a_command_lives_on(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Not even forced: without its ledger everybody would be called again."""
    link = tmp_path / "link"
    needed = [name for name in places if f"{{{name}}}" in args]
    for name in needed:
        place = Path(places[name])
        before = place.read_bytes()
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        for out in (place, link, place.parent / "." / place.name):
            assert f"would overwrite {place.name}" in refused(args, places, out)
        assert place.read_bytes() == before
    if "ledger" in needed:
        told = refused(args, places, Path(f"{places['ledger']}-wal"))
        assert "would overwrite n.db-wal" in told


@pytest.mark.parametrize("args", KEEPING, ids=" ".join)
def test_nothing_is_written_over_that_is_somebody_elses(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Unless it is forced."""
    out = tmp_path / "budget.csv"
    out.write_text("month,sum\n11,1\n", encoding="utf-8")
    assert "--force" in refused(args, places, out)
    assert out.read_text(encoding="utf-8") == "month,sum\n11,1\n"
    forced = run(*filled(args, places), str(out), "--force")
    assert forced.exit_code == 0, forced.output
    assert "month" not in out.read_text(encoding="utf-8-sig")


@pytest.mark.slow
@pytest.mark.parametrize("args", KEEPING[1:], ids=" ".join)
def test_what_a_run_has_written_it_writes_again(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Where a link points to, which stays one; an empty file of `mktemp` is nobody's."""
    there, link = tmp_path / "there.csv", tmp_path / "here.csv"
    there.touch()
    link.symlink_to(there)
    for _ in range(2):
        result = run(*filled(args, places), str(link))
        assert result.exit_code in {0, 7}, result.output
        assert link.is_symlink()
        assert there.stat().st_size > 0


@pytest.mark.parametrize("args", WRITING, ids=" ".join)
def test_a_link_that_leads_to_itself_costs_no_traceback(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """It is told, or a file takes its place: it held nothing."""
    link = tmp_path / "link.csv"
    link.symlink_to(link)
    result = run(*filled(args, places), str(link))
    assert (result.exit_code, link.is_symlink()) in ((2, True), (0, False))


@pytest.mark.slow
@pytest.mark.parametrize("args", WRITING, ids=" ".join)
def test_the_output_is_no_place_for_a_file(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """`--out /dev/stdout > file` would take the device's place, or write over what is told."""
    log = tmp_path / "log"
    device = tmp_path / "stdout"
    device.symlink_to("/proc/self/fd/1")
    command = [*PROGRAM, *filled(args, places), str(device)]
    with log.open("wb") as told:
        done = subprocess.run(command, stdout=told, stderr=subprocess.PIPE, check=False)  # noqa: S603
    assert (done.returncode, log.read_bytes(), device.is_symlink()) == (2, b"", True)
    assert b"is no file" in done.stderr


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx", "x.html"])
def test_a_folder_that_is_not_there_is_told_by_the_name_that_was_given(
    places: dict[str, str], tmp_path: Path, name: str
) -> None:
    """And not by that of a file that nobody asked for."""
    out = tmp_path / "none" / name
    args = WRITING[3] if out.suffix == ".html" else WRITING[2]
    assert f"{out}'" in refused(args, places, out)


def test_a_list_from_a_pipe_is_joined_with_its_results(
    places: dict[str, str], tmp_path: Path
) -> None:
    """It is read more than once, as `send` reads it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = Path(places["list"]).read_bytes()
    writer = threading.Thread(target=lambda: pipe.write_bytes(data), daemon=True)
    writer.start()
    result = run("ledger", "csv", "r", "--ledger", places["ledger"], "--recipients", str(pipe))
    writer.join()
    assert (result.exit_code, result.stdout.count("ACCEPTED")) == (0, 2)


@pytest.mark.parametrize("args", WRITING, ids=" ".join)
def test_no_results_go_where_no_file_can_be(
    places: dict[str, str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Into a pipe they would block, and it would be a file afterwards, as a device would."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for out in (pipe, tmp_path):
        assert "is no file, but a folder, a pipe or a device" in refused(args, places, out)
    assert pipe.is_fifo()


def test_a_ledger_that_is_yet_to_be_made_is_spared_too(vendor: Simulator, tmp_path: Path) -> None:
    """Under the same name there can't be both."""
    place = str(tmp_path / "n.db")
    result = run("send", str(write(tmp_path, 1)), "--ledger", place, "--out", place)
    assert (result.exit_code, Path(place).exists()) == (2, False)


@pytest.mark.slow
def test_a_list_that_is_written_over_stops_the_run(vendor: Simulator, tmp_path: Path) -> None:
    """No row is a mixture; some were sent, so the exit code is not that of wrong usage."""
    vendor.latency = 0.05
    file, out = write(tmp_path, 2_000), tmp_path / "out.csv"
    sending = Sending(file, "--out", out)
    arrived(vendor, 20, sending)
    file.write_text("姓名,手机号,content\n" + "李四,13700000000,您好。\n" * 3_000, encoding="utf-8")
    code, said, complained = sending.end()
    assert code == 1
    assert "was changed while it was read" in said
    assert f"What does not stand in {out} was not sent." in said
    assert "InvalidRequest" in complained
    assert statuses(out) == {"ACCEPTED": len(vendor.arrivals)}
    assert not [each for each in vendor.arrivals if each.mobile == "13700000000"]


@pytest.mark.slow
def test_a_list_that_another_one_replaces_is_sent_as_it_was(
    vendor: Simulator, tmp_path: Path
) -> None:
    """Whoever saves a table writes a new file mostly, and the old one is still open."""
    vendor.latency = 0.02
    file, out = write(tmp_path, 500), tmp_path / "out.csv"
    sending = Sending(file, "--out", out)
    arrived(vendor, 20, sending)
    other = tmp_path / "other"
    other.write_text("姓名,手机号,content\n", encoding="utf-8")
    other.replace(file)
    assert sending.end()[0] == 0
    assert statuses(out) == {"ACCEPTED": 500}


@pytest.mark.parametrize("ledger", [False, True])
def test_ctrl_c_is_heard_at_once_when_a_long_list_is_read(
    vendor: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ledger: bool
) -> None:
    """Before the event loop, which would keep it until the last row; nothing is left behind."""

    def interrupted(_: Plan) -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        raise KeyboardInterrupt

    monkeypatch.setattr("ihuyi_voice.cli.send.count_rows", interrupted)
    out = tmp_path / "out.csv"
    more = ("--ledger", str(tmp_path / "n.db")) if ledger else ()
    result = run("send", str(write(tmp_path, 1)), "--out", str(out), *more)
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")
    assert [each.name for each in tmp_path.iterdir()] == ["名单.csv"]


def test_a_list_is_the_same_at_each_reading(tmp_path: Path) -> None:
    """One that took its place is noticed before its first row; one that is gone is read on."""
    file = tmp_path / "a.csv"
    file.write_text("1")
    seen = look_at(file)
    rows = steady([1, 2], file, seen)
    assert next(rows) == 1
    file.unlink()
    assert next(rows) == 2
    file.write_text("2")
    with pytest.raises(InvalidRequest, match="was changed"):
        next(steady([1], file, seen))


def test_a_full_disk_of_temporary_files_is_one_of_the_systems_errors() -> None:
    """So that it is told in words, whatever is kept there."""
    with Scratch("CREATE TABLE a (b)") as known:
        known.run("PRAGMA max_page_count = 2")
        rows = [("x" * 4_000,)] * 10
        with pytest.raises(OSError, match="full"):
            known.run_for_each("INSERT INTO a VALUES (?)", rows)
