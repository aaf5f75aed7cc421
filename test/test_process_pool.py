"""Worker processes that go on when one of them does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from pool_jobs import LARGE, do

from avemo_ros.process_pool import Done, Failed, Reached, run_jobs

SCRIPT = """
import sys
from contextlib import closing
sys.path.insert(0, {tests!r})
from pool_jobs import do
from avemo_ros.process_pool import run_jobs

{guard}
    with closing(run_jobs(sys.argv[1:], do, 2)) as events:
        for event in events:
            print(event, flush=True)
"""


def outcomes(jobs: list[str], workers: int) -> dict[int, str | bytes]:
    found: dict[int, str | bytes] = {}
    for event in run_jobs(jobs, do, workers):
        if isinstance(event, Done):
            found[event.number] = event.result
        elif isinstance(event, Failed):
            found[event.number] = f"failed: {event.reason}"
    return found


def script(tmp_path: Path, guard: str = "if __name__ == '__main__':") -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(tests=str(Path(__file__).parent), guard=guard))
    return [sys.executable, str(path)]


def written(path: Path) -> list[int]:
    """The processes that a job names in a file, once it is there."""
    limit = time.monotonic() + 60
    while not (path.exists() and path.read_text()) and time.monotonic() < limit:
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


def alive(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def ended(processes: list[int]) -> bool:
    """Whether all have ended, within a while."""
    limit = time.monotonic() + 20
    while any(map(alive, processes)) and time.monotonic() < limit:
        time.sleep(0.05)
    return not any(map(alive, processes))


def test_a_worker_does_one_job_after_the_other() -> None:
    found = outcomes(["a", "b", "c"], 1)
    assert sorted(found) == [0, 1, 2]
    texts = [str(text) for text in found.values()]
    assert {text.split(" by ")[0] for text in texts} == {"a", "b", "c"}
    assert len({text.split(" by ")[1] for text in texts}) == 1


def test_what_fails_or_crashes_takes_nothing_else_with_it() -> None:
    found = outcomes(["die", "refuse", "a", "break", "b"], 2)
    assert found[0] == "failed: the process that read it crashed"
    assert found[1] == "failed: bag 'x' is empty"
    assert found[3] == "failed: ZeroDivisionError: by nothing"
    assert str(found[2]).startswith("a by ")
    assert str(found[4]).startswith("b by ")


def test_a_process_killed_while_it_answers_takes_nothing_else_with_it() -> None:
    found = outcomes(["large", "die late", "a", "b", "large"], 2)
    assert found[1] == "failed: the process that read it crashed"
    assert found[0] == found[4] == bytes(LARGE)
    assert str(found[2]).startswith("a by ")
    assert str(found[3]).startswith("b by ")


def test_a_crash_is_told_from_other_failures() -> None:
    events = [event for event in run_jobs(["die", "break"], do, 1) if isinstance(event, Failed)]
    assert {event.number: event.crashed for event in events} == {0: True, 1: False}


def test_progress_comes_before_the_result(tmp_path: Path) -> None:
    flag = tmp_path / "go on"
    with closing(run_jobs([f"slow {flag}"], do, 1)) as events:
        assert next(events) == Reached(0, 0.0)
        flag.touch()
        assert next(events) == Reached(0, 7.0)
        assert isinstance(next(events), Done)


def test_the_begin_of_a_short_job_is_told() -> None:
    events = list(run_jobs(["a"], do, 1))
    assert events[0] == Reached(0, 0.0)
    assert isinstance(events[1], Done)


def test_no_jobs_need_no_processes() -> None:
    assert list(run_jobs([], do, 2)) == []


def test_who_stops_listening_ends_the_workers(tmp_path: Path) -> None:
    flag = tmp_path / "pid"
    with closing(run_jobs([f"wait {flag}"], do, 1)) as events:
        assert next(events) == Reached(0, 0.0)
        processes = written(flag)
    # The pool has waited for its end, so the process is gone and not a zombie.
    assert not Path(f"/proc/{processes[0]}").exists()


def test_the_process_of_a_worker_ends_with_it(tmp_path: Path) -> None:
    flag = tmp_path / "pid"
    with closing(run_jobs([f"orphan {flag}"], do, 1)) as events:
        assert next(events) == Reached(0, 0.0)
        processes = written(flag)
        assert any(map(alive, processes))
    assert ended(processes)


@pytest.mark.parametrize("word", ["tick", "wait"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_an_interrupt_or_the_death_of_the_parent(
    tmp_path: Path, number: int, word: str
) -> None:
    flags = [tmp_path / "one", tmp_path / "two"]
    # One tells of its progress, the other computes without a word.
    jobs = [f"orphan {flags[0]}", f"{word} {flags[1]}"]
    run = subprocess.Popen(
        [*script(tmp_path), *jobs],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # As a terminal starts it: a shell's background ignores the interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    processes = [*written(flags[0]), *written(flags[1])]
    # Ctrl-C in a terminal reaches all processes of the command.
    os.killpg(run.pid, number) if number == signal.SIGINT else os.kill(run.pid, number)
    said = run.communicate(timeout=30)[1]
    assert ended(processes)
    if number == signal.SIGINT:
        assert said.count("Traceback") == 1
        assert said.rstrip().endswith("KeyboardInterrupt")


def test_a_script_without_a_guard_is_told_what_to_write(tmp_path: Path) -> None:
    run = subprocess.run(
        [*script(tmp_path, "if True:"), "a"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "PoolError: worker processes cannot be started" in run.stderr
    assert "`if __name__ == '__main__':`" in run.stderr


def test_what_a_job_prints_does_no_harm(capfd: pytest.CaptureFixture[str]) -> None:
    assert str(outcomes(["print"], 1)[0]).startswith("print by ")
    assert capfd.readouterr() == ("", "")
