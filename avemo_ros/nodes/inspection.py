"""What is there and what is missing on a robot's topics: a node that looks for some seconds.

It has the stages of images and sound that `emotion_stack` has, so that it finds what they find,
and shows what they say.  It publishes no result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_system_default
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier

from avemo_ros.audio.spectrogram import SpectrogramChunk
from avemo_ros.errors import AvemoError
from avemo_ros.nodes import (
    convert,
    face_tracker,
    host,
    parameter_file,
    qos,
    speech_buffer,
)
from avemo_ros.nodes.base_node import ManagedNode
from avemo_ros.nodes.face_tracker import ImageInputSettings, ImageInputStage
from avemo_ros.nodes.host import Level, Observation
from avemo_ros.nodes.launch_arguments import TOPICS, remappings
from avemo_ros.nodes.rclpy_internals import SturdyExecutor
from avemo_ros.nodes.ros4hri import Ros4HriSettings
from avemo_ros.nodes.speech_buffer import AudioInputSettings, AudioInputStage
from avemo_ros.settings import Settings
from avemo_ros.timing import to_s
from avemo_ros.vision.face import FrameTracks

NAME: Final = "avemo_doctor"
_OUTPUTS: Final = ("face_tracks", "spectrogram", "emotion_overlay", "/diagnostics")
"""What the stages could publish: nobody may take it for that of a real node."""
_SPEECH: Final = 0.5
"""Probability from which a column is speech."""
_OFF_S: Final = 0.5
"""Stamps so far from their arrival are worth a word, though they are accepted."""
_PARTS: Final = ("images", "audio")
_LEVELS: Final = {
    DiagnosticStatus.OK: Level.OK,
    DiagnosticStatus.WARN: Level.FIX,
    DiagnosticStatus.ERROR: Level.FIX,
    DiagnosticStatus.STALE: Level.FIX,
}


class _Lines:
    """Takes the place of a node's logger, and keeps what would be warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    error = fatal = warning

    def info(self, text: str) -> None:
        """Not of interest."""

    debug = info


class Inspector(ManagedNode):
    """The stages of images and sound, and what they say and find; neither where sensing is
    switched off."""

    senses = "follows"

    def __init__(self) -> None:
        self.lines = _Lines()
        groups = dict.fromkeys((*face_tracker.GROUPS, *speech_buffer.GROUPS))
        own: list[type[Settings]] = [ImageInputSettings, AudioInputSettings, Ros4HriSettings]
        super().__init__(NAME, own, [*groups])
        self._stages: dict[str, ImageInputStage | AudioInputStage] = {}
        self.failed_parts: dict[str, str] = {}
        """Why a stage could not begin, by "images" and "audio"."""
        self.status: dict[str, DiagnosticStatus] = {}
        """The last report of each stage."""
        self.faces = 0
        """The most in one image."""
        self.speech = False
        self.ages_s: dict[str, list[float]] = {"images": [], "audio": []}
        """How far stamps are behind their arrival [s]."""
        self.levels_dbfs: list[float] = []

    def get_logger(self) -> Any:
        """Its lines are findings."""
        return self.lines

    def prepare(self) -> None:
        """Load the networks of both stages."""
        config = self.config()
        makers: dict[str, Callable[[], ImageInputStage | AudioInputStage]] = {
            "images": lambda: ImageInputStage(self, config, self._take_tracks, publishes=False),
            "audio": lambda: AudioInputStage(self, config, self._take_chunk, publishes=False),
        }
        if self.read(Ros4HriSettings).reads_faces:
            del makers["images"]
        for part, make in makers.items():
            try:
                self._stages[part] = make()
            except AvemoError as error:
                self.failed_parts[part] = str(error)

    def open(self) -> None:
        """Listen."""
        for stage in self._stages.values():
            stage.open()

    def close(self) -> None:
        """Listen no more."""
        for stage in self._stages.values():
            stage.close()

    def release(self) -> None:
        """Let the networks go."""
        for stage in self._stages.values():
            if isinstance(stage, ImageInputStage):
                stage.release()
        self._stages = {}

    def report(self) -> list[DiagnosticStatus]:
        """Once a second."""
        for part, stage in self._stages.items():
            stage.adapt()
            self.status[part] = stage.status()
        return []

    def _take_tracks(self, tracks: FrameTracks, _frame_id: str, arrival_ns: int) -> None:
        self.faces = max(self.faces, len(tracks.faces))
        self.ages_s["images"].append(to_s(arrival_ns - tracks.stamp_ns))

    def _take_chunk(self, chunk: SpectrogramChunk, _frame_id: str, arrival_ns: int) -> None:
        self.speech = self.speech or bool(np.max(chunk.speech, initial=0.0) >= _SPEECH)
        self.ages_s["audio"].append(to_s(arrival_ns - chunk.end_ns))
        self.levels_dbfs.append(float(np.mean(chunk.level_dbfs)))


def examine(
    given: Mapping[str, str],
    files: Sequence[str],
    single: Mapping[str, object],
    ros_arguments: Sequence[str],
    seconds: float,
) -> list[Observation]:
    """Look at the graph and at the inputs.

    Args:
        given: arguments as emotion.launch.py takes them.
        files: parameter files for the nodes.
        single: parameters that count more than the files.
        ros_arguments: further ones, e.g. remappings, as after `--ros-args`.
        seconds: how long to look [s].

    Raises:
        ConfigError: a parameter is not allowed.
        RuntimeError: ROS cannot start.
    """
    hidden = [(name, f"/{NAME}/{name.strip('/')}") for name in _OUTPUTS]
    rules = [f"{name}:={to}" for name, to in (*hidden, *remappings(given))]
    if given["namespace"]:
        rules.append(f"__ns:=/{given['namespace'].strip('/')}")
    values = {**single, "use_sim_time": given["use_sim_time"].lower() == "true"}
    words = [word for rule in rules for word in ("-r", rule)]
    words += [word for file in files for word in ("--params-file", file)]
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else f"{value}"
        words += ["-p", f"{name}:={text}"]
    # Of several rules for one name the first one counts, of several values of one parameter the
    # last one.
    args = ["--ros-args", *ros_arguments, *words, *ros_arguments]
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _examined(seconds, files)
    finally:
        rclpy.try_shutdown()


def _examined(seconds: float, files: Sequence[str]) -> list[Observation]:
    node = Inspector()
    ears = Node(f"{NAME}_ears", use_global_arguments=False)
    executor = SturdyExecutor(node.callback_failed)
    heard: dict[str, DiagnosticStatus] = {}

    def hear(message: DiagnosticArray) -> None:
        heard.update({entry.name: entry for entry in message.status})

    ears.create_subscription(DiagnosticArray, "/diagnostics", hear, qos_profile_system_default)
    try:
        node.look_at([word for file in files for word in ("--params-file", file)])
        if not node.start():
            return [Observation("inputs", Level.FIX, *host.split(node.last_error))]
        executor.add_node(node)
        executor.add_node(ears)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        return [
            *host.middleware(str(get_rmw_implementation_identifier())),
            *_inputs(node),
            *_said(node),
            *_graph(node, ears, heard),
        ]
    finally:
        executor.shutdown()
        node.end()
        ears.destroy_node()


def _inputs(node: Inspector) -> Iterator[Observation]:
    """Images and sound."""
    if not node.is_sensing:
        text = "sensing is switched off: images and sound were not checked"
        advice = 'ros2 service call /set_sensing std_srvs/srv/SetBool "{data: true}"'
        yield Observation("sensing", Level.NOTE, text, advice)
        return
    for part, error in node.failed_parts.items():
        yield Observation(part, Level.FIX, *host.split(error))
    for part, status in node.status.items():
        values = {item.key: item.value for item in status.values}
        topic, level = values["topic"], _LEVELS[status.level]
        if level is not Level.OK:
            text, advice = host.split(_fullest(part, status.message, node.lines.warnings))
            # A reason that does not name its topic begins with what it is about.
            shown = text if topic in text else f"{topic}: {text}"
            yield Observation(part, level, shown, advice)
            if status.level == DiagnosticStatus.STALE:
                continue
        senders = node.get_publishers_info_by_topic(topic)
        kind = senders[0].topic_type if senders else ""
        offers = {offer.qos_profile.reliability.name.lower() for offer in senders}
        facts = [
            f"{topic} ({kind}, {' and '.join(sorted(offers)).replace('_', ' ')})",
            values["format"],
            f"{values['arrival_hz']} messages a second",
        ]
        if part == "images":
            facts.append(f"{node.faces} face(s) at a time" if node.faces else "no face")
        elif node.levels_dbfs:
            facts.append(f"{np.median(node.levels_dbfs):.0f} dBFS")
            facts.append("speech was heard" if node.speech else "no speech")
            if " " in values["channel_levels_dbfs"]:
                facts.append(f"channels: {values['channel_levels_dbfs']} dBFS")
        yield Observation(part, Level.OK, ", ".join(facts))
        yield from _stamps(part, node.ages_s[part])


def _fullest(part: str, message: str, lines: Sequence[str]) -> str:
    """What the log says of the same part: it may have advice that is given once only."""
    text = host.split(message)[0]
    begin = f"{part}: "
    same = [line.removeprefix(begin) for line in lines if line.startswith(begin)]
    return max([message, *(one for one in same if host.split(one)[0] == text)], key=len)


def _stamps(part: str, ages_s: Sequence[float]) -> Iterator[Observation]:
    """How far the accepted stamps are from their arrival."""
    if not ages_s:
        return
    age = float(np.median(ages_s))
    text = f"stamps of {part} are {abs(age) * 1e3:.0f} ms {'ahead of' if age < 0 else 'behind'}"
    text += " their arrival"
    if abs(age) < _OFF_S:
        yield Observation("clock", Level.OK, text)
    else:
        advice = "synchronise the clocks if another computer stamps; a slow network delays, too"
        yield Observation("clock", Level.NOTE, text, advice)


def _said(node: Inspector) -> Iterator[Observation]:
    """What the stages would have logged, but for what their reports say."""
    reported = " ".join(status.message for status in node.status.values())
    for line in node.lines.warnings:
        part, _, text = line.partition(": ")
        if part not in _PARTS:
            part, text = "settings", line
        if host.split(text)[0] in reported or (part in _PARTS and not node.is_sensing):
            continue
        yield Observation(part, Level.FIX, *host.split(text))


def _graph(
    node: Inspector, ears: Node, heard: Mapping[str, DiagnosticStatus]
) -> Iterator[Observation]:
    """Who is there, how they fit together, and what they say of themselves."""
    ours = _ours(ears)
    if ours:
        yield Observation("nodes", Level.OK, f"of avemo_ros: {', '.join(ours)}")
    else:
        yield Observation(
            "nodes",
            Level.NOTE,
            "no node of avemo_ros is running",
            "ros2 launch avemo_ros emotion.launch.py",
        )
    topics = dict(ears.get_topic_names_and_types())
    looked_at = {node.resolve_topic_name(name) for name in ("image_raw", "audio", *TOPICS)}
    looked_at |= {status.values[0].value for status in node.status.values()}
    for topic in sorted(looked_at & set(topics)):
        for text in qos.mismatches(ears, topic):
            yield Observation("qos", Level.FIX, *host.split(text))
    own = {status.message for status in node.status.values()}
    for part, status in node.status.items():
        senders = node.get_publishers_info_by_topic(status.values[0].value)
        # Also where the input is refused for another reason.
        text = qos.rivals(
            node, status.values[0].value, senders[0].topic_type if senders else ""
        )
        if text and text not in own:
            yield Observation(part, Level.FIX, *host.split(text))
    for kind, which in (("images", face_tracker.INSTEAD), ("audio", convert.AUDIO_INSTEAD)):
        names = sorted(name for name, types in topics.items() if set(types) & set(which))
        names = [
            name
            for name in names
            if ears.count_publishers(name) and not name.endswith("/emotion_overlay")
        ]
        if names:
            yield Observation("topics", Level.OK, f"{kind}: {', '.join(names)}")
    clocks = ears.count_publishers("/clock")
    if clocks > 1:
        yield Observation(
            "clock", Level.FIX, f"{clocks} publishers send on /clock", "play one recording"
        )
    for name, status in sorted(heard.items()):
        if not status.hardware_id.startswith("/") or status.message in own:
            continue
        if status.hardware_id not in ours:
            continue
        part = f"{status.hardware_id}: {name.partition(': ')[2]}"
        if _LEVELS.get(status.level, Level.OK) is not Level.OK:
            text, advice = host.split(status.message)
            yield Observation("nodes", Level.FIX, f"{part}: {text}", advice)
        elif status.message in ("unconfigured", "inactive"):
            step = "configure" if status.message == "unconfigured" else "activate"
            advice = f"ros2 lifecycle set {status.hardware_id} {step}"
            yield Observation(
                "nodes", Level.FIX, f"{status.hardware_id} is {status.message}", advice
            )


def _ours(ears: Node) -> list[str]:
    """Full names of running nodes of this package."""
    found: Collection[tuple[str, str]] = ears.get_node_names_and_namespaces()
    full = {f"{space.rstrip('/')}/{name}" for name, space in found}
    return sorted(name for name in full if Path(name).name in parameter_file.NODES)
