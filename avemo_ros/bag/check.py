"""Checks a bag: what it holds, what is wrong with it, and what evaluation can use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from avemo_ros.audio.spectrogram import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag.check_report import BagCheck, TopicCheck, Usable
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.messages import Decoder, differs_in
from avemo_ros.bag.reader import BagImage, Item, MarkRecord, Recording, StatesRecord
from avemo_ros.bag.storage import clock_set_back_text
from avemo_ros.bag.timing_statistics import (
    NOTHING_RECORDED,
    MouthAndSound,
    Offset,
    by_stamps,
    measure_timing,
    restarts_text,
)
from avemo_ros.bag.topics import FIELDS, NOT_USED, TopicKind, Topics, choose, is_fit
from avemo_ros.errors import BagError, ImageError
from avemo_ros.timing import NS_PER_S, to_s
from avemo_ros.vision.face import FrameTracks

_DEFINED_BY: Final = "jazzy"
"""The distro whose definitions are used where a bag holds none."""
_OFFSET_S: Final = 0.2
"""Images and sound may be this far apart without effect on windows of seconds."""
_FAR_S: Final = 5.0
"""Stamps further than this from the node's clock are left out by the live nodes, unless
`max_input_age_s` says otherwise."""
Look = Callable[[Recording], Offset]
"""Estimates by the mouth from the images and the sound of a recording."""
_RAW: Final = (TopicKind.IMAGES, TopicKind.AUDIO)
_FEATURES: Final = (TopicKind.TRACKS, TopicKind.SPECTROGRAM)


class Scan:
    """Collects, while a bag is read, what the check is made of."""

    def __init__(self) -> None:
        self.times: defaultdict[TopicKind, list[int]] = defaultdict(list)
        self.stamps: defaultdict[TopicKind, list[int]] = defaultdict(list)
        self.lengths: list[int] = []
        self.mouth = MouthAndSound()
        self._bad: Counter[str] = Counter()
        self._errors: dict[str, str] = {}

    def take(self, log_ns: int, item: Item) -> None:
        """The next item."""
        if isinstance(item, RobotSpeech):
            return
        kind = _kind_of(item)
        if isinstance(item, BagImage):
            self._look_at(item)
        elif isinstance(item, AudioBlock):
            self.lengths.append(len(item.samples) * NS_PER_S // item.rate)
        elif isinstance(item, FrameTracks):
            self.mouth.take_tracks(item)
        elif isinstance(item, SpectrogramChunk):
            self.mouth.take_chunk(item)
        self.times[kind].append(log_ns)
        self.stamps[kind].append(item.stamp_ns)

    def findings(self, kinds: Mapping[TopicKind, str]) -> list[str]:
        """Images that cannot be decoded."""
        return [
            f"{kinds[TopicKind.IMAGES]}: {count} image(s) cannot be used: {self._errors[kind]}"
            for kind, count in sorted(self._bad.items())
        ]

    def _look_at(self, image: BagImage) -> None:
        try:
            _ = image.image
        except ImageError as error:
            self._bad[error.kind] += 1
            self._errors.setdefault(error.kind, str(error))


def _kind_of(item: Item) -> TopicKind:
    if isinstance(item, BagImage):
        return TopicKind.IMAGES
    if isinstance(item, AudioBlock):
        return TopicKind.AUDIO
    if isinstance(item, FrameTracks):
        return TopicKind.TRACKS
    if isinstance(item, SpectrogramChunk):
        return TopicKind.SPECTROGRAM
    if isinstance(item, MarkRecord):
        return TopicKind.MARKS
    return TopicKind.STATES if isinstance(item, StatesRecord) else TopicKind.LABELS


def timing_findings(topics: Sequence[TopicCheck]) -> list[str]:
    """Gaps, late and repeated stamps, jumps of clocks."""
    found = []
    for one in topics:
        if one.timing.delay_s is None:
            continue
        measured = one.timing
        if measured.gaps and one.use == TopicKind.AUDIO.value:
            found.append(
                f"{one.topic}: {measured.lost_s:.2f} s of audio are missing in "
                f"{measured.gaps} place(s)"
            )
        elif measured.gaps and one.use != TopicKind.STATES.value:
            found.append(f"{one.topic}: {measured.gaps} gap(s), {measured.lost_s:.2f} s in all")
        if measured.late:
            found.append(
                f"{one.topic}: {measured.late} message(s) have a stamp that is not later than "
                "the one before; the live nodes ignore them"
            )
        if measured.restarts:
            found.append(f"{one.topic}: {restarts_text(measured.restarts)}")
        if measured.jumps:
            found.append(
                f"{one.topic}: stamps and recording times jump against each other "
                f"{measured.jumps} time(s): a clock was set, or messages were delayed"
            )
        if abs(one.timing.delay_s) > _FAR_S:
            found.append(
                f"{one.topic}: stamps differ from the recording times by "
                f"{measured.delay_s:.1f} s; the live nodes ignore such input unless "
                "max_input_age_s is 0"
            )
    return found


def definition_findings(topics: Sequence[TopicCheck], distro: str) -> list[str]:
    """Types that cannot be read, or may be read by a wrong definition.

    Args:
        topics: of the bag.
        distro: of ROS, that the bag says it was recorded with; empty if it does not say.
    """
    found = [one.unreadable for one in topics if one.unreadable]
    ours = [
        one.topic
        for one in topics
        if one.use and one.definition == "package" and differs_in(distro, one.type)
    ]
    if ours:
        by = f"ROS {distro}" if distro else "an unknown ROS version"
        found.append(
            f"the bag was recorded with {by} and contains no message definitions: "
            f"{', '.join(ours)} are read with the definitions of ROS {_DEFINED_BY}, which may "
            "differ"
        )
    return found


def offset_findings(estimates: Sequence[Offset]) -> list[str]:
    """Images and sound that are too far apart."""
    found = []
    for one in estimates:
        if one.seconds is not None and abs(one.seconds) > _OFFSET_S:
            where = "ahead of" if one.seconds > 0 else "behind"
            found.append(f"images are {abs(one.seconds):.2f} s {where} the audio, by {one.how}")
    return found


def check(path: str | Path, topics: Topics | None = None, look: Look | None = None) -> BagCheck:
    """Read a bag from end to end.

    Args:
        path: a bag's folder, or one file of it.
        topics: which topic is which.
        look: asked for the estimate by the mouth where there are images and sound; None: it
            is made of recorded face tracks and spectrogram alone.

    Raises:
        BagError: nothing of it can be read.
    """
    findings: list[str] = []
    bag = Bag(path)
    try:
        chosen = _choose(bag, topics or Topics(), findings)
        kinds: dict[TopicKind, str] = {}
        beside: Mapping[str, str] = {}
        looked = Scan()
        seen: Offset | None = None
        turned_back = 0
        try:
            with Recording(path, chosen) as recording:
                kinds = dict(recording.topic_of)
                beside = recording.beside_sound
                for log_ns, item in recording.items(recording.kinds):
                    looked.take(log_ns, item)
                findings += recording.problems
                turned_back = recording.turned_back
                if look is not None and kinds.keys() >= set(_RAW):
                    seen = look(recording)
        except BagError as error:
            # It may tell of the bag's problems itself.
            findings += [text for text in bag.problems if text not in str(error)]
            findings.append(str(error))
        checked = _topics(bag, kinds, beside, looked)
        findings += looked.findings(kinds)
        findings += definition_findings(checked, bag.distro)
        findings += timing_findings(checked)
        turned_back = max(turned_back, bag.turned_back)
        if turned_back:
            findings.append(clock_set_back_text(turned_back))
        if kinds and not _whole(kinds):
            findings.append(f"evaluation can use only {_only(kinds)}")
        stamped = _by_stamps(checked, turned_back=turned_back)
        mouth = _by_mouth(checked, looked, seen)
        findings += offset_findings([stamped, mouth])
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
            offset_by_stamps=stamped,
            offset_by_mouth=mouth,
            findings=tuple(dict.fromkeys(findings)),
        )
    finally:
        bag.close()


def _choose(bag: Bag, topics: Topics, findings: list[str]) -> Topics:
    """The topics without ambiguous ones, which become findings."""
    for name in FIELDS:
        try:
            choose(name, topics, bag.channels)
        except BagError as error:
            findings.append(str(error))
            left_out: dict[str, Any] = {name: NOT_USED}
            topics = replace(topics, **left_out)
    return topics


def _topics(
    bag: Bag, kinds: dict[TopicKind, str], beside: Mapping[str, str], looked: Scan
) -> tuple[TopicCheck, ...]:
    used = {topic: kind for kind, topic in kinds.items()}
    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    others = [channel for channel in bag.channels if channel.topic not in used]
    for key, log_ns in bag.times(others):
        times[key].append(log_ns)
    decoder = Decoder(bag.channels)
    found = []
    for channel in bag.channels:
        kind = used.get(channel.topic)
        if kind is None:
            came = sorted(times[channel.key])
            measured = measure_timing(came)
        elif kind in (TopicKind.LABELS, TopicKind.MARKS):
            came = looked.times[kind]
            measured = measure_timing(came)
        else:
            came = looked.times[kind]
            measured = measure_timing(
                came,
                looked.stamps[kind],
                looked.lengths if kind is TopicKind.AUDIO else None,
            )
        unreadable = ""
        try:
            # What nobody reads may be defined as it likes.
            if kind is not None or is_fit(channel) or not channel.definition:
                decoder.prepare(channel)
            definition = "bag" if channel.definition else decoder.defined_by(channel)
        except BagError as error:
            definition = "missing"
            unreadable = str(error)
        found.append(
            TopicCheck(
                channel.topic,
                channel.type,
                beside.get(channel.topic, "") if kind is None else kind.value,
                definition,
                replace(measured, count=max(measured.count, channel.count)),
                to_s(came[0] - bag.start_ns) if came else None,
                unreadable,
            )
        )
    return tuple(found)


def _by_stamps(topics: Sequence[TopicCheck], *, turned_back: int) -> Offset:
    """A single delay means nothing if the two clocks of a topic jumped."""
    images, sound = (_used_as(kind, topics) for kind in _RAW)
    if images is None or sound is None:
        return by_stamps(None, None)
    moved = [one for one in (images, sound) if one.timing.restarts or one.timing.jumps]
    if moved:
        names = " and ".join(one.topic for one in moved)
        return Offset(
            None,
            f"unknown: stamps and recording times of {names} jump against each other",
        )
    if turned_back:
        return Offset(None, "unknown: the recorder's clock was set back")
    return by_stamps(images.timing.delay_s, sound.timing.delay_s)


def _by_mouth(topics: Sequence[TopicCheck], looked: Scan, seen: Offset | None) -> Offset:
    """Needs stamps of one clock throughout; times of recording do not matter."""
    offset = looked.mouth.offset() if seen is None else seen
    raw = [_used_as(kind, topics) for kind in _RAW]
    could_look = seen is None and offset.how == NOTHING_RECORDED and all(raw)
    used = raw if seen or could_look else [_used_as(kind, topics) for kind in _FEATURES]
    leapt = [one.topic for one in used if one and (one.timing.restarts or one.timing.leaps)]
    if leapt:
        names = " and ".join(leapt)
        return Offset(None, f"unknown: the clock that stamps {names} was set")
    if could_look:
        return Offset(None, f"{offset.how}; --look computes them from the images and the audio")
    return offset


def _used_as(kind: TopicKind, topics: Sequence[TopicCheck]) -> TopicCheck | None:
    return next((one for one in topics if one.use == kind.value), None)


def _usable(kinds: dict[TopicKind, str]) -> Usable:
    return Usable(
        raw=_pair(kinds, TopicKind.IMAGES, TopicKind.AUDIO),
        features=_pair(kinds, TopicKind.TRACKS, TopicKind.SPECTROGRAM),
        states=kinds.get(TopicKind.STATES, ""),
        labels=kinds.get(TopicKind.LABELS, ""),
    )


def _pair(kinds: dict[TopicKind, str], first: TopicKind, second: TopicKind) -> str:
    there = [f"{kind.text} ({kinds[kind]})" for kind in (first, second) if kind in kinds]
    if len(there) == 1:
        lacking = second if first in kinds else first
        return f"{there[0]}, but no {lacking.text}"
    return " and ".join(there)


def _whole(kinds: dict[TopicKind, str]) -> bool:
    """There are face and voice in one form, or states."""
    pairs = (
        {TopicKind.IMAGES, TopicKind.AUDIO},
        {TopicKind.TRACKS, TopicKind.SPECTROGRAM},
        {TopicKind.STATES},
    )
    mixed = ({TopicKind.IMAGES, TopicKind.SPECTROGRAM}, {TopicKind.TRACKS, TopicKind.AUDIO})
    return any(pair <= kinds.keys() for pair in (*pairs, *mixed))


def _only(kinds: dict[TopicKind, str]) -> str:
    return " and ".join(sorted(kind.text for kind in kinds))
