"""Worker processes that go on when one of them does not."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from crew_jobs import do

from avemo_ros.replay.crew import Done, Failed, Reached, work


def outcomes(jobs: list[str], workers: int) -> dict[int, str]:
    found = {}
    for event in work(jobs, do, workers):
        if isinstance(event, Done):
            found[event.number] = event.result
        elif isinstance(event, Failed):
            found[event.number] = f"failed: {event.reason}"
    return found


def test_a_worker_does_one_job_after_the_other() -> None:
    found = outcomes(["a", "b", "c"], 1)
    assert sorted(found) == [0, 1, 2]
    assert {text.split(" by ")[0] for text in found.values()} == {"a", "b", "c"}
    assert len({text.split(" by ")[1] for text in found.values()}) == 1


def test_what_fails_or_crashes_takes_nothing_else_with_it() -> None:
    found = outcomes(["die", "refuse", "a", "break", "b"], 2)
    assert found[0] == "failed: the process that read it crashed"
    assert found[1] == "failed: bag 'x' is empty"
    assert found[3] == "failed: ZeroDivisionError: by nothing"
    assert found[2].startswith("a by ")
    assert found[4].startswith("b by ")


def test_the_begin_of_a_job_is_told() -> None:
    events = list(work(["a"], do, 1))
    assert events[0] == Reached(0, 0.0)
    assert isinstance(events[1], Done)


def test_no_jobs_need_no_processes() -> None:
    assert list(work([], do, 2)) == []


def test_who_stops_listening_ends_the_workers(tmp_path: Path) -> None:
    flag = tmp_path / "pid"
    with closing(work([f"wait {flag}"], do, 1)) as events:
        assert next(events) == Reached(0, 0.0)
        limit = time.monotonic() + 60
        while not (flag.exists() and flag.read_text()) and time.monotonic() < limit:
            time.sleep(0.02)
    process = int(flag.read_text())
    # The crew has waited for its end, so the process is gone and not a zombie.
    assert not Path(f"/proc/{process}").exists()
