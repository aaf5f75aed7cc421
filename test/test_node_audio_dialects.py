"""Nodes where audio_common_msgs is that of mgonzs13 (4.x), and with Pepper's naoqi_bridge_msgs:
built in an overlay, which hides the package of ros-drivers."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ros_graph", reason="no rclpy or messages: run `make setup`")
messages = pytest.importorskip("avemo_ros.bag.messages")
pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(600)]

NAOQI = {
    "naoqi_bridge_msgs/msg/AudioBuffer": (
        "std_msgs/Header header\nuint16 frequency\nuint8[] channel_map\nint16[] data"
    )
}
HASHES = {
    "Audio": "",
    "AudioStamped": "f6ad36427cfe3e7132f91509dca5a3be31b9b681f182db6e606e95e781b21611",
    "AudioData": "28873bc02f2963cbc2e6e7dbadd149384f99daddba98ddc2a7cd2550a0b9b5c3",
    "AudioInfo": "2418e6f9b3639c2844652701c489705b045d5b970c0674573a0f668d6af3b58b",
}
"""RIHS01 of the types that release 4.0.10 of audio_common builds; types with the same hash are
the same for ROS."""
OF_ROS_DRIVERS = {
    "AudioDataStamped": "6fc679d5a868ed68e4d301f1ef42abecc86140afb57d255656ff2d9e476ea9e3",
    "AudioData": "a9742fba1567e649bbdba6ae034a72c7ef129b97c7a4da50fd2f3e1bfd8ffa86",
    "AudioInfo": "b3494d204e513d2cceefae1888e5be3da7c8c8ca31eb277f7b5b62f364bcb1fb",
}
"""Of branch ros2 of ros-drivers/audio_common."""
CMAKE = """cmake_minimum_required(VERSION 3.20)
project({package})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(std_msgs REQUIRED)
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES std_msgs)
ament_package()
"""
PACKAGE = """<?xml version="1.0"?>
<package format="3">
  <name>{package}</name><version>4.0.10</version><description>messages</description>
  <maintainer email="avemo@example.org">avemo_ros</maintainer><license>MIT</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>std_msgs</depend><exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


def written(folder: Path, types: dict[str, str]) -> None:
    """The source of a package of messages."""
    package = next(iter(types)).partition("/")[0]
    (folder / package / "msg").mkdir(parents=True)
    files = []
    for name, text in types.items():
        files.append(f"msg/{name.rpartition('/')[2]}.msg")
        (folder / package / files[-1]).write_text(f"{text}\n")
    text = CMAKE.format(package=package, files=" ".join(files))
    (folder / package / "CMakeLists.txt").write_text(text)
    (folder / package / "package.xml").write_text(PACKAGE.format(package=package))


@pytest.fixture(scope="session")
def overlay(request: pytest.FixtureRequest) -> Path:
    """Where both packages are installed; kept in pytest's cache, as a build takes a minute."""
    sources = (dict(messages.AUDIO_COMMON_4), NAOQI)
    key = json.dumps([sources, CMAKE, PACKAGE, sys.version, sys.prefix])
    assert request.config.cache is not None
    folder = request.config.cache.mkdir(
        "sound-" + hashlib.sha256(key.encode()).hexdigest()[:12]
    )
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for name in ("src", "build", "install"):
                shutil.rmtree(folder / name, ignore_errors=True)
            for types in sources:
                written(folder / "src", types)
            command = [
                "colcon", "--log-base", str(folder / "log"), "build", "--merge-install",
                "--build-base", str(folder / "build"), "--install-base",
                str(folder / "install"), "--base-paths", str(folder / "src"), "--cmake-args",
                "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}", "-Wno-dev",
            ]  # fmt: skip
            # Of its own package alone: the underlay has another audio_common_msgs.
            kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            built = subprocess.run(command, capture_output=True, text=True, env=kept)
            assert built.returncode == 0, built.stdout + built.stderr
            (folder / "done").touch()
    return folder / "install"


def within(overlay: Path, program: str, *words: str) -> Any:
    """What a program prints as JSON that runs on top of the overlay."""
    python = next((overlay / "lib").glob("python3*")) / "site-packages"
    first = {
        "PYTHONPATH": python, "LD_LIBRARY_PATH": overlay / "lib", "AMENT_PREFIX_PATH": overlay,
    }  # fmt: skip
    added = {
        name: f"{path}{os.pathsep}{os.environ.get(name, '')}" for name, path in first.items()
    }
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **added}, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_types_are_those_of_the_packages(overlay: Path) -> None:
    from ament_index_python.packages import get_package_share_directory

    theirs = Path(get_package_share_directory("audio_common_msgs"))
    for share, hashes in (
        (overlay / "share" / "audio_common_msgs", HASHES),
        (theirs, OF_ROS_DRIVERS),
    ):
        for name, known in hashes.items():
            entries = json.loads((share / "msg" / f"{name}.json").read_text())["type_hashes"]
            found = {one["type_name"]: one["hash_string"] for one in entries}
            assert found[f"audio_common_msgs/msg/{name}"].startswith(f"RIHS01_{known}")


IMPORTS = """
import importlib, json, pkgutil
import audio_common_msgs.msg as installed
import avemo_ros.nodes
names = [one.name for one in pkgutil.iter_modules(avemo_ros.nodes.__path__)]
for name in names:
    importlib.import_module(f"avemo_ros.nodes.{name}")
print(json.dumps([hasattr(installed, "AudioDataStamped"), names]))
"""


def test_no_node_needs_the_other_package(overlay: Path) -> None:
    other, names = within(overlay, IMPORTS)
    assert not other
    assert {"camera", "microphone", "media_player", "speech_buffer", "inspection"} <= set(names)


LISTEN = """
import json, sys, time
import numpy as np
import rclpy
from importlib import import_module
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from avemo_ros.msg import SpectrogramChunk
from avemo_ros.nodes import convert, launch_arguments, parameter_file
from avemo_ros.nodes.speech_buffer import SpeechBufferNode

argument, profile, package, kind, field, number, words = sys.argv[1:]
shipped = str(parameter_file.shipped())
values = {name: value for name, value, _ in launch_arguments.EMOTION}
values |= {"params_file": shipped, argument: profile}
given, files = launch_arguments.completed(values, shipped)
args = ["--ros-args", *(word for file in files for word in ("--params-file", file))]
for topic, to in launch_arguments.remappings(given):
    args += ["-r", f"{topic}:={to}"]
rclpy.init(args=[*args, *words.split()])
driver, node = Node("driver"), SpeechBufferNode()
assert node.start(), node.last_error
executor = SingleThreadedExecutor()
executor.add_node(driver)
executor.add_node(node)
out = driver.create_publisher(
    getattr(import_module(f"{package}.msg"), kind), "/audio", qos_profile_sensor_data
)
levels = []
driver.create_subscription(
    SpectrogramChunk, "spectrogram", lambda chunk: levels.extend(chunk.level_dbfs), 50
)
# A sine of a tenth of full scale has a level of -23 dBFS.
wave = 0.1 * np.sin(2 * np.pi * 400.0 * np.arange(1600) / 16_000)
full = {"float32": 1.0, "int32": 2.0**31, "int16": 2.0**15, "int8": 2.0**7, "uint8": 2.0**7}
scaled = wave * full[field]
if field == "uint8":
    scaled = scaled + 128
samples = (scaled if field == "float32" else np.rint(scaled)).astype(field)
limit = time.monotonic() + 60
while len(levels) < 60 and time.monotonic() < limit:
    message = out.msg_type()
    if hasattr(message, "header"):
        message.header = convert.header(driver.get_clock().now().nanoseconds, "mic")
    if package == "naoqi_bridge_msgs":
        message.frequency, message.channel_map = 16_000, bytes([0, 2, 3, 5])
        # The first microphone hears, the others hum.
        four = np.repeat(samples[:, None], 4, axis=1)
        four[:, 1:] = 32767 * np.sign(four[:, 1:])
        message.data = four.reshape(-1).tolist()
    else:
        inner = message.audio if kind == "AudioStamped" else message
        setattr(inner.audio_data, f"{field}_data", samples.tolist())
        inner.info.format, inner.info.rate = int(number), 16_000
        inner.info.channels, inner.info.chunk = 1, len(samples)
    out.publish(message)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)
form = str(node.report()[0].values[2].value)
print(json.dumps({"level": float(np.median(levels)) if levels else None, "format": form}))
node.end()
"""


@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize(
    ("kind", "field", "number"),
    [
        ("AudioStamped", "float32", 1),
        ("AudioStamped", "int32", 2),
        ("AudioStamped", "int16", 8),
        ("AudioStamped", "int8", 16),
        ("AudioStamped", "uint8", 32),
        ("Audio", "int16", 8),
    ],
)
def test_sound_of_audio_common_4_is_heard(
    overlay: Path, kind: str, field: str, number: int
) -> None:
    words = "-p audio_type:=bare" if kind == "Audio" else ""
    found = within(
        overlay, LISTEN, "mic", "audio_common", "audio_common_msgs", kind, field, str(number),
        words,
    )  # fmt: skip
    assert found["level"] == pytest.approx(-23.0, abs=0.5)
    assert "16000 Hz, 1 channel(s)" in found["format"]


@pytest.mark.usefixtures("ros_domain")
def test_sound_of_pepper_is_heard_by_one_microphone(overlay: Path) -> None:
    found = within(
        overlay, LISTEN, "robot", "pepper", "naoqi_bridge_msgs", "AudioBuffer", "int16", "8", ""
    )
    assert found["level"] == pytest.approx(-23.0, abs=0.5)
    assert "4 channel(s)" in found["format"]


PLAY = """
import json, sys, time
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from audio_common_msgs.msg import AudioStamped
from avemo_ros.nodes.media_player import MediaPlayer

rclpy.init(args=["--ros-args", "-p", f"file:={sys.argv[1]}"])
ears, node = Node("ears"), MediaPlayer()
heard = []
ears.create_subscription(AudioStamped, "audio", heard.append, 50)
assert node.start(), node.last_error
executor = SingleThreadedExecutor()
executor.add_node(ears)
executor.add_node(node)
limit = time.monotonic() + 60
while len(heard) < 20 and time.monotonic() < limit:
    executor.spin_once(timeout_sec=0.05)
info, data = heard[-1].audio.info, heard[-1].audio.audio_data
print(json.dumps([info.format, info.rate, info.channels, info.chunk, len(data.int16_data)]))
node.end()
"""


@pytest.mark.usefixtures("ros_domain")
def test_our_own_sources_publish_what_is_installed(overlay: Path, repository: Path) -> None:
    sample = repository / "test" / "data" / "sample.mp4"
    form, rate, channels, chunk, samples = within(overlay, PLAY, str(sample))
    assert (form, samples) == (8, chunk * channels)
    assert rate > 0
    assert chunk > 0


MISSING = """
import json, sys
sys.modules["audio_common_msgs.msg"] = None
from avemo_ros.errors import ConfigError
from avemo_ros.nodes.convert import audio_types
said = []
for kind in ("stamped", "bare"):
    try:
        audio_types(kind)
    except ConfigError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_a_package_that_is_not_installed_is_named(overlay: Path) -> None:
    for text in within(overlay, MISSING):
        assert "audio_common_msgs, which is not installed" in text
        assert "sudo apt install ros-jazzy-audio-common-msgs" in text
