"""Measures the real nodes: `make bench`.

For one face and for four, a 640x480 video at 30 Hz with sound is played by the
`media_player` node to the `emotion_stack` node over DDS on this host.  Latency is that of the
node's own diagnostics: from the stamp of the newest picture in a window to the publication of
the state.  Processor time and memory are those of the stack's process alone.

Then a bag of the one face and its sound, a minute long, is evaluated offline, in one process
and in two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from tqdm import tqdm

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.bag.writer import BagWriter
from avemo_ros.clock import to_ns
from avemo_ros.msg import EmotionStateArray
from avemo_ros.nodes.qos import result
from avemo_ros.sink.atomic import replaced
from avemo_ros.sink.video import VideoWriter
from avemo_ros.source.media import MediaFile

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "test" / "data" / "sample.mp4"
HOP_NS = to_ns(0.1)
SETTLE_S = 5.0
"""Played before measuring, so that loading and the first window do not count."""
LEAST_S = 30.0
"""The node's figures are of its newest 300 hops: after this time all are measured ones."""
START_LIMIT_S = 60.0
BAG_LOOPS = 6
"""The sample's ten seconds, so often one after the other, make the bag."""


def make_clip(path: Path, faces: int) -> None:
    """The sample (640x480, 30 Hz, with sound) with one face or four."""
    with MediaFile(SAMPLE) as media, VideoWriter(path, 0, sound=True) as out:
        for item in media:
            if isinstance(item, AudioBlock):
                out.push_audio(item)
            else:
                out.push_frame(item.stamp_ns, tile(item.image, faces))


def tile(image: NDArray[np.uint8], faces: int) -> NDArray[np.uint8]:
    """The picture itself, or four of it in the same size."""
    if faces == 1:
        return image
    small = image[::2, ::2]
    return np.asarray(np.block([[[small], [small]], [[small], [small]]]), np.uint8)


class Watcher:
    """Listens to the stack's states and diagnostics."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("bench")
        self.hops: list[int] = []
        self.health: dict[str, dict[str, str]] = {}
        self.node.create_subscription(
            EmotionStateArray, "emotion_states", self._hop, result(50)
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._report, result(10))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def _hop(self, message: EmotionStateArray) -> None:
        if message.states:  # without any, the stack waits for the player
            stamp = message.header.stamp
            self.hops.append(stamp.sec * 10**9 + stamp.nanosec)

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

    def spin_until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Listen until the condition holds; False when it does not in time."""
        end = time.monotonic() + limit_s
        while not reached():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def count(self, part: str, key: str) -> int:
        """A counter of the diagnostics."""
        return int(self.health[part][key])

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()


def start(node: str, **parameters: object) -> subprocess.Popen[bytes]:
    """Start one of our nodes as a process."""
    command = [
        sys.executable,
        "-m",
        f"avemo_ros.nodes.{node}",
        "--ros-args",
        "--log-level",
        "warn",
    ]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return subprocess.Popen(command)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a node as Ctrl-C would."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


DROPS = (
    ("pictures", "dropped"),
    ("pictures", "lost_in_transport"),
    ("pictures", "out_of_order"),
    ("states", "dropped"),
    ("states", "late_frames"),
)


def measure(watcher: Watcher, clip: Path, seconds: float, bar: tqdm[Any]) -> dict[str, Any]:
    """One scenario.

    Raises:
        RuntimeError: the nodes did not come up or died.
    """
    watcher.hops.clear()
    watcher.health.clear()
    stack = start("emotion_stack")
    player = start("media_player", file=clip, loop=True)
    try:
        if not watcher.spin_until(lambda: bool(watcher.hops), START_LIMIT_S):
            raise RuntimeError(f"no state arrived within {START_LIMIT_S:.0f} s")
        watcher.spin_for(SETTLE_S)
        process, feeder = psutil.Process(stack.pid), psutil.Process(player.pid)
        drops = {item: watcher.count(*item) for item in DROPS}
        hops, skipped = len(watcher.hops), watcher.count("states", "skipped_hops")
        used, fed, began = cpu_s(process), cpu_s(feeder), time.monotonic()
        done = [0.0]

        def progress(passed: float) -> None:
            bar.update(min(passed, seconds) - done[0])
            done[0] = min(passed, seconds)

        watcher.spin_for(seconds, progress)
        wall = time.monotonic() - began
        if stack.poll() is not None or player.poll() is not None:
            raise RuntimeError("a node ended while it was measured")
        seen = np.array(watcher.hops[hops:])
        expected = round((seen[-1] - seen[0]) / HOP_NS) + 1
        states, pictures = watcher.health["states"], watcher.health["pictures"]
        return {
            "seconds": round(wall, 1),
            "latency_ms": {
                "p50": float(states["frame_latency_ms_p50"]),
                "p95": float(states["frame_latency_ms_p95"]),
            },
            "cpu_cores": round((cpu_s(process) - used) / wall, 3),
            "player_cpu_cores": round((cpu_s(feeder) - fed) / wall, 3),
            "rss_mb": round(process.memory_info().rss / 2**20),
            "dropped_frames": sum(watcher.count(*item) for item in DROPS) - sum(drops.values()),
            "dropped_hops": expected
            - len(seen)
            + watcher.count("states", "skipped_hops")
            - skipped,
            "frames_hz": float(pictures["rate_hz"]),
            "faces": int(pictures["faces"]),
            "stages_ms": stages(watcher.health),
        }
    finally:
        stop(player)
        stop(stack)


def make_bag(path: Path, clip: Path) -> None:
    """The clip, some times over, as raw pictures and sound."""
    begin_ns = time_ns = to_ns(1.0)
    with BagWriter(path) as bag:
        for _ in range(BAG_LOOPS):
            with MediaFile(clip) as media:
                for item in media:
                    moved = replace(item, stamp_ns=begin_ns + item.stamp_ns)
                    time_ns = max(time_ns, moved.stamp_ns)
                    if isinstance(moved, AudioBlock):
                        bag.write_sound(moved)
                    else:
                        bag.write_picture(moved)
            begin_ns = time_ns + to_ns(1 / 30)


def offline(bag: Path, processes: int) -> dict[str, Any]:
    """How fast `avemo bag evaluate` is, the networks' loading included, its libraries' not.

    Raises:
        RuntimeError: it failed.
    """
    out = bag.with_name("evaluation.json")
    timings = bag.with_name("timings.json")
    labels = bag.with_name("labels.csv")
    labels.write_text("person,start,end,label\n,0,60,neutral\n")
    used = children_cpu_s()
    command = [sys.executable, "-m", "avemo_ros.cli.main", "bag", "evaluate", str(bag)]
    command += ["--labels", str(labels), "--workers", str(processes), "--quiet", "--force"]
    command += ["--json", str(out), "--timings", str(timings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"avemo bag evaluate failed: {done.stderr.strip()}")
    seconds = json.loads(out.read_text())["bags"][0]["seconds"]
    measured = json.loads(timings.read_text())
    return {
        "processes": processes,
        "seconds": round(seconds, 1),
        "realtime_factor": round(measured["realtime_factor"], 1),
        "cpu_s_per_s": round((children_cpu_s() - used) / seconds, 3),
        "stages_ms": {
            name: round(spent["p50"], 2)
            for name, spent in sorted(measured["stages_ms"].items())
        },
    }


def children_cpu_s() -> float:
    """Processor time of the processes that this one has waited for [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_s(process: psutil.Process) -> float:
    """Processor time a process has used [s]."""
    times = process.cpu_times()
    return float(times.user + times.system)


def stages(health: dict[str, dict[str, str]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of every stage's duration [ms]."""
    made: dict[str, dict[str, float]] = {}
    for part in ("pictures", "sound", "states"):
        for key, value in health.get(part, {}).items():
            if key.startswith("stage_ms."):
                stage, percentile = key.removeprefix("stage_ms.").rsplit("_", 1)
                made.setdefault(f"{part}.{stage}", {})[percentile] = float(value)
    return made


def table(scenarios: dict[str, dict[str, Any]]) -> str:
    """The results as people read them."""
    rows = [
        ("latency p50 [ms]", lambda s: f"{s['latency_ms']['p50']:.0f}"),
        ("latency p95 [ms]", lambda s: f"{s['latency_ms']['p95']:.0f}"),
        ("processor [cores]", lambda s: f"{s['cpu_cores']:.2f}"),
        ("memory [MB]", lambda s: f"{s['rss_mb']}"),
        ("dropped frames", lambda s: f"{s['dropped_frames']}"),
        ("dropped hops", lambda s: f"{s['dropped_hops']}"),
        ("frames [Hz]", lambda s: f"{s['frames_hz']:.1f}"),
    ]
    names = sorted({name for scene in scenarios.values() for name in scene["stages_ms"]})
    rows += [
        (
            f"{name} p50 / p95 [ms]",
            lambda s, name=name: (
                "{p50:.1f} / {p95:.1f}".format(**s["stages_ms"][name])
                if name in s["stages_ms"]
                else "-"
            ),
        )
        for name in names
    ]
    lines = [f"{'':36}" + "".join(f"{name:>16}" for name in scenarios)]
    lines += [
        f"{title:36}" + "".join(f"{show(scene):>16}" for scene in scenarios.values())
        for title, show in rows
    ]
    return "\n".join(lines)


def verdict(scene: dict[str, Any]) -> str:
    """Whether one face at 30 Hz meets the targets (on two cores)."""
    checks = {
        "p95 of 100 ms or less": scene["latency_ms"]["p95"] <= 100.0,
        "no dropped hop": scene["dropped_hops"] == 0,
        "under one core": scene["cpu_cores"] < 1.0,
    }
    return ", ".join(f"{name}: {'met' if met else 'MISSED'}" for name, met in checks.items())


def main() -> int:
    """Run all scenarios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--seconds",
        type=float,
        default=32.0,
        help=f"measured per scenario, at least {LEAST_S:.0f} [s]",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench.json")
    given = parser.parse_args()
    if given.seconds < LEAST_S:
        parser.error(f"--seconds is {given.seconds}; allowed: {LEAST_S} and more")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 101))
    rclpy.init()
    watcher = Watcher()
    scenarios: dict[str, dict[str, Any]] = {}
    replays: list[dict[str, Any]] = []
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            tqdm(
                total=2 * given.seconds,
                unit="s",
                desc="bench",
                bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} s, {remaining} left",
            ) as bar,
        ):
            for faces in (1, 4):
                clip = Path(folder) / f"faces_{faces}.mp4"
                make_clip(clip, faces)
                scenarios[f"faces_{faces}"] = measure(watcher, clip, given.seconds, bar)
            make_bag(Path(folder) / "bag", Path(folder) / "faces_1.mp4")
            replays = [offline(Path(folder) / "bag", processes) for processes in (2, 1)]
    except RuntimeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        watcher.close()
        rclpy.try_shutdown()
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(given.out) as path:
        path.write_text(
            json.dumps(
                {"machine": machine, "scenarios": scenarios, "offline": replays}, indent=2
            )
            + "\n"
        )
    print(table(scenarios))
    for one in replays:
        print(
            f"offline, {one['processes']} process(es): {one['realtime_factor']} times real "
            f"time, {one['cpu_s_per_s']} s of processor time a second"
        )
    print(f"\none face: {verdict(scenarios['faces_1'])}\nwritten to {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
