"""What a bag holds, how good it is, and what can be used of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from avemo_ros.bag.decoder import Decoder
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.looked import Looked
from avemo_ros.bag.offset import Offset, by_stamps
from avemo_ros.bag.recording import Recording
from avemo_ros.bag.rhythm import Rhythm, rhythm
from avemo_ros.bag.topics import FIELDS, NOT_USED, Kind, Topics, choose
from avemo_ros.clock import to_s
from avemo_ros.errors import BagError

_FAR_S: Final = 5.0
"""Stamps further than this from the node's clock are left out by the live nodes, unless
`max_input_age_s` says otherwise."""
_OFFSET_S: Final = 0.2
"""Sound and pictures may be this far apart before windows of seconds feel it."""
_INPUTS: Final = (
    frozenset({Kind.PICTURES.value, Kind.SOUND.value}),
    frozenset({Kind.TRACKS.value, Kind.SPECTROGRAM.value}),
    frozenset({Kind.STATES.value}),
)
"""What evaluation takes: the first of these that is there."""


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """One topic."""

    topic: str
    type: str
    use: str
    """What it is to us, as in `Kind`, 'audio info' or 'robot speaking'; empty: nothing."""
    definition: str
    """Where the type's definition is from: 'bag', 'package', or 'missing'."""
    rhythm: Rhythm
    begins_s: float | None = None
    """Time of recording of its first message, from the bag's first [s]; None without one."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What evaluation can use, each a sentence; the empty ones it cannot."""

    raw: str
    features: str
    states: str
    labels: str


@dataclass(frozen=True, slots=True)
class BagCheck:
    """What was found."""

    path: Path
    storage: str
    compression: str
    distro: str
    files: int
    start_ns: int
    end_ns: int
    cut_off: bool
    topics: tuple[TopicCheck, ...]
    usable: Usable
    offset_by_stamps: Offset
    offset_by_mouth: Offset
    findings: tuple[str, ...] = field(default=())
    """What is wrong or odd, each a sentence."""

    @property
    def duration_s(self) -> float:
        """From the first to the last message [s]."""
        return to_s(self.end_ns - self.start_ns)

    @property
    def first_input_s(self) -> float | None:
        """When the first of what evaluation takes was recorded, in seconds as labels count
        them; None where it can take nothing."""
        for kinds in _INPUTS:
            begins = [
                one.begins_s
                for one in self.topics
                if one.use in kinds and one.begins_s is not None
            ]
            if begins:
                return min(begins)
        return None

    @property
    def clean(self) -> bool:
        """It can be evaluated, and there is nothing to say against it."""
        return not self.findings


def check(path: str | Path, topics: Topics | None = None) -> BagCheck:
    """Read a bag from end to end.

    Args:
        path: a bag's folder, or one file of it.
        topics: which topic is which.

    Raises:
        BagError: nothing of it can be read.
    """
    findings: list[str] = []
    bag = Bag(path)
    try:
        chosen = _choose(bag, topics or Topics(), findings)
        kinds: dict[Kind, str] = {}
        beside: Mapping[str, str] = {}
        looked = Looked()
        try:
            with Recording(path, chosen) as recording:
                kinds = dict(recording.topic_of)
                beside = recording.beside_sound
                for log_ns, item in recording.items(recording.kinds):
                    looked.take(log_ns, item)
                findings += recording.problems
        except BagError as error:
            # It may tell of the bag's problems itself.
            findings += [text for text in bag.problems if text not in str(error)]
            findings.append(str(error))
        checked = _topics(bag, kinds, beside, looked)
        findings += looked.findings(kinds)
        findings += _rhythms(checked)
        if bag.turned_back:
            findings.append(
                f"the recorder's clock was set back {bag.turned_back} time(s) by more than a "
                "second; messages are taken by their times"
            )
        if kinds and not _whole(kinds):
            findings.append(f"evaluation has only {_only(kinds)}")
        offset, mouth = _offsets(checked, looked)
        for estimate in (offset, mouth):
            if estimate.seconds is not None and abs(estimate.seconds) > _OFFSET_S:
                where = "ahead of" if estimate.seconds > 0 else "behind"
                findings.append(
                    f"pictures are {abs(estimate.seconds):.2f} s {where} the sound, by "
                    f"{estimate.how}"
                )
        return BagCheck(
            path=bag.path,
            storage=bag.storage,
            compression=bag.compression,
            distro=bag.distro,
            files=len(bag.files),
            start_ns=bag.start_ns,
            end_ns=bag.end_ns,
            cut_off=bag.cut_off,
            topics=checked,
            usable=_usable(kinds),
            offset_by_stamps=offset,
            offset_by_mouth=mouth,
            findings=tuple(dict.fromkeys(findings)),
        )
    finally:
        bag.close()


def _choose(bag: Bag, topics: Topics, findings: list[str]) -> Topics:
    """Without the choices that cannot be made, which are said."""
    for name in FIELDS:
        try:
            choose(name, topics, bag.channels)
        except BagError as error:
            findings.append(str(error))
            left_out: dict[str, Any] = {name: NOT_USED}
            topics = replace(topics, **left_out)
    return topics


def _topics(
    bag: Bag, kinds: dict[Kind, str], beside: Mapping[str, str], looked: Looked
) -> tuple[TopicCheck, ...]:
    used = {topic: kind for kind, topic in kinds.items()}
    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    others = [channel for channel in bag.channels if channel.topic not in used]
    for raw in bag.messages(others):
        times[raw.key].append(raw.log_ns)
    decoder = Decoder(bag.channels)
    found = []
    for channel in bag.channels:
        kind = used.get(channel.topic)
        if kind is None:
            came = times[channel.key]
            measured = rhythm(came)
        elif kind is Kind.LABELS:
            came = looked.times[kind]
            measured = rhythm(came)
        else:
            came = looked.times[kind]
            measured = rhythm(
                came,
                looked.stamps[kind],
                looked.lengths if kind is Kind.SOUND else None,
            )
        try:
            decoder.prepare(channel)
            definition = "bag" if channel.definition else "package"
        except BagError:
            definition = "missing"
        found.append(
            TopicCheck(
                channel.topic,
                channel.type,
                beside.get(channel.topic, "") if kind is None else kind.value,
                definition,
                replace(measured, count=max(measured.count, channel.count)),
                to_s(came[0] - bag.start_ns) if came else None,
            )
        )
    return tuple(found)


def _rhythms(topics: Sequence[TopicCheck]) -> list[str]:
    found = []
    for one in topics:
        if one.rhythm.delay_s is None:
            continue
        measured = one.rhythm
        if measured.gaps and one.use == Kind.SOUND.value:
            found.append(
                f"{one.topic}: {measured.lost_s:.2f} s of sound are missing in "
                f"{measured.gaps} place(s)"
            )
        elif measured.gaps and one.use != Kind.STATES.value:
            found.append(f"{one.topic}: {measured.gaps} gap(s), {measured.lost_s:.2f} s in all")
        if measured.late:
            found.append(
                f"{one.topic}: the stamps of {measured.late} message(s) are not later than the "
                "one before; the live nodes leave them out"
            )
        if measured.restarts:
            found.append(
                f"{one.topic}: time starts anew {measured.restarts} time(s) (stamps go back by "
                "more than a second)"
            )
        if measured.jumps:
            found.append(
                f"{one.topic}: stamps and times of recording jump against each other "
                f"{measured.jumps} time(s): a clock was set, or messages were held up"
            )
        if abs(one.rhythm.delay_s) > _FAR_S:
            found.append(
                f"{one.topic}: stamps are {measured.delay_s:.1f} s from the times of "
                "recording; the live nodes leave such input out unless max_input_age_s is 0"
            )
    return found


def _offsets(topics: Sequence[TopicCheck], looked: Looked) -> tuple[Offset, Offset]:
    delays = {one.use: one.rhythm.delay_s for one in topics if one.use}
    stamped = by_stamps(delays.get(Kind.PICTURES.value), delays.get(Kind.SOUND.value))
    return stamped, looked.mouth.offset()


def _usable(kinds: dict[Kind, str]) -> Usable:
    return Usable(
        raw=_pair(kinds, Kind.PICTURES, Kind.SOUND),
        features=_pair(kinds, Kind.TRACKS, Kind.SPECTROGRAM),
        states=kinds.get(Kind.STATES, ""),
        labels=kinds.get(Kind.LABELS, ""),
    )


def _pair(kinds: dict[Kind, str], first: Kind, second: Kind) -> str:
    there = [f"{kind.value} ({kinds[kind]})" for kind in (first, second) if kind in kinds]
    if len(there) == 1:
        lacking = second if first in kinds else first
        return f"{there[0]}, but no {lacking.value}"
    return " and ".join(there)


def _whole(kinds: dict[Kind, str]) -> bool:
    """There are face and voice in one form, or states."""
    pairs = ({Kind.PICTURES, Kind.SOUND}, {Kind.TRACKS, Kind.SPECTROGRAM}, {Kind.STATES})
    mixed = ({Kind.PICTURES, Kind.SPECTROGRAM}, {Kind.TRACKS, Kind.SOUND})
    return any(pair <= kinds.keys() for pair in (*pairs, *mixed))


def _only(kinds: dict[Kind, str]) -> str:
    return " and ".join(sorted(kind.value for kind in kinds))
