"""Topics into a bag, serialised as they come: raw pictures and sound, or features only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from avemo_ros.bag.definitions import definition_of
from avemo_ros.bag.draft import BagDraft
from avemo_ros.bag.offers import Offer
from avemo_ros.bag.part import COMPRESSIONS, STORAGES
from avemo_ros.errors import BagError, ConfigError
from avemo_ros.nodes import health, qos
from avemo_ros.nodes.parameters import Parameter
from avemo_ros.nodes.restamp import message_class
from avemo_ros.nodes.shell import ManagedNode, run
from avemo_ros.nodes.trouble import Trouble
from avemo_ros.nodes.worker import Worker

OUT: Final = Parameter("record_out", "", "Bag to write, a folder that is not there yet.")
CONTENT: Final = Parameter(
    "record_content",
    "raw",
    "What of people is recorded: 'raw' pictures and sound; 'features' only, which are small "
    "grey crops of faces with landmarks, and spectrograms; or 'nothing'.",
    choices=("raw", "features", "nothing"),
)
COMPRESSED: Final = Parameter(
    "record_compressed", False, "Of raw pictures, record the JPEG ones on image_raw/compressed."
)
STATES: Final = Parameter("record_states", True, "Record emotion_states, too.")
TOPICS: Final = Parameter(
    "record_topics", "", "More topics to record, with blanks or commas between."
)
STORAGE: Final = Parameter("record_storage", STORAGES[0], "Kind of file.", choices=STORAGES)
COMPRESSION: Final = Parameter(
    "record_compression", COMPRESSIONS[0], "Of the file's content.", choices=COMPRESSIONS
)
SPLIT: Final = Parameter(
    "record_split_s", 0.0, "Begin a new file after so long [s]; 0: one file.", low=0.0, high=1e6
)
QUEUE: Final = Parameter(
    "record_queue_mb",
    256.0,
    "So much may wait for the disk; what is oldest is left out beyond that [MB].",
    low=1.0,
    high=65536.0,
)
PARAMETERS: Final = (
    OUT,
    CONTENT,
    COMPRESSED,
    STATES,
    TOPICS,
    STORAGE,
    COMPRESSION,
    SPLIT,
    QUEUE,
)

_SOUND: Final = ("audio", "audio_info", "robot_speaking")
_FEATURES: Final = ("face_tracks", "spectrogram")
_OPTIONAL: Final = ("robot_speaking",)
"""Topics that nobody needs to publish."""
_SAYS: Final = {
    "raw": "raw pictures and sound of people; these are personal data",
    "features": "no pictures and no sound, but features of people: small grey crops of their "
    "faces, landmarks and spectrograms of their speech; these are personal data, too",
    "nothing": "neither pictures nor sound nor features of people",
}
_DEPTH: Final = 200
_LOOK_S: Final = 0.2
"""How often publishers are looked for."""
_DRAIN_S: Final = 30.0
"""What waits at the end may take so long to be written."""
_QUIET_S: Final = 2.0
_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message that waits for the disk."""

    topic: str
    data: bytes
    log_ns: int


class _Source:
    """A topic that is recorded from the moment when somebody publishes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        """After remapping."""
        self.kind = ""
        self.offer = Offer()
        self.heard = health.Meter()
        self.inlet: qos.Inlet | None = None


class BagRecorder(ManagedNode):
    """Records topics with whatever type they have; never holds them up.

    Messages are logged by the node's clock.  The bag has its name when the node is deactivated
    or ends; until then, and if the process is killed, it is `<out>.partial`.
    """

    def __init__(self) -> None:
        super().__init__("bag_recorder", PARAMETERS)
        self._trouble = Trouble(self.get_logger(), "recording")
        self._sources: list[_Source] = []
        self._draft: BagDraft | None = None
        self._worker: Worker[_Heard] | None = None
        self._timer: Any = None
        self._added: set[str] = set()
        self._timeless: list[_Heard] = []
        self.failed = False
        """The disk did not take it."""

    def prepare(self) -> None:
        """Say what will be recorded."""
        if not self.value(OUT):
            raise ConfigError(OUT.name, "", "path of a bag that is not there yet")
        names = self._topics()
        if not names:
            raise ConfigError(TOPICS.name, "", "names of topics, or content and states")
        self.get_logger().info(f"records {_SAYS[self.value(CONTENT)]}")
        self.get_logger().info(f"records {', '.join(names)} into {self.value(OUT)}")

    def open(self) -> None:
        """Make the bag's folder and listen."""
        self._added, self._timeless, self.failed = set(), [], False
        self._draft = BagDraft(
            Path(self.value(OUT)).expanduser(),
            self.value(STORAGE),
            self.value(COMPRESSION),
            split_s=self.value(SPLIT),
        )
        limit = self.value(QUEUE) * _MEGABYTE
        self._worker = Worker(
            "recorder",
            self._write,
            self._failed,
            limit=limit,
            weigh=lambda item: len(item.data),
        )
        self._worker.start()
        self._sources = [_Source(name) for name in self._topics()]
        self._timer = self.create_timer(_LOOK_S, self._look, clock=self.steady)
        self._look()

    def close(self) -> None:
        """Write what waits, and end the bag."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for source in self._sources:
            if source.inlet is not None:
                source.inlet.close()
                source.inlet = None
        if self._worker is not None:
            self._drain(self._worker)
            self._worker = None
        if self._draft is not None:
            self._end(self._draft)
            self._draft = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        for source in self._sources:
            if source.inlet is not None:
                source.inlet.adapt()
        return [self._status(), *(self._source_status(source) for source in self._sources)]

    # --- topics

    def _topics(self) -> list[str]:
        """What is recorded, after remapping, each once."""
        names: list[str] = []
        if self.value(CONTENT) == "raw":
            names.append("image_raw/compressed" if self.value(COMPRESSED) else "image_raw")
            names += _SOUND
        elif self.value(CONTENT) == "features":
            names += _FEATURES
        if self.value(STATES):
            names.append("emotion_states")
        names += self.value(TOPICS).replace(",", " ").split()
        return list(dict.fromkeys(self.resolve_topic_name(name) for name in names))

    def _look(self) -> None:
        """Listen to what has come to be published since."""
        if self.failed:
            self.finished()
        missing = [source for source in self._sources if source.inlet is None]
        if not missing:
            return
        there = dict(self.get_topic_names_and_types())
        for source in missing:
            kinds = there.get(source.name, [])
            if kinds and self.count_publishers(source.name):
                self._listen(source, kinds)

    def _listen(self, source: _Source, kinds: Sequence[str]) -> None:
        source.kind = kinds[0]
        message = message_class(source.kind)
        if message is None:
            self._trouble.once(
                source.name, f"{source.name} is left out: {source.kind} is not installed here"
            )
            return
        if len(kinds) > 1:
            self._trouble.once(
                f"{source.name} types",
                f"{source.name} is published with several types; {source.kind} is recorded",
            )
        offers = [info.qos_profile for info in self.get_publishers_info_by_topic(source.name)]
        latched = all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
        source.offer = Offer(
            max([offer.depth for offer in offers], default=0) or Offer().depth,
            all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers),
            latched,
        )
        source.inlet = qos.Inlet(
            self,
            message,
            source.name,
            lambda data: self._take(source, data),
            depth=_DEPTH,
            raw=True,
        )
        source.inlet.adapt()

    # --- messages

    def _take(self, source: _Source, data: bytes) -> None:
        """The callback: no work here."""
        source.heard.add()
        item = _Heard(source.name, data, self.now_ns())
        worker = self._worker
        if worker is None:
            return
        if item.log_ns > 0:
            for earlier in self._timeless:
                worker.put(_Heard(earlier.topic, earlier.data, item.log_ns))
            self._timeless = []
            worker.put(item)
        elif source.offer.latched:
            # It is said once, perhaps before simulated time begins.
            self._timeless.append(item)
        else:
            self._trouble.once(
                "no clock",
                "use_sim_time is true, but nothing has come on /clock: what comes before that "
                "is left out",
            )

    def _write(self, item: _Heard) -> None:
        draft = self._draft
        if draft is None or self.failed:
            return
        if item.topic not in self._added:
            source = next(one for one in self._sources if one.name == item.topic)
            definition, digest = definition_of(source.kind)
            draft.add_topic(
                item.topic, source.kind, source.offer, definition=definition, digest=digest
            )
            self._added.add(item.topic)
        draft.write(item.topic, item.data, item.log_ns)

    def _failed(self, error: Exception) -> None:
        self._trouble.report(type(error).__name__, f"{error}; the recording ends here")
        self.failed = True

    def _drain(self, worker: Worker[_Heard]) -> None:
        limit = time.monotonic() + _DRAIN_S
        while len(worker) and time.monotonic() < limit:
            time.sleep(0.01)
        left = len(worker)
        worker.stop()
        if left:
            self.get_logger().error(f"the disk is too slow: {left} messages were not written")
        if worker.dropped:
            self.get_logger().warning(
                f"{worker.dropped} messages were left out: the disk did not keep up"
            )

    def _end(self, draft: BagDraft) -> None:
        try:
            if self.failed or not draft.count:
                draft.give_up()
            else:
                draft.close()
        except BagError as error:
            self.get_logger().error(str(error))
            return
        if not draft.count:
            self.get_logger().warning("nothing came, so there is no bag")
        else:
            place = draft.partial if self.failed else draft.path
            self.get_logger().info(f"{place}: {draft.count} messages")

    # --- diagnostics

    def _status(self) -> DiagnosticStatus:
        worker, draft = self._worker, self._draft
        values: dict[str, object] = {
            "bag": draft.partial if draft is not None else "",
            "content": self.value(CONTENT),
            "written": draft.count if draft is not None else 0,
            "dropped": worker.dropped if worker is not None else 0,
            "queue": len(worker) if worker is not None else 0,
            "last_error": self._trouble.last,
        }
        if self.failed:
            return health.status("bag", health.ERROR, self._trouble.last, values)
        if worker is not None and worker.dropped:
            message = "messages are left out: the disk does not keep up"
            return health.status("bag", health.WARN, message, values)
        return health.status("bag", health.OK, f"records {_SAYS[self.value(CONTENT)]}", values)

    def _source_status(self, source: _Source) -> DiagnosticStatus:
        values: dict[str, object] = {
            "type": source.kind,
            "received": source.heard.count,
            "rate_hz": f"{source.heard.rate_hz:.1f}",
            "lost_in_transport": source.inlet.lost if source.inlet is not None else 0,
        }
        quiet = source.heard.quiet_s > _QUIET_S and not source.offer.latched
        if quiet and source.name.rsplit("/", 1)[-1] not in _OPTIONAL:
            message = f"nothing comes on {source.name}, so nothing of it is recorded"
            return health.status(source.name, health.STALE, message, values)
        return health.status(source.name, health.OK, f"{source.name} is recorded", values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, with the command line's ROS arguments unless others are given."""
    made: list[BagRecorder] = []

    def make() -> BagRecorder:
        made.append(BagRecorder())
        return made[0]

    status = run(make, args)
    return 1 if any(node.failed for node in made) else status


if __name__ == "__main__":
    raise SystemExit(main())
