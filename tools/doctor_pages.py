"""The pages of `avemo doctor` on five broken set-ups, for docs/troubleshooting.md.

python tools/doctor_pages.py           # prints them
python tools/doctor_pages.py --write   # puts them into docs/troubleshooting.md
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rclpy
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.nodes import convert
from avemo_ros.source.media_file import MediaFile, VideoFrame

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "troubleshooting.md"
SAMPLE: Final = ROOT / "test" / "data" / "sample.mp4"
START, END = "<!-- made by tools/doctor_pages.py -->", "<!-- end -->"
_SECONDS: Final = 8
_PERIOD_NS: Final = 100_000_000
_LOST: Final = re.compile(r" {6}(versions|devices|memory|processor|disk) .*(\n {18}.*)*\n")
_BUSY: Final = re.compile(r"NOTE {2}processor .*(\n {15}.*)*\n")
"""Lines that are of the computer alone; they would be others on yours."""


class Drivers(Node):
    """A camera and a microphone that play the sample."""

    def __init__(self) -> None:
        super().__init__("driver")
        with MediaFile(SAMPLE) as media:
            items = list(media)
        self._images = [item.image for item in items if isinstance(item, VideoFrame)][::3]
        blocks = [item for item in items if isinstance(item, AudioBlock)]
        self.rate = blocks[0].rate
        self._sound = np.concatenate([block.samples[:, :1] for block in blocks])

    def image(self, number: int, stamp_ns: int) -> Image:
        """An image of the sample."""
        return convert.image(self._images[number % len(self._images)], stamp_ns, "camera")

    def sound(self, number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        """A tenth of a second of the sample, (n, 1)."""
        step = self.rate // 10
        at = number * step % (len(self._sound) - step)
        return (self._sound[at : at + step] * 32767).astype(np.int16)


def stamped(samples: np.ndarray[Any, Any], stamp_ns: int) -> AudioDataStamped:
    """A message of 16-bit sound."""
    message = AudioDataStamped(header=convert.header(stamp_ns, "microphone"))
    message.audio.data = convert.byte_array(samples.astype("<i2"))
    return message


def other_topics(node: Drivers) -> Callable[[int, int], None]:
    """Compressed images and unstamped sound."""
    node.create_publisher(CompressedImage, "/head/image_raw/compressed", 5)
    node.create_publisher(AudioData, "/audio", 5)
    return lambda _number, _now: None


def other_quality(node: Drivers) -> Callable[[int, int], None]:
    """A camera of best effort."""
    quality = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    out = node.create_publisher(Image, "/image_raw", quality)
    return lambda number, now: out.publish(node.image(number, now))


def inputs(
    change: Callable[[Drivers, Image, np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    age_s: float = 0.0,
    cameras: int = 1,
) -> Callable[[Drivers], Callable[[int, int], None]]:
    """Images and sound, changed."""

    def make(node: Drivers) -> Callable[[int, int], None]:
        images = [node.create_publisher(Image, "/image_raw", 5) for _ in range(cameras)]
        sound = node.create_publisher(AudioDataStamped, "/audio", 50)
        info = node.create_publisher(AudioInfo, "/audio_info", 5)

        def publish(number: int, now_ns: int) -> None:
            stamp_ns = now_ns - round(age_s * 1e9)
            image = node.image(number, stamp_ns)
            samples = change(node, image, node.sound(number))
            info.publish(
                AudioInfo(
                    channels=samples.shape[1],
                    sample_rate=node.rate,
                    sample_format="S16LE",
                    coding_format="wave",
                )
            )
            for out in images:
                out.publish(image)
            sound.publish(stamped(samples, stamp_ns))

        return publish

    return make


def dead(_node: Drivers, image: Image, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A lens cap, and a muted microphone."""
    image.data = convert.byte_array(np.zeros(len(image.data), np.uint8))
    return np.zeros_like(samples)


def turned(_node: Drivers, image: Image, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A camera upside down, and the loudspeaker among six channels."""
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    image.data = convert.byte_array(pixels[::-1, ::-1])
    six = np.repeat(samples, 6, axis=1)
    six[:, 5] = 8000 * np.sin(np.arange(len(six)) * 0.1)
    return six


@dataclass(frozen=True)
class SetUp:
    """One that is broken."""

    title: str
    make: Callable[[Drivers], Callable[[int, int], None]]
    words: tuple[str, ...] = ()
    """Arguments of the doctor."""
    node: tuple[str, ...] = ()
    """ROS arguments of a face_tracker that runs; empty: none does."""


SET_UPS: Final = (
    SetUp(
        "The camera sends only compressed images on another topic, the sound has no stamps",
        other_topics,
    ),
    SetUp(
        "The camera offers best effort, the node asks for reliable and has a typo",
        other_quality,
        node=("-p", "image_reliability:=reliable", "-p", "max_faces:=2"),
    ),
    SetUp("A lens cap, and a muted microphone", inputs(dead)),
    SetUp(
        "Two drivers, and stamps from a recording made an hour ago",
        inputs(lambda _node, _image, samples: samples, 3600.0, cameras=2),
    ),
    SetUp(
        "A camera upside down, a six-channel microphone with the loudspeaker", inputs(turned)
    ),
)


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[None]:
    """A face_tracker, if there are arguments."""
    if not arguments:
        yield
        return
    command = [sys.executable, "-m", "avemo_ros.nodes.face_tracker", "--ros-args", *arguments]
    node = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        time.sleep(5)
        yield
    finally:
        node.terminate()
        node.wait()


def page_of(set_up: SetUp) -> str:
    """What the doctor prints."""
    node = Drivers()
    publish = set_up.make(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    command = [sys.executable, "-m", "avemo_ros.cli.main", "doctor", *set_up.words]
    command += ["--seconds", str(_SECONDS)]
    with running(set_up.node):
        doctor = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        number, began = 0, node.get_clock().now().nanoseconds
        while doctor.poll() is None:
            publish(number, node.get_clock().now().nanoseconds)
            number += 1
            while node.get_clock().now().nanoseconds < began + number * _PERIOD_NS:
                executor.spin_once(timeout_sec=0.01)
    executor.shutdown()
    node.destroy_node()
    assert doctor.stdout is not None
    return _BUSY.sub("", _LOST.sub("", doctor.stdout.read().replace(str(ROOT), "...")))


def main() -> int:
    """Make the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into the docs")
    args = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", "83")
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds.xml")
    rclpy.init()
    parts = []
    for number, set_up in enumerate(SET_UPS, 1):
        parts.append(f"### {number}. {set_up.title}\n\n```\n{page_of(set_up)}```\n")
    text = "\n".join(parts)
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(START)
        PAGE.write_text(f"{head}{START}\n\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
