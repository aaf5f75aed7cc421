"""Records topics to a bag, as serialised: raw images and audio, or features only."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus

from avemo_ros.bag.messages import COMPRESSED_IMAGE, IMAGE, definition_of
from avemo_ros.bag.partial_bag import PartialBag
from avemo_ros.bag.recording_size import (
    LEAST_S,
    ImagePacker,
    forecast,
    free_bytes,
    held_bytes,
    lasts_s,
    measured,
)
from avemo_ros.errors import BagError, ConfigError, ImageError
from avemo_ros.nodes import diagnostics
from avemo_ros.nodes.base_node import ManagedNode, run
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import Worker
from avemo_ros.nodes.recorded_topics import (
    RecordedTopic,
    RecordSettings,
    further_of,
    personal_data_text,
    topics_of,
)
from avemo_ros.timing import to_s

_LOOK_S: Final = 0.2
"""How often publishers are looked for."""
_DRAIN_S: Final = 30.0
"""What waits at the end may take so long to be written."""
_CLOCK_S: Final = 10.0
"""Who publishes /clock may start later than the recorder."""
_MEASURE_S: Final = 10.0
"""After so long the rate of the disk is told [s]."""
_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True)
class _Received:
    """A message that waits for the disk."""

    topic: str
    data: bytes
    log_ns: int


class BagRecorder(ManagedNode):
    """Records topics with whatever type they have; never holds them up.

    Messages are logged by the node's clock.  The bag has its name when the node is deactivated
    or ends; until then, and if the process is killed, it is `<out>.partial`.
    """

    def __init__(self) -> None:
        super().__init__("bag_recorder", [RecordSettings])
        self._trouble = ThrottledLog(self.get_logger(), "recording")
        self._sources: list[RecordedTopic] = []
        self._bag: PartialBag | None = None
        self._worker: Worker[_Received] | None = None
        self._timer: Any = None
        self._added: set[str] = set()
        self._packer: ImagePacker | None = None
        self._is_measured = False
        self._words = ""
        self._opened_s = 0.0
        self._began_s: float | None = None
        self._early: list[_Received] = []
        self._too_early = 0

    @property
    def _given(self) -> RecordSettings:
        return self.read(RecordSettings)

    def prepare(self) -> None:
        """Look at the parameters."""
        if not self._given.record_out:
            raise ConfigError("record_out", "", "path of a bag that does not exist yet")
        if not topics_of(self):
            raise ConfigError("record_topics", "", "names of topics, or content and states")
        folder = Path(self._given.record_out).expanduser().absolute().parent
        if not folder.is_dir():
            raise BagError(
                f"cannot write {self._given.record_out}: there is no folder {folder}"
            )

    def open(self) -> None:
        """Make the bag's folder, say what will be recorded, and listen."""
        self._added, self._early, self._too_early, self.failed = set(), [], 0, False
        self._words, self._is_measured = "", False
        self._opened_s, self._began_s = time.monotonic(), None
        self._bag = PartialBag(
            Path(self._given.record_out).expanduser(),
            self._given.record_storage,
            self._given.record_compression,
            split_s=self._given.record_split_s,
        )
        topics = topics_of(self)
        quality = int(self._given.record_jpeg_quality)
        packs = quality and self._given.record_content == "raw"
        self._packer = ImagePacker(quality) if packs else None
        self._sources = [RecordedTopic(name, wanted) for name, wanted in topics.items()]
        # Only now: a folder that cannot be made would belie it.
        self._say_content()
        self.get_logger().info(f"recording {', '.join(topics)} to {self._given.record_out}")
        self.get_logger().info(forecast(free_bytes(self._bag.partial), self._form()))
        limit = self._given.record_queue_mb * _MEGABYTE
        self._worker = Worker(
            "recorder",
            self._write,
            self._failed,
            limit=limit,
            weigh=lambda item: len(item.data),
        )
        self._worker.start()
        for source in self._sources:
            source.listen(self, functools.partial(self._take, source))
        self._timer = self.create_timer(_LOOK_S, self._look, clock=self.steady)
        self._look()

    def close(self) -> None:
        """Write what waits, and end the bag."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for source in self._sources:
            source.close()
        if self._worker is not None:
            self._drain(self._worker)
            self._worker = None
        if self._bag is not None:
            self._end(self._bag)
            self._bag = None

    def report(self) -> list[DiagnosticStatus]:
        """For /diagnostics."""
        for source in self._sources:
            source.adapt()
        now_s = self._seconds()
        if self._began_s is None:
            self._began_s = now_s
        statuses = (source.status(self._began_s, now_s) for source in self._sources)
        return [self._status(), *statuses]

    # --- messages

    def _look(self) -> None:
        """Listen to what has come to be published since."""
        if self.failed:
            self.finished()
        for source in self._sources:
            source.look(self, self._trouble, functools.partial(self._take, source))
        self._say_content()
        self._say_space()
        if self._began_s is None:
            self._began_s = self._seconds()
        if self._began_s is None and time.monotonic() - self._opened_s > _CLOCK_S:
            self._trouble.once(
                "no clock",
                "use_sim_time is true, but nothing has arrived on /clock; recording starts "
                "when it does",
            )

    def _content(self) -> str:
        """What of people is in the bag, as far as types are known."""
        return personal_data_text(
            {source.name: source.kind for source in self._sources}, further_of(self)
        )

    def _say_content(self) -> None:
        """Say what is recorded, and again when the type of a topic tells more."""
        words = self._content()
        if words != self._words:
            self.get_logger().info(f"records {words}")
        self._words = words

    def _form(self) -> str:
        """Of the images, as `recording_size` calls it."""
        content = self._given.record_content
        if content != "raw":
            return "features" if content == "features" else ""
        return "jpeg" if self._packer is not None or self._given.record_compressed else "raw"

    def _say_space(self) -> None:
        """How long the disk lasts, once some seconds were written."""
        passed_s = time.monotonic() - self._opened_s
        if self._is_measured or self._bag is None or passed_s < _MEASURE_S:
            return
        self._is_measured = True
        rate = held_bytes(self._bag.partial) / passed_s
        free = free_bytes(self._bag.partial)
        text = measured(free, rate)
        if lasts_s(free, rate) < LEAST_S:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _seconds(self) -> float | None:
        """Time by which the recording goes [s]; None while use_sim_time waits for /clock.

        Where a bag is played nothing is missing while its clock stands still.
        """
        if not self.get_clock().ros_time_is_active:
            return time.monotonic()
        now_ns = self.now_ns()
        return to_s(now_ns) if now_ns > 0 else None

    def _take(self, source: RecordedTopic, data: bytes) -> None:
        """The callback: no work here."""
        source.came(self._seconds())
        if not source.there:
            # The bag notes with the first message how its topic is published.
            source.look(self, self._trouble, functools.partial(self._take, source))
        item = _Received(source.name, data, self.now_ns())
        worker = self._worker
        if worker is None:
            return
        complaint = source.complaint(data, item.log_ns)
        if complaint:
            self.get_logger().warning(f"{source.name}: {complaint}")
        if item.log_ns > 0:
            self._put_early(worker, item.log_ns)
            worker.put(item)
        elif source.offer.latched:
            # It is logged once, perhaps before simulated time begins.
            self._early.append(item)
        else:
            self._too_early += 1

    def _put_early(self, worker: Worker[_Received], log_ns: int) -> None:
        """What came before simulated time began is logged at its begin, or was left out."""
        for earlier in self._early:
            worker.put(_Received(earlier.topic, earlier.data, log_ns))
        self._early = []
        if self._too_early:
            self.get_logger().info(
                "not recorded, because they arrived before the first message on /clock: "
                f"{self._too_early}"
            )
            self._too_early = 0

    def _write(self, item: _Received) -> None:
        bag = self._bag
        if bag is None or self.failed:
            return
        source = next(one for one in self._sources if one.name == item.topic)
        topic, kind, data = item.topic, source.kind, item.data
        if self._packer is not None and kind == IMAGE:
            topic, kind = f"{topic}/compressed", COMPRESSED_IMAGE
            try:
                data = self._packer.pack(data)
            except ImageError as error:
                self._trouble.report(error.kind, f"{item.topic}: image not recorded: {error}")
                return
        if topic not in self._added:
            definition, digest = definition_of(kind)
            bag.add_topic(topic, kind, source.offer, definition=definition, digest=digest)
            self._added.add(topic)
        bag.write(topic, data, item.log_ns)

    def _failed(self, error: Exception) -> None:
        self._trouble.report(type(error).__name__, f"{error}; recording stopped")
        self.failed = True

    def _drain(self, worker: Worker[_Received]) -> None:
        limit = time.monotonic() + _DRAIN_S
        while len(worker) and time.monotonic() < limit:
            time.sleep(0.01)
        left = len(worker)
        worker.stop()
        if left:
            self.get_logger().error(f"the disk is too slow: {left} messages were not written")
        if worker.dropped:
            self.get_logger().warning(
                f"{worker.dropped} messages were not recorded: the disk is too slow"
            )

    def _end(self, bag: PartialBag) -> None:
        try:
            if self.failed or not bag.count:
                bag.give_up()
            else:
                bag.close()
        except BagError as error:
            self.failed = True
            self.get_logger().error(str(error))
            return
        if not bag.count:
            self.failed = True
            clockless = self._early or self._too_early
            where = " on /clock" if clockless else ""
            self.get_logger().warning(f"nothing arrived{where}, so no bag was written")
        else:
            place = bag.partial if self.failed else bag.path
            self.get_logger().info(f"{place}: {bag.count} messages")
            self._say_missing()

    def _say_missing(self) -> None:
        """What was logged while it was recorded has scrolled away."""
        missing = [source for source in self._sources if source.missing()]
        advice = "".join(f"; {source.advice()}" for source in missing if source.advice())
        if missing:
            names = ", ".join(source.name for source in missing)
            self.get_logger().warning(
                f"nothing arrived on {names}, so it is missing from the bag{advice}"
            )

    # --- diagnostics

    def _status(self) -> DiagnosticStatus:
        worker, bag = self._worker, self._bag
        values: dict[str, object] = {
            "bag": bag.partial if bag is not None else "",
            "content": self._given.record_content,
            "written": bag.count if bag is not None else 0,
            "dropped": worker.dropped if worker is not None else 0,
            "queue": len(worker) if worker is not None else 0,
            "last_error": self._trouble.last,
        }
        if self.failed:
            return diagnostics.status("bag", diagnostics.ERROR, self._trouble.last, values)
        if worker is not None and worker.dropped:
            message = "messages are not recorded: the disk is too slow"
            return diagnostics.status("bag", diagnostics.WARN, message, values)
        return diagnostics.status("bag", diagnostics.OK, f"records {self._content()}", values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node, with the command line's ROS arguments unless others are given."""
    return run(BagRecorder, args)


if __name__ == "__main__":
    raise SystemExit(main())
