"""How many raw images arrive, over the middleware and the settings that are to be compared.

    python tools/image_transport.py default config/fastdds.xml \
        config/fastdds_4k.xml,config/fastdds.xml
    RMW_IMPLEMENTATION=rmw_cyclonedds_cpp python tools/image_transport.py \
        default config/cyclonedds.xml

One process publishes images of each size, and after every image 0.1 s of sound; another one
takes both, as the nodes do.  For each size all settings take turns, so that other programs
disturb all of them alike.  Of two files with a comma between, the first is for the publisher.
The first two seconds do not count: both sides then set memory aside for large images, and some
get lost.  It prints a table in Markdown:

- whole: images that arrived, in order and unspoiled, of those that were published;
- image, sound: from publication to arrival, median and worst;
- memory: shared memory that both processes use, of what they have reserved.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from avemo_ros.nodes import host  # noqa: E402

SIZES: Final = "640x480,1920x1080,3840x2160"
DEFAULT: Final = "default"
"""In place of a file: the middleware's own settings."""
SOUND_BYTES: Final = 3200
"""0.1 s of one channel of 16 bits at 16 kHz."""
DEPTH: Final = 5
"""Of the image's subscription, as the face tracker has it."""
WARM_UP_S: Final = 2.0
"""Not counted."""
MEET_S: Final = 30.0
LATE_S: Final = 2.0
"""How long is waited for the last ones."""
SHARED: Final = "/dev/shm/"  # noqa: S108  where the middleware has its shared memory
COLUMNS: Final = (
    "settings", "size", "reliability", "whole", "image [ms]", "sound [ms]", "memory [MB]",
    "load",
)  # fmt: skip
MARKS: Final = 251
"""The image's first and last byte are its number, modulo this prime."""


@dataclass
class Heard:
    """What has arrived of one topic."""

    first: int
    """Number of the first one that counts."""
    ages_s: list[float] = field(default_factory=list)
    spoiled: int = 0
    last: int = -1

    def take(self, message: Any) -> None:
        """Of an image: the frame has its number, the stamp its time."""
        stamp = message.header.stamp
        number, content = int(message.header.frame_id), message.data
        mark = number % MARKS
        fits = len(content) == message.height * message.step
        if number <= self.last or not fits or (content[0], content[-1]) != (mark, mark):
            self.spoiled += 1
            return
        self.last = number
        if number < self.first:
            return
        self.ages_s.append(time.time() - stamp.sec - 1e-9 * stamp.nanosec)


def profile(reliable: bool, depth: int) -> Any:
    """The QoS of both ends."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, reliability=policy)


def warm_up(rate_hz: float) -> int:
    """Images that are not counted."""
    return round(rate_hz * WARM_UP_S)


def publish(size: str, reliable: bool, rate_hz: float, seconds: float) -> None:
    """The camera's side; prints how many were published."""
    import array

    import rclpy
    from sensor_msgs.msg import Image

    width, height = map(int, size.split("x"))
    rclpy.init()
    node = rclpy.create_node("image_transport_publisher")
    image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    image.data = array.array("B", bytes(3 * width * height))
    sound = Image(height=1, width=SOUND_BYTES, encoding="mono8", step=SOUND_BYTES)
    sound.data = array.array("B", bytes(SOUND_BYTES))
    outlets = [
        (image, node.create_publisher(Image, "images", profile(reliable, DEPTH))),
        (sound, node.create_publisher(Image, "sound", profile(False, 50))),
    ]
    end = time.monotonic() + MEET_S
    while not all(outlet.get_subscription_count() for _, outlet in outlets):
        if time.monotonic() > end:
            raise SystemExit("the two processes did not find each other")
        time.sleep(0.05)
    time.sleep(1.0)  # until the other side knows it as well
    begin, number = time.monotonic(), 0
    while number < rate_hz * seconds and time.monotonic() < begin + seconds + LATE_S:
        time.sleep(max(0.0, begin + number / rate_hz - time.monotonic()))
        for message, outlet in outlets:
            message.header.frame_id = str(number)
            message.data[0] = message.data[-1] = number % MARKS
            message.header.stamp = node.get_clock().now().to_msg()
            outlet.publish(message)
        number += 1
    print(json.dumps({"published": number - warm_up(rate_hz)}), flush=True)
    sys.stdin.read()  # what is on its way needs this process
    rclpy.shutdown()


def receive(reliable: bool, rate_hz: float) -> None:
    """The stack's side, until its input is closed; prints what came."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("image_transport_receiver")
    images, sound = Heard(warm_up(rate_hz)), Heard(warm_up(rate_hz))
    node.create_subscription(Image, "images", images.take, profile(reliable, DEPTH))
    node.create_subscription(Image, "sound", sound.take, profile(False, 50))
    os.set_blocking(sys.stdin.fileno(), False)
    try:
        while sys.stdin.buffer.read() is None:
            rclpy.spin_once(node, timeout_sec=0.05)
    except ExternalShutdownException:
        return
    used, reserved = shared_memory()
    found = {"images": vars(images), "sound": vars(sound), "used": used, "reserved": reserved}
    print(json.dumps(found), flush=True)
    rclpy.shutdown()


def shared_memory() -> tuple[int, int]:
    """Of the files in /dev/shm that this process has mapped, what is in use and what they may
    grow to [bytes]."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    files = {Path(line[line.index(SHARED) :]) for line in lines if SHARED in line}
    states = [file.stat() for file in files if file.exists()]
    return sum(512 * one.st_blocks for one in states), sum(one.st_size for one in states)


def measured(
    file_of: host.SettingsFile | None,
    settings: str,
    size: str,
    reliable: bool,
    rate_hz: float,
    seconds: float,
) -> dict[str, Any]:
    """What arrived with these settings.

    Raises:
        RuntimeError: a process failed.
    """
    plain = dict(os.environ)
    for name in file_of.variables if file_of else ():
        plain.pop(name, None)
    options = ["--sizes", size, "--rate", str(rate_hz), "--seconds", str(seconds)]
    options += ["--reliable"] if reliable else []
    files = settings.split(",")
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--role", role, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=plain | (file_of.named(file) if file_of and file != DEFAULT else {}),
        )
        for role, file in (("publish", files[0]), ("receive", files[-1]))
    ]
    publisher, receiver = children
    try:
        assert publisher.stdout is not None
        said = publisher.stdout.readline()
        time.sleep(LATE_S)
        out, _ = receiver.communicate(timeout=60)
        publisher.communicate(timeout=60)
        return {**json.loads(said), **json.loads(out)}
    except ValueError as error:
        raise RuntimeError(f"with {settings}, nothing was measured: see above") from error
    finally:
        for child in children:
            child.kill()


def row(settings: str, size: str, reliable: bool, found: dict[str, Any]) -> str:
    """A line of the table."""

    def ages(name: str) -> str:
        of = found[name]["ages_s"]
        return f"{1e3 * statistics.median(of):.0f}, {1e3 * max(of):.0f}" if of else "-"

    cells = (
        ",".join(Path(file).name for file in settings.split(",")),
        size,
        "reliable" if reliable else "best effort",
        f"{len(found['images']['ages_s'])} of {found['published']}",
        ages("images"),
        ages("sound"),
        f"{found['used'] / 1e6:.1f} of {found['reserved'] / 1e6:.1f}",
        f"{os.getloadavg()[0]:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Called as a program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help=f"files, or '{DEFAULT}'")
    parser.add_argument("--sizes", default=SIZES, help="WIDTHxHEIGHT, with commas (bgr8)")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--reliable", action="store_true", help="instead of best effort")
    parser.add_argument("--role", choices=("publish", "receive"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.role == "publish":
        publish(given.sizes, given.reliable, given.rate, WARM_UP_S + given.seconds)
        return 0
    if given.role == "receive":
        receive(given.reliable, given.rate)
        return 0

    from rclpy.utilities import get_rmw_implementation_identifier

    name = str(get_rmw_implementation_identifier())
    file_of = host.settings_file(name)
    if file_of is None and set(given.settings) - {DEFAULT}:
        parser.error(f"of {name}, it is not known how settings are given")
    files = {file for settings in given.settings for file in settings.split(",")} - {DEFAULT}
    missing = [file for file in files if not Path(file).is_file()]
    if missing:
        parser.error(f"there is no file '{missing[0]}'")
    print(f"{name}, {given.rate:g} images a second for {given.seconds:g} s\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{' --- |' * len(COLUMNS)}")
    for size in given.sizes.split(","):
        for settings in given.settings or [DEFAULT]:
            found = measured(file_of, settings, size, given.reliable, given.rate, given.seconds)
            print(row(settings, size, given.reliable, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
