"""Keeps the real node running through faults: `make soak`.

The `emotion_stack` node runs as a process of its own and is fed with the sample as a camera and
a microphone would publish it, over DDS on this host.  Every fault of the table in
tools/soak_faults.py is followed by good input, and it is measured how long good states take to
come again.  Meanwhile all that is published is held against what must always be true, and
memory, threads, descriptors and processor time are sampled once a second.

Exit status: 0 all is well; 1 the node died, something untrue was published, a recovery took
too long, or memory is too large or still grows; 2 it could not start; 130 interrupted and all
was well until then.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psutil
from demo_nodes import (
    DONE,
    FAILED,
    INTERRUPTED,
    NOT_STARTED,
    ROOT,
    SAMPLE,
    DemoError,
    check_ros,
    join_domain,
    wait_for,
)
from demo_nodes import Node as Process
from soak_checks import (
    FRESH_S,
    FUTURE_S,
    IN_A_ROW,
    Invariants,
    Recovery,
    SeenState,
    findings,
    slope_per_minute,
)
from soak_faults import FAULTS, Fault, chosen
from soak_page import render
from tqdm import tqdm

from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.timing import to_s

REST_S: Final = 1.5
"""Good input between a recovery and the next fault [s]."""
PATIENCE_S: Final = 8.0
"""Recovery is waited for so much longer than allowed [s]."""
ANSWER_S: Final = 30.0
"""A service that has not answered by then is not waited for [s]."""
TRANSPORTS: Final = ("raw", "compressed")
COMPLAINTS: Final = 40
_CLOCK_HZ: Final = 100.0
_SPEAKS_S: Final = 3.0
"""From here on the sample speaks, without a pause, for longer than a voice needs [s]."""


class Run:
    """One soak of one process.

    Args:
        options: of the command line.
        rows: faults, in their order.
    """

    def __init__(self, options: argparse.Namespace, rows: Sequence[Fault]) -> None:
        self._options = options
        self._rows = rows
        self._limit_s = 60.0 * options.minutes
        self._began: float | None = None
        self._good = 0
        self._good_voice = False
        self._recovery: Recovery | None = None
        self._present: Fault | None = None
        self._checks = Invariants()
        self._health: dict[str, dict[str, str]] = {}
        self._levels: dict[str, int] = {}
        self._samples: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []
        self._died = ""
        self.interrupted = False

    @property
    def now_s(self) -> float:
        """Since the first good state [s]."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def run(self) -> dict[str, Any]:
        """Do all of it; returns what goes into soak.json.

        Raises:
            DemoError: the node did not start.
        """
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from soak_scene import NODE, Feed, Scene

        from avemo_ros.msg import EmotionState  # noqa: F401  built before anything starts

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        with ExitStack() as stack:
            stack.callback(rclpy.try_shutdown)
            node = rclpy.create_node("soak")
            stack.callback(node.destroy_node)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(node)
            stack.callback(self._executor.shutdown)
            self._subscribe(node)
            self._feed = Feed(node, SAMPLE)
            self._process = Process(NODE, {}, self._options.out)
            stack.callback(self._process.stop)
            self._watched = psutil.Process(self._process.pid)
            # A stopped process does not end politely.
            stack.callback(self._go_on)
            self._scene = Scene(node, self._feed, self._process.pid, self._hear)
            self._scene.activated = self._checks.started_anew
            stack.callback(self._scene.close)
            wait_for(
                lambda: self._good >= IN_A_ROW or self.interrupted, self._spin, [self._process]
            )
            self._began = time.monotonic()
            self._play()
            return self._result(self._process.complaints())

    def _go_on(self) -> None:
        if self._process.status is None:
            os.kill(self._process.pid, signal.SIGCONT)

    def _play(self) -> None:
        steps = self._all()
        wait: Any = 0.0
        asked_s = self.now_s
        with tqdm(
            total=self._limit_s,
            bar_format="{desc:24.24} {bar}| {n:.0f}/{total:.0f} s {postfix}",
            disable=self._options.quiet,
        ) as bar:
            while not self.interrupted and not self._died and self.now_s < self._limit_s:
                self._spin(0.02)
                passed_s = self.now_s - asked_s
                if isinstance(wait, int | float):
                    ready, answer = passed_s >= wait, None
                else:
                    ready = wait.done() or passed_s > ANSWER_S
                    answer = wait.result() if wait.done() else None
                if ready:
                    wait, asked_s = steps.send(answer), self.now_s
                self._sample()
                bar.set_description(
                    self._present.name if self._present else "good input", False
                )
                bar.set_postfix_str(self._shown(), False)
                bar.update(min(self.now_s, self._limit_s) - bar.n)
                if self._process.status is not None:
                    during = f"'{self._present.name}'" if self._present else "good input"
                    self._died = (
                        f"the node ended with status {self._process.status} at "
                        f"{self.now_s:.0f} s, during {during}"
                    )
        if self._died:
            print(f"soak: {self._died}{self._process.tail()}", file=sys.stderr)

    def _shown(self) -> str:
        memory = f"{self._samples[-1]['rss_mb']:.0f} MB" if self._samples else ""
        broken = sum(one.count for one in self._checks.found.values())
        return f"{memory}, {len(self._faults)} faults, {broken} violations"

    def _all(self) -> Iterator[Any]:
        """All faults in turn, for as long as it is asked; yields what is to be waited for."""
        shuffled = random.Random(self._options.seed)  # noqa: S311  no secret
        yield REST_S
        for turn in itertools.count():
            rows = list(self._rows)
            if turn:
                # Each time other faults follow one another.
                shuffled.shuffle(rows)
            for transport in TRANSPORTS:
                here = [row for row in rows if row.transport == transport]
                # Those that fit both are run with each in turn.
                both = [row for row in rows if not row.transport]
                half = [
                    row
                    for row in both
                    if (FAULTS.index(row) + turn) % 2 == TRANSPORTS.index(transport)
                ]
                todo = [row for row in rows if row in here or row in half]
                if not todo:
                    continue
                if self._feed.transport != transport:
                    yield from self._switch(transport)
                for row in todo:
                    if not row.simulated:
                        yield from self._one(row)
                if any(row.simulated for row in todo):
                    yield from self._simulate(on=True)
                    for row in todo:
                        if row.simulated:
                            yield from self._one(row)
                    yield from self._simulate(on=False)

    def _switch(self, transport: str) -> Iterator[Any]:
        """Have the images come in another form; this takes a new configuration."""
        scene = self._scene
        for step in ("deactivate", "cleanup"):
            yield scene.transition(step)
        yield scene.set_parameter("image_transport", transport)
        self._feed.transport = transport
        for step in ("configure", "activate"):
            yield scene.transition(step)
        yield 3.0

    def _simulate(self, *, on: bool) -> Iterator[Any]:
        """Have the node take its time from /clock, or no longer."""
        scene = self._scene
        for step in ("deactivate", "cleanup"):
            yield scene.transition(step)
        self._feed.clock_hz = _CLOCK_HZ if on else None
        yield scene.set_parameter("use_sim_time", on)
        for step in ("configure", "activate"):
            yield scene.transition(step)
        yield 3.0

    def _one(self, row: Fault) -> Iterator[Any]:
        """A fault, the recovery, and a rest."""
        self._present = row
        self._checks.fault, self._checks.may_go_back = row.name, row.sets_back
        at_s = self.now_s
        stalled_s = self._feed.stalled_s
        steps = row.act(self._scene, row.seconds)
        answer = None
        while True:
            try:
                wait = steps.send(answer)
            except StopIteration:
                break
            answer = yield wait
        if row.voice:
            # Else it is chance how soon the sample has said enough: up to five seconds.
            self._feed.cut_to(_SPEAKS_S)
        until_s = self.now_s
        self._recovery = recovery = Recovery(until_s)
        done = {
            "name": row.name,
            "kind": row.kind,
            "what": row.what,
            "transport": self._feed.transport,
            "at_s": round(at_s, 2),
            "until_s": round(until_s, 2),
            "limit_s": row.limit_s,
            "recovery_s": None,
        }
        while recovery.seconds is None and self.now_s - until_s < row.limit_s + PATIENCE_S:
            yield 0.05
        if recovery.seconds is not None:
            done["recovery_s"] = round(recovery.seconds, 3)
        done["feed_stalled_s"] = round(self._feed.stalled_s - stalled_s, 2)
        self._faults.append(done)
        if self._options.quiet:
            took = "no recovery" if recovery.seconds is None else f"{recovery.seconds:.2f} s"
            print(f"{at_s:7.1f} s  {row.name}: {took}", flush=True)
        self._recovery = None
        yield REST_S
        self._present = None
        self._checks.fault, self._checks.may_go_back = "", False

    # --- what is heard

    def _subscribe(self, node: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        from avemo_ros.msg import EmotionEvent, EmotionState, EmotionStateArray
        from avemo_ros.nodes.qos import result

        for kind, topic in (
            (EmotionState, "emotion_state"),
            (EmotionStateArray, "emotion_states"),
            (EmotionStateArray, "steady_states"),
            (EmotionEvent, "emotion_events"),
        ):
            node.create_subscription(
                kind, topic, lambda message, topic=topic: self._hear(topic, message), result(50)
            )
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, result(10))

    def _hear(self, topic: str, message: Any) -> None:
        if isinstance(message, bytes):  # the overlay, of which it counts that it comes
            return
        now_ns = time.time_ns()
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        at_s = self.now_s
        checks = self._checks
        checks.stamp(topic, at_s, stamp_ns, now_ns, may_repeat=topic == "emotion_events")
        if topic in ("emotion_states", "steady_states"):
            for state in message.states:
                checks.state(topic, at_s, _seen_state(state))
        elif topic == "emotion_state":
            checks.state(topic, at_s, _seen_state(message))
            self._judge(message, to_s(now_ns - stamp_ns))
        elif topic == "emotion_events":
            numbers = {"confidence": message.confidence, "lasted": message.lasted}
            checks.numbers(topic, at_s, numbers)
            if not any((message.person_id, message.face_id, message.voice_id)):
                checks.broken("about nobody", topic, at_s, f"'{message.label}' of nobody")
        elif topic == "face_tracks":
            for face in message.faces:
                checks.numbers(topic, at_s, {**_box(face.box), "quality": face.quality})
        elif topic == "spectrogram":
            checks.numbers(topic, at_s, {"power": sum(message.power_db)})

    def _judge(self, state: Any, age_s: float) -> None:
        seen = bool(state.face_id) and state.box_valid and len(state.probabilities) > 0
        self._good += seen
        good = seen and -FUTURE_S <= age_s < FRESH_S
        if self._recovery is not None and self._present is not None:
            heard = not self._present.voice or state.voice_share > 0.0
            self._recovery.state(self.now_s, good=good and heard)

    def _diagnose(self, message: Any) -> None:
        for status in message.status:
            part = status.name.split(": ")[-1]
            level = status.level
            self._levels[part] = level[0] if isinstance(level, bytes) else int(level)
            self._health[part] = {item.key: item.value for item in status.values}

    # --- the rest

    def _spin(self, seconds: float) -> None:
        """Publish and listen for a while."""
        end_ns = time.monotonic_ns() + round(seconds * 1e9)
        while (now_ns := time.monotonic_ns()) < end_ns:
            self._feed.pump()
            wait_ns = min(end_ns, self._feed.next_ns) - now_ns
            self._executor.spin_once(timeout_sec=max(0.0, wait_ns / 1e9))

    def _sample(self) -> None:
        at_s = self.now_s
        if self._samples and at_s - self._samples[-1]["t"] < 1.0:
            return
        try:
            with self._watched.oneshot():
                used = self._watched.cpu_times()
                memory = self._watched.memory_full_info()
                sample = {
                    "t": round(at_s, 2),
                    "rss_mb": round(memory.rss / 2**20, 1),
                    "pss_mb": round(memory.pss / 2**20, 1),
                    "threads": self._watched.num_threads(),
                    "fds": self._watched.num_fds(),
                    "used_s": used.user + used.system,
                }
        except psutil.Error:
            return  # it has ended, which is said elsewhere
        last = self._samples[-1] if self._samples else None
        passed_s = at_s - last["t"] if last is not None else 0.0
        sample["cpu"] = (
            round((sample["used_s"] - last["used_s"]) / passed_s, 3)
            if last is not None
            else 0.0
        )
        # Where the whole machine is busy, slow recoveries may be its own.
        sample["machine"] = round(psutil.cpu_percent() / 100 * (os.cpu_count() or 1), 3)
        sample["levels"] = dict(self._levels)
        self._samples.append(sample)

    def _result(self, complaints: list[str]) -> dict[str, Any]:
        samples, violations = self._samples, self._checks.table()
        memory = {
            "start_mb": samples[0]["rss_mb"] if samples else None,
            "end_mb": samples[-1]["rss_mb"] if samples else None,
            "slope_mb_per_min": slope_per_minute(
                [(one["t"], one["rss_mb"]) for one in samples]
            ),
        }
        return {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}",
            "cores": os.cpu_count() or 1,
            "seconds": round(self.now_s, 1),
            "interrupted": self.interrupted,
            "seed": self._options.seed,
            "findings": findings(self._faults, violations, memory, self._died),
            "memory": memory,
            "faults": self._faults,
            "violations": violations,
            "feed_stalled_s": round(self._feed.stalled_s, 2),
            "health": self._health,
            "complaints": complaints[:COMPLAINTS],
            "samples": samples,
        }


def _seen_state(state: Any) -> SeenState:
    numbers = {
        "latency": state.latency,
        "confidence": state.confidence,
        "face_share": state.face_share,
        "voice_share": state.voice_share,
    }
    if state.valence_arousal_valid:
        numbers |= {"valence": state.valence, "arousal": state.arousal}
    if state.box_valid:
        numbers |= _box(state.box)
    return SeenState(
        stamp_ns=state.header.stamp.sec * 10**9 + state.header.stamp.nanosec,
        label=state.label,
        ids=(state.person_id, state.face_id, state.voice_id),
        labels=tuple(state.labels),
        probabilities=tuple(state.probabilities),
        numbers=numbers,
    )


def _box(box: Any) -> dict[str, float]:
    return {f"box.{name}": getattr(box, name) for name in ("x", "y", "width", "height")}


def write(out: Path, result: dict[str, Any]) -> Path:
    """Write soak.json and index.html; returns the page's path.

    Raises:
        OutputError: they cannot be written.
    """
    with replaced(out / "soak.json") as path:
        path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with replaced(out / "index.html") as path:
        path.write_text(render(result), encoding="utf-8")
    return out / "index.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "soak", help="folder")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="this one")
    parser.add_argument("--without", action="append", default=[], metavar="FAULT")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the faults")
    parser.add_argument("--domain", type=int, help="ROS domain (default: one of its own)")
    parser.add_argument("--quiet", action="store_true", help="lines instead of a bar")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    options = parser.parse_args(arguments)
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:24}{fault.seconds:5.1f} s  {fault.what}")
        return DONE
    if not 0.0 < options.minutes <= 10_000.0:
        parser.error(f"--minutes is {options.minutes}; allowed: more than 0, up to 10000")
    try:
        rows = chosen(options.only, options.without)
    except ValueError as error:
        parser.error(str(error))
    run = Run(options, rows)

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        if run.interrupted:
            raise KeyboardInterrupt
        run.interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        check_ros()
        join_domain(options.domain, options.out)
        result = run.run()
        page = write(options.out, result)
    except DemoError as error:
        print(f"soak: {error}", file=sys.stderr)
        return NOT_STARTED if error.status == NOT_STARTED else FAILED
    except (OSError, OutputError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return FAILED
    found = result["findings"]
    for text in found:
        print(f"  {text}")
    print(f"{'FAILED' if found else 'passed'}; the page: {page}")
    if found:
        return FAILED
    return INTERRUPTED if run.interrupted else DONE


if __name__ == "__main__":
    sys.exit(main())
