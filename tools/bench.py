"""Measures what the package costs on this machine: `make bench`.

- Start-up: from the start of the `emotion_stack` process, with images and sound there
  already, to its line `active`, to the first state of somebody and to the first claim.
- Live: for one face and for four, a 640x480 video at 30 Hz with sound is played by the
  `media_player` node to the `emotion_stack` node over DDS on this host.  Latency is that of the
  node's own diagnostics: from the stamp of the newest image in a window to the publication
  of the state.  Processor time and memory are those of the stack's process alone.
- Offline: `avemo bag evaluate` of a bag of the one face, a minute long, and `avemo predict` of
  a clip of four seconds, each as a whole process from start to end; of the evaluation also
  the speed that it tells itself, which leaves out the loading of libraries.

Targets are for two idle cores.  Whatever else runs on the machine is measured with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from tqdm import tqdm

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.writer import BagWriter
from avemo_ros.msg import EmotionState, EmotionStateArray
from avemo_ros.nodes.qos import result
from avemo_ros.sink.output_file import replaced
from avemo_ros.sink.video_file import VideoWriter
from avemo_ros.source.media_file import MediaFile
from avemo_ros.timing import to_ns

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "test" / "data" / "sample.mp4"
FACES = (1, 4)
HOP_NS = to_ns(0.1)
"""`emotion.hop_s` as it is by default."""
GAP_NS = round(2.5 * HOP_NS)
"""Stamps of two states further apart than this have lost states between them; less is the
unevenness of looked-at images."""
SETTLE_S = 5.0
"""Played before measuring, so that loading and the first window do not count."""
LEAST_S = 32.0
"""The node's figures are of its newest 300 states: after this time all are measured ones."""
START_LIMIT_S = 60.0
BAG_LOOPS = 6
"""The sample's ten seconds, so often one after the other, make the bag."""
CLIP_S = 4.0
BUSY = 0.1
"""From this share of the machine's time on that others use, figures are doubtful."""


# --- what is played


def make_clip(path: Path, faces: int, seconds: float = float("inf")) -> None:
    """The sample (640x480, 30 Hz, with sound), or its beginning, with one face or four."""
    with MediaFile(SAMPLE) as media, VideoWriter(path, 0, sound=True) as out:
        for item in media:
            if item.stamp_ns >= seconds * 1e9:
                continue
            if isinstance(item, AudioBlock):
                out.push_audio(item)
            else:
                out.push_frame(item.stamp_ns, tile(item.image, faces))


def tile(image: NDArray[np.uint8], faces: int) -> NDArray[np.uint8]:
    """The image itself, or four of it in the same size."""
    if faces == 1:
        return image
    small = image[::2, ::2]
    return np.asarray(np.block([[[small], [small]], [[small], [small]]]), np.uint8)


def make_bag(path: Path, clip: Path) -> None:
    """The clip, some times over, as raw images and sound."""
    begin_ns = time_ns = to_ns(1.0)
    with BagWriter(path) as bag:
        for _ in range(BAG_LOOPS):
            with MediaFile(clip) as media:
                for item in media:
                    moved = replace(item, stamp_ns=begin_ns + item.stamp_ns)
                    time_ns = max(time_ns, moved.stamp_ns)
                    if isinstance(moved, AudioBlock):
                        bag.write_audio(moved)
                    else:
                        bag.write_image(moved)
            begin_ns = time_ns + to_ns(1 / 30)


# --- nodes and who listens to them


class Watcher:
    """Listens to the stack's states and diagnostics."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("bench")
        self.stamps: list[int] = []
        """Of the states about somebody [ns]."""
        self.first_state = self.first_claim = 0.0
        """When they came, by the monotonic clock; 0: not yet."""
        self.health: dict[str, dict[str, str]] = {}
        self.node.create_subscription(
            EmotionStateArray, "emotion_states", self._states, result(50)
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._report, result(10))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def forget(self) -> None:
        """Begin anew."""
        self.stamps.clear()
        self.health.clear()
        self.first_state = self.first_claim = 0.0

    def _states(self, message: EmotionStateArray) -> None:
        if not message.states:  # the stack waits for the player
            return
        now = time.monotonic()
        self.first_state = self.first_state or now
        if not self.first_claim and any(
            state.status != EmotionState.WARMING_UP and state.probabilities
            for state in message.states
        ):
            self.first_claim = now
        stamp = message.header.stamp
        self.stamps.append(stamp.sec * 10**9 + stamp.nanosec)

    def _report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if "emotion_stack" in status.name:
                part = status.name.split()[-1]
                self.health[part] = {item.key: item.value for item in status.values}

    def spin_for(
        self, seconds: float, on_time: Callable[[float], object] = lambda _: None
    ) -> None:
        """Listen; `on_time` is called with the seconds that have passed."""
        start = time.monotonic()
        while (passed := time.monotonic() - start) < seconds:
            self._executor.spin_once(timeout_sec=0.05)
            on_time(passed)

    def spin_until(self, reached: Callable[[], object], what: str) -> None:
        """Listen until the condition holds.

        Raises:
            RuntimeError: it does not within START_LIMIT_S.
        """
        end = time.monotonic() + START_LIMIT_S
        while not reached():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} within {START_LIMIT_S:.0f} s")
            self._executor.spin_once(timeout_sec=0.05)

    def count(self, part: str, key: str) -> int:
        """A counter of the diagnostics."""
        return int(self.health[part][key])

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()


class Node:
    """One of our nodes as a process."""

    def __init__(self, name: str, **parameters: object) -> None:
        command = [sys.executable, "-m", f"avemo_ros.nodes.{name}", "--ros-args"]
        command += ["--log-level", "warn", "--log-level", f"{name}:=info"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        self.began = time.monotonic()
        self.active = 0.0
        """When it said so, by the monotonic clock; 0: not yet."""
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        self.usage = psutil.Process(self._process.pid)

    def _read(self, lines: IO[bytes]) -> None:
        """Notes when it is active; passes on what is not mere information."""
        for line in lines:
            if line.rstrip().endswith(b": active"):
                self.active = time.monotonic()
            elif b"[INFO]" not in line:
                sys.stderr.buffer.write(line)
                sys.stderr.flush()

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used [s]."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    @property
    def ended(self) -> bool:
        """It runs no more."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it as Ctrl-C would."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()


@contextmanager
def playing(watcher: Watcher, clip: Path) -> Iterator[tuple[Node, Node]]:
    """The stack, and the player that was ready when the stack was started."""
    player = Node("media_player", file=clip, loop=True, wait_for_subscribers_s=START_LIMIT_S)
    try:
        watcher.spin_until(lambda: player.active or player.ended, "the player did not start")
        watcher.forget()  # what an earlier stack said last has come by now
        stack = Node("emotion_stack")
        try:
            yield stack, player
        finally:
            stack.stop()
    finally:
        player.stop()


# --- measurements


def start_up(watcher: Watcher, clip: Path, rounds: int) -> dict[str, Any]:
    """Durations from the start of the stack's process [s]; of each all rounds and the median.

    Raises:
        RuntimeError: the nodes did not come up.
    """
    found: dict[str, list[float]] = {"active_s": [], "first_state_s": [], "first_claim_s": []}
    for _ in range(rounds):
        with playing(watcher, clip) as (stack, _player):
            watcher.spin_until(lambda: watcher.first_claim, "no claim arrived")
            moments = (stack.active, watcher.first_state, watcher.first_claim)
            for times, moment in zip(found.values(), moments, strict=True):
                times.append(round(moment - stack.began, 2))
    return {
        name: {"median": round(statistics.median(all_), 2), "all": all_}
        for name, all_ in found.items()
    }


LOST = (
    ("images", "dropped"),
    ("images", "lost_in_transport"),
    ("images", "out_of_order"),
    ("states", "dropped"),
    ("states", "late_frames"),
)
"""Counters of images that came and were not used though they were due."""
SKIPPED = (("states", "behind"),)


def live(watcher: Watcher, clip: Path, seconds: float, bar: tqdm[Any]) -> dict[str, Any]:
    """One scenario.

    Raises:
        RuntimeError: the nodes did not come up or died.
    """
    with playing(watcher, clip) as (stack, player):
        watcher.spin_until(lambda: watcher.first_state, "no state arrived")
        watcher.spin_for(SETTLE_S)
        lost, skipped = counted(watcher, LOST), counted(watcher, SKIPPED)
        before = len(watcher.stamps)
        used, began = stack.cpu_s, time.monotonic()
        done = [0.0]

        def progress(passed: float) -> None:
            bar.update(min(passed, seconds) - done[0])
            done[0] = min(passed, seconds)

        watcher.spin_for(seconds, progress)
        wall = time.monotonic() - began
        if stack.ended or player.ended:
            raise RuntimeError("a node ended while it was measured")
        stamps = np.array(watcher.stamps[before:])
        states, images = watcher.health["states"], watcher.health["images"]
        return {
            "seconds": round(wall, 1),
            "latency_ms": {
                "p50": float(states["frame_latency_ms_p50"]),
                "p95": float(states["frame_latency_ms_p95"]),
            },
            "cpu_cores": round((stack.cpu_s - used) / wall, 3),
            "memory_mb": memory_mb(stack.usage),
            "dropped_frames": counted(watcher, LOST) - lost,
            "dropped_steps": steps_in_gaps(stamps) + counted(watcher, SKIPPED) - skipped,
            "states_hz": round((len(stamps) - 1) / ((stamps[-1] - stamps[0]) / 1e9), 2),
            "frames_hz": float(images["rate_hz"]),
            "faces": int(images["faces"]),
            "stages_ms": stages(watcher.health),
        }


def counted(watcher: Watcher, counters: tuple[tuple[str, str], ...]) -> int:
    """Sum of counters of the diagnostics."""
    return sum(watcher.count(*counter) for counter in counters)


def steps_in_gaps(stamps: NDArray[np.int64]) -> int:
    """States that are missing where two are further apart than usual."""
    apart = np.diff(stamps)
    return int((np.round(apart[apart > GAP_NS] / HOP_NS) - 1).sum())


def memory_mb(process: psutil.Process) -> dict[str, int]:
    """What it holds now (resident), the most that it held, and what is its alone [MB]."""
    full = process.memory_full_info()
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    return {
        "resident": round(full.rss / 2**20),
        "peak": round(peak_kb / 2**10),
        "private": round(full.uss / 2**20),
    }


def stages(health: dict[str, dict[str, str]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of every stage's duration [ms]."""
    made: dict[str, dict[str, float]] = {}
    for part in ("images", "audio", "states"):
        for key, value in health.get(part, {}).items():
            if key.startswith("stage_ms."):
                stage, percentile = key.removeprefix("stage_ms.").rsplit("_", 1)
                made.setdefault(f"{part}.{stage}", {})[percentile] = float(value)
    return made


@dataclass(frozen=True, slots=True)
class Command:
    """A run of the command line."""

    wall_s: float
    cpu_s: float


def avemo(*words: str) -> Command:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    used, began = children_cpu_s(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "avemo_ros.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"avemo {' '.join(words[:2])} failed: {done.stderr.strip()}")
    return Command(wall, children_cpu_s() - used)


def children_cpu_s() -> float:
    """Processor time of the processes that this one has waited for [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def evaluation(bag: Path, processes: int) -> dict[str, Any]:
    """How fast `avemo bag evaluate` is."""
    out, timings = bag.with_name("evaluation.json"), bag.with_name("timings.json")
    labels = bag.with_name("labels.csv")
    labels.write_text("person,start,end,label\n,0,60,neutral\n")
    run = avemo(
        *("bag", "evaluate", str(bag), "--labels", str(labels), "--workers", str(processes)),
        *("--quiet", "--force", "--json", str(out), "--timings", str(timings)),
    )
    seconds = json.loads(out.read_text())["bags"][0]["seconds"]
    measured = json.loads(timings.read_text())
    return {
        "processes": processes,
        "seconds": round(seconds, 1),
        "realtime_factor": round(measured["realtime_factor"], 1),
        "whole_realtime_factor": round(seconds / run.wall_s, 1),
        "wall_s": round(run.wall_s, 2),
        "cpu_s": round(run.cpu_s, 2),
        "stages_ms": {
            name: round(spent["p50"], 2)
            for name, spent in sorted(measured["stages_ms"].items())
        },
    }


def prediction(clip: Path, rounds: int) -> dict[str, Any]:
    """How long `avemo predict` takes for a short clip, loading included."""
    out = clip.with_suffix(".jsonl")
    runs = []
    for _ in range(rounds):
        out.unlink(missing_ok=True)
        runs.append(avemo("predict", str(clip), "--json", str(out), "--quiet", "--force"))
    wall_s = statistics.median(run.wall_s for run in runs)
    return {
        "seconds": CLIP_S,
        "wall_s": {"median": round(wall_s, 2), "all": [round(run.wall_s, 2) for run in runs]},
        "cpu_s": round(statistics.median(run.cpu_s for run in runs), 2),
        "realtime_factor": round(CLIP_S / wall_s, 2),
    }


# --- the machine


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was before."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [
        line.split(":", 1)[1].strip() for line in cpu.splitlines() if "model name" in line
    ]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1_min": round(os.getloadavg()[0], 2),
        "busy_before": round(psutil.cpu_percent(interval=3.0) / 100, 3),
        "python": platform.python_version(),
        "torch": version("torch"),
        "onnxruntime": version("onnxruntime"),
        "numpy": version("numpy"),
        "opencv": version("opencv-python-headless"),
        "ros": os.environ.get("ROS_DISTRO") or f"rclpy {version('rclpy')}",
        "rmw": rclpy.get_rmw_implementation_identifier(),
    }


def version(package: str) -> str:
    """Of an installed package; '-' where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "-"


# --- what is printed


def table(scenarios: dict[str, dict[str, Any]]) -> str:
    """The live figures as people read them."""
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("latency p50 / p95 [ms]", lambda s: "{p50:.0f} / {p95:.0f}".format(**s["latency_ms"])),
        ("processor [cores]", lambda s: f"{s['cpu_cores']:.2f}"),
        (
            "memory / peak / private [MB]",
            lambda s: "{resident} / {peak} / {private}".format(**s["memory_mb"]),
        ),
        ("dropped frames", lambda s: f"{s['dropped_frames']}"),
        ("dropped steps", lambda s: f"{s['dropped_steps']}"),
        ("frames / states [Hz]", lambda s: f"{s['frames_hz']:.1f} / {s['states_hz']:.1f}"),
    ]
    names = sorted({name for scene in scenarios.values() for name in scene["stages_ms"]})
    rows += [(f"{name} p50 / p95 [ms]", lambda s, name=name: stage(s, name)) for name in names]
    lines = [f"{'':40}" + "".join(f"{name:>18}" for name in scenarios)]
    lines += [
        f"{title:40}" + "".join(f"{show(scene):>18}" for scene in scenarios.values())
        for title, show in rows
    ]
    return "\n".join(lines)


def stage(scene: dict[str, Any], name: str) -> str:
    """Durations of one stage."""
    durations = scene["stages_ms"].get(name)
    return "-" if durations is None else "{p50:.1f} / {p95:.1f}".format(**durations)


def verdict(found: dict[str, Any]) -> list[str]:
    """Which targets are met (on two idle cores)."""
    one, four = (found["live"][f"faces_{count}"] for count in FACES)
    starts = found["start_up"]["first_state_s"]
    fast = max(run["realtime_factor"] for run in found["evaluate"])
    short = found["predict"]["realtime_factor"]
    checks = {
        "one face: p95 of 50 ms or less": one["latency_ms"]["p95"] <= 50.0,
        "one face: 0.4 core or less": one["cpu_cores"] <= 0.4,
        "one face: 450 MB or less": one["memory_mb"]["resident"] <= 450,
        "one face: nothing dropped": not one["dropped_frames"] and not one["dropped_steps"],
        "four faces: p95 of 80 ms or less": four["latency_ms"]["p95"] <= 80.0,
        "four faces: no dropped step": not four["dropped_steps"],
        "first state after 4 s or less": starts["median"] <= 4.0,
        "bag evaluate: 12 times real time or more": fast >= 12.0,
        "predict: 5 times real time or more, loading included": short >= 5.0,
    }
    return [f"{'met   ' if met else 'MISSED'} {name}" for name, met in checks.items()]


def report(found: dict[str, Any]) -> str:
    """All of it as people read it."""
    short = found["predict"]
    lines = [
        table(found["live"]),
        "",
        *(
            f"start-up, {name[:-2].replace('_', ' ')}: {times['median']} s {times['all']}"
            for name, times in found["start_up"].items()
        ),
        *(
            f"bag evaluate of {run['seconds']} s, {run['processes']} process(es): "
            f"{run['realtime_factor']} times real time; {run['whole_realtime_factor']} times "
            f"with all loading ({run['wall_s']} s, {run['cpu_s']} s of processor time)"
            for run in found["evaluate"]
        ),
        f"predict of {short['seconds']} s, loading included: {short['wall_s']['median']} s "
        f"{short['wall_s']['all']}, {short['realtime_factor']} times real time",
    ]
    return "\n".join([*lines, "", *verdict(found)])


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """All figures.

    Raises:
        RuntimeError: something of it did not run.
    """
    watcher = Watcher()
    try:
        with (
            tempfile.TemporaryDirectory() as temporary,
            tqdm(
                total=len(FACES) * seconds,
                unit="s",
                desc="live",
                disable=None,  # where nobody watches
                bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} s, {remaining} left",
            ) as bar,
        ):
            folder = Path(temporary)
            scenarios = {}
            clips = {faces: folder / f"faces_{faces}.mp4" for faces in FACES}
            for faces, clip in clips.items():
                make_clip(clip, faces)
            short = folder / "short.mp4"
            make_clip(short, 1, CLIP_S)
            make_bag(folder / "bag", clips[1])
            starts = start_up(watcher, clips[1], rounds)
            for faces, clip in clips.items():
                scenarios[f"faces_{faces}"] = live(watcher, clip, seconds, bar)
            return {
                "start_up": starts,
                "live": scenarios,
                "evaluate": [evaluation(folder / "bag", processes) for processes in (2, 1)],
                "predict": prediction(short, rounds),
            }
    finally:
        watcher.close()


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--seconds",
        type=float,
        default=LEAST_S,
        help=f"measured per live scenario, at least {LEAST_S:.0f} [s]",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="starts of the stack, and runs of predict"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench.json")
    given = parser.parse_args()
    if given.seconds < LEAST_S:
        parser.error(f"--seconds is {given.seconds}; allowed: {LEAST_S} and more")
    if given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}; allowed: 1 or more")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 101))
    here = machine()
    print("\n".join(f"{name:12} {value}" for name, value in here.items()))
    if here["busy_before"] > BUSY:
        print(
            f"bench: warning: other programs use {here['busy_before']:.0%} of the machine; "
            "the figures will be worse than it can do",
            file=sys.stderr,
        )
    rclpy.init()
    try:
        found = {"machine": here, **measure(given.seconds, given.rounds)}
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(given.out) as path:
        path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{report(found)}\n\nwritten to {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
