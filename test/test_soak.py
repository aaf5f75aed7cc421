"""The soak: its table, its checks, its page, and a short run of it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browser import show
from report_page import Page, without_library
from soak_checks import (
    FUTURE_S,
    IN_A_ROW,
    MEMORY_LIMIT_MB,
    SLOPE_LIMIT,
    Invariants,
    Recovery,
    SeenState,
    findings,
    slope_per_minute,
)
from soak_faults import FAULTS, KINDS, chosen
from soak_page import render as rendered

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.timing import NS_PER_S, to_ns

ROOT = Path(__file__).resolve().parents[1]
NOW_NS = 100 * NS_PER_S
EVIL = "<script>alert(1)</script>\"'&"
SHORT = ("wrong encoding", "images unstamped", "subscribers")


def seen_state(**changes: Any) -> SeenState:
    """A state about which there is nothing to complain."""
    fields: dict[str, Any] = {
        "stamp_ns": NOW_NS,
        "label": "happy",
        "ids": ("p1", "f1", ""),
        "labels": tuple(EMOTIONS),
        "probabilities": (0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1),
        "numbers": {"confidence": 0.4},
    }
    return SeenState(**{**fields, **changes})


# --- invariants


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"ids": ("", "", "")}, "about nobody"),
        ({"label": "bored"}, "no such label"),
        ({"probabilities": ()}, "no distribution"),
        ({"probabilities": (0.5, 0.5)}, "no such label"),
        ({"probabilities": (0.1,) * 7}, "sum is not 1"),
        ({"probabilities": (-0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.2)}, "no probability"),
        ({"probabilities": (math.nan, *[1 / 6] * 6)}, "no probability"),
        ({"numbers": {"box.x": math.inf}}, "not finite"),
        ({"numbers": {"latency": math.nan}}, "not finite"),
    ],
)
def test_a_state_that_is_not_true_is_told(changes: dict[str, Any], kind: str) -> None:
    checks = Invariants(fault="loop")
    checks.state("emotion_state", 1.0, seen_state(**changes))
    assert [item.kind for item in checks.found.values()] == [kind]


def test_good_states_and_those_of_nobody_without_a_claim_are_fine() -> None:
    checks = Invariants()
    checks.state("emotion_state", 1.0, seen_state())
    checks.state(
        "emotion_state", 1.1, seen_state(label=UNKNOWN, ids=("", "", ""), probabilities=())
    )
    assert not checks.found


def stamped(*stamps_s: float, **settings: Any) -> list[str]:
    """Kinds of violations of a topic with these stamps, as they come at 100 s."""
    checks = Invariants(**settings)
    for stamp_s in stamps_s:
        checks.stamp("emotion_state", 0.0, to_ns(stamp_s), NOW_NS)
    return [item.kind for item in checks.found.values()]


def test_stamps_must_rise_and_not_be_of_the_future() -> None:
    assert stamped(99.0, 99.1, 99.2) == []
    assert stamped(99.0, 99.0) == ["said twice"]
    assert stamped(99.1, 99.0) == ["stamp fell"]
    assert stamped(100.0 + 0.9 * FUTURE_S) == []
    assert stamped(100.0 + 1.1 * FUTURE_S) == ["of the future"]


def test_stamps_may_fall_only_where_a_fault_has_set_time_back() -> None:
    assert stamped(99.1, 97.0, 97.1, may_go_back=True) == []
    assert stamped(99.1, 99.1, may_go_back=True) == ["said twice"]


def test_topics_have_stamps_of_their_own_and_an_activation_starts_anew() -> None:
    checks = Invariants()
    checks.stamp("emotion_state", 0.0, to_ns(99.0), NOW_NS)
    checks.stamp("emotion_states", 0.0, to_ns(99.0), NOW_NS)
    checks.started_anew()
    checks.stamp("emotion_state", 0.0, to_ns(98.0), NOW_NS)
    checks.stamp("emotion_events", 0.0, to_ns(98.0), NOW_NS, may_repeat=True)
    checks.stamp("emotion_events", 0.0, to_ns(98.0), NOW_NS, may_repeat=True)
    assert not checks.found


def test_the_same_violation_is_counted_and_kept_apart_by_fault() -> None:
    checks = Invariants()
    for fault in ("loop", "loop", "stopped"):
        checks.fault = fault
        checks.broken("said twice", "emotion_state", 3.0, "first")
    assert [(one["fault"], one["count"]) for one in checks.table()] == [
        ("loop", 2),
        ("stopped", 1),
    ]


# --- recovery, memory, verdict


def test_a_recovery_is_the_first_of_some_good_states_in_a_row() -> None:
    recovery = Recovery(10.0)
    for tenth in range(1, 4):
        recovery.state(10.0 + tenth / 10, good=True)
    recovery.state(10.4, good=False)
    for tenth in range(5, 5 + IN_A_ROW):
        assert recovery.seconds is None
        recovery.state(10.0 + tenth / 10, good=True)
    assert recovery.seconds == pytest.approx(0.5)


def test_the_slope_is_that_of_the_last_half() -> None:
    rising = [(float(t), min(t, 300) / 10) for t in range(600)]
    assert slope_per_minute(rising) == pytest.approx(0.0, abs=0.05)
    assert slope_per_minute([(float(t), t / 10) for t in range(600)]) == pytest.approx(6.0)
    assert slope_per_minute([(float(t), t / 10) for t in range(100)]) is None
    assert slope_per_minute([]) is None


def fault(**changes: Any) -> dict[str, Any]:
    """One that was taken well."""
    fields: dict[str, Any] = {
        "name": "loop", "kind": "time", "what": "back", "transport": "raw", "at_s": 5.0,
        "until_s": 8.0, "limit_s": 2.0, "recovery_s": 0.4, "feed_stalled_s": 0.0,
    }  # fmt: skip
    return {**fields, **changes}


def memory(end_mb: float = 400.0, slope: float | None = 0.0) -> dict[str, float | None]:
    return {"start_mb": 390.0, "end_mb": end_mb, "slope_mb_per_min": slope}


def test_a_run_without_findings_passes() -> None:
    assert findings([fault()], [], memory(), "") == []
    assert findings([fault()], [], memory(slope=None), "") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([fault(recovery_s=None)], [], memory(), ""), "no recovery; allowed: 2 s"),
        (([fault(recovery_s=2.5)], [], memory(), ""), "recovery took 2.50 s; allowed: 2 s"),
        (([], [], memory(MEMORY_LIMIT_MB + 1), ""), "memory is 601 MB"),
        (([], [], memory(slope=SLOPE_LIMIT + 1), ""), "grows by 4.0 MB a minute"),
        (([], [], memory(), "the node ended with status 1"), "ended with status 1"),
    ],
)
def test_what_is_too_slow_too_large_or_dead_is_a_finding(
    arguments: tuple[Any, ...], words: str
) -> None:
    (found,) = findings(*arguments)
    assert words in found


def test_every_violation_is_a_finding() -> None:
    checks = Invariants(fault="loop")
    checks.broken("said twice", "emotion_state", 3.0, "stamp 1 came again")
    (found,) = findings([], checks.table(), memory(), "")
    assert found == "emotion_state: said twice during 'loop': stamp 1 came again"


# --- the table


def test_the_table_has_names_of_its_own_times_and_limits() -> None:
    assert len({row.name for row in FAULTS}) == len(FAULTS)
    assert {row.kind for row in FAULTS} == set(KINDS)
    for row in FAULTS:
        assert row.what
        assert 0 < row.seconds <= 5
        assert 0 < row.limit_s <= 5
        assert row.transport in ("", "raw", "compressed")


class Recorder:
    """Stands for the scene: takes every call and remembers them."""

    def __init__(self) -> None:
        self.feed = SimpleNamespace(
            image_hz=None, image_size=None, image_delay_s=0.0, image_shift_s=0.0,
            image_stamps="", shift_next_image_s=0.0, change_image=None, sound_on=True,
            sound_shift_s=0.0, sound_stamps="", sound_burst_s=0.0, sound_nan=False,
            shift_next_block_s=0.0, sound_format=(48_000, 1, "S16LE"), clock_hz=100.0,
            clock_shift_s=0.0, shift_next_clock_s=0.0, clock_ns=NOW_NS,
        )  # fmt: skip
        self.feed.use_sound = lambda *form: setattr(self.feed, "sound_format", form)
        self.feed.tell_clock = lambda _: self.calls.append("tell_clock")
        self.feed.announce = lambda *form: self.calls.append("announce")
        self.calls: list[str] = []
        self.open = 0

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.calls.append(name)
            self.open += name in ("robot", "listen", "second_camera", "load")
            return SimpleNamespace(close=self._closed, speaks=lambda: None)

        return call

    def _closed(self) -> None:
        self.open -= 1


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: str(row.name))
def test_every_fault_lasts_as_long_as_it_says_and_leaves_good_input(row: Any) -> None:
    scene = Recorder()
    before = dict(vars(scene.feed))
    waited = [step for step in row.act(scene, row.seconds) if isinstance(step, float)]
    after = dict(vars(scene.feed))
    # What is used up by the next message is so there.
    for once in ("shift_next_image_s", "shift_next_block_s", "shift_next_clock_s"):
        before.pop(once), after.pop(once)
    assert after == before
    assert scene.open == 0
    # Time to find each other comes on top where somebody new publishes.
    assert row.seconds - 1e-6 <= sum(waited) <= row.seconds + 0.5 + 1e-6


def test_bad_images_differ_from_good_ones() -> None:
    whole = bytes(range(256)) * 20
    for row in FAULTS:
        if row.kind != "images":
            continue
        scene = Recorder()
        steps = row.act(scene, row.seconds)
        next(steps)
        change = scene.feed.change_image
        for number in range(20 if change is not None else 0):
            message = SimpleNamespace(
                data=whole, format="jpeg", encoding="bgr8", width=640, height=480, step=1920
            )
            before = dict(vars(message))
            assert change(message, number) is None or vars(message) != before, row.name


def test_faults_are_chosen_by_name() -> None:
    assert [row.name for row in chosen(["loop"], [])] == ["loop"]
    assert len(chosen([], ["loop"])) == len(FAULTS) - 1
    with pytest.raises(ValueError, match="no fault 'lop'; there are: "):
        chosen(["lop"], [])
    with pytest.raises(ValueError, match="no fault is left"):
        chosen(["loop"], ["loop"])


# --- the page


def result(text: str = "plain", seconds: int = 300) -> dict[str, Any]:
    """A run of some minutes, with words of its own everywhere."""
    samples = [
        {"t": float(t), "rss_mb": 400.0 + t / 10, "pss_mb": 350.0, "threads": 20, "fds": 23,
         "cpu": 0.5, "machine": 1.2}
        for t in range(seconds)
    ]  # fmt: skip
    faults = [
        fault(name=text, what=text, kind=kind, at_s=20.0 * k, until_s=20.0 * k + 2)
        for k, kind in enumerate((*KINDS, text))
    ]
    faults.append(fault(name="never", recovery_s=None))
    checks = Invariants(fault=text)
    checks.broken(text, text, 3.0, text)
    return {
        "machine": text, "cores": 2, "seconds": float(seconds), "interrupted": False, "seed": 0,
        "findings": [text], "memory": memory(), "faults": faults, "feed_stalled_s": 0.0,
        "violations": checks.table(), "health": {text: {text: text}}, "complaints": [text],
        "samples": samples,
    }  # fmt: skip


def render(found: dict[str, Any]) -> str:
    """The page without plotly's own code."""
    return without_library(rendered(found))


def test_text_on_the_page_is_escaped() -> None:
    text = render(result(EVIL))
    assert EVIL not in text
    assert len(Page(text).scripts) == 2


def test_the_page_shows_curves_and_how_faults_were_taken(tmp_path: Path) -> None:
    text = render(result())
    figures = Page(text).figures
    assert len(figures) == 4
    resident, share = [one for one in figures[0].data if one["type"] == "scatter"]
    assert resident["y"][[0, -1]].tolist() == pytest.approx([400.0, 429.9])
    assert set(share["y"]) == {350.0}
    kinds = [one["name"] for one in figures[0].data if one["type"] == "bar"]
    assert kinds == [*KINDS, "plain"]
    for word in ("Memory [MB]", "Threads", "never", "1 too slow", "failed"):
        assert word in text
    file = tmp_path / "index.html"
    file.write_text(rendered(result()), encoding="utf-8")
    shown = show(file, tmp_path)
    assert not shown.complaints
    assert not shown.requests


def test_the_page_says_where_the_machine_was_busy() -> None:
    assert "busy" not in render(result())
    busy = result()
    for sample in busy["samples"][::2]:
        sample["machine"] = 2.0
    assert "All cores of this machine were busy for 50% of the time" in render(busy)


def test_a_run_that_ended_at_once_has_a_page_too() -> None:
    empty = {
        **result(),
        "samples": [],
        "faults": [],
        "violations": [],
        "findings": [],
        "memory": {"start_mb": None, "end_mb": None, "slope_mb_per_min": None},
    }
    text = render(empty)
    Page(text)
    assert "Too short a run to draw." in text


# --- the real thing


@pytest.fixture
def soak(tmp_path: Path, ros_domain: int) -> Iterator[subprocess.Popen[str]]:
    """A soak of three faults; killed at the end, if it has not ended."""
    only = [word for name in SHORT for word in ("--only", name)]
    process = subprocess.Popen(
        [
            sys.executable, str(ROOT / "tools" / "soak.py"), "--out", str(tmp_path / "soak"),
            "--domain", str(ros_domain), "--quiet", "--minutes", "5", *only,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.ros
@pytest.mark.timeout(400)
def test_an_interrupted_soak_leaves_what_it_measured(
    soak: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert soak.stdout is not None
    told = []
    for line in soak.stdout:
        told.append(line)
        if "subscribers" in line:
            break
    soak.send_signal(signal.SIGINT)
    rest, _ = soak.communicate(timeout=240)
    text = "".join((*told, rest))
    found = json.loads((tmp_path / "soak" / "soak.json").read_text())
    assert found["interrupted"]
    assert {one["name"] for one in found["faults"]} == set(SHORT)
    assert found["violations"] == [], text
    assert not any("the node ended" in words for words in found["findings"]), text
    assert soak.returncode == (1 if found["findings"] else 130), text
    assert len(found["samples"]) >= 5
    assert {"rss_mb", "pss_mb", "threads", "fds", "cpu"} <= found["samples"][-1].keys()
    Page((tmp_path / "soak" / "index.html").read_text())
