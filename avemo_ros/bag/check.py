"""What a bag holds, how good it is, and what can be used of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from avemo_ros.bag.check_findings import of_definitions, of_offsets, of_rhythms
from avemo_ros.bag.checked import BagCheck, TopicCheck, Usable
from avemo_ros.bag.decoder import Decoder
from avemo_ros.bag.folder import Bag
from avemo_ros.bag.looked import Looked
from avemo_ros.bag.offset import NOTHING_RECORDED, Offset, by_stamps
from avemo_ros.bag.recording import Recording
from avemo_ros.bag.rhythm import rhythm
from avemo_ros.bag.topics import FIELDS, NOT_USED, Kind, Topics, choose
from avemo_ros.bag.written import set_back
from avemo_ros.clock import to_s
from avemo_ros.errors import BagError

Look = Callable[[Recording], Offset]
"""Estimates by the mouth from the pictures and the sound of a recording."""
_RAW: Final = (Kind.PICTURES, Kind.SOUND)
_FEATURES: Final = (Kind.TRACKS, Kind.SPECTROGRAM)


def check(path: str | Path, topics: Topics | None = None, look: Look | None = None) -> BagCheck:
    """Read a bag from end to end.

    Args:
        path: a bag's folder, or one file of it.
        topics: which topic is which.
        look: asked for the estimate by the mouth where there are pictures and sound; None: it
            is made of recorded face tracks and spectrogram alone.

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
        findings += of_definitions(checked, bag.distro)
        findings += of_rhythms(checked)
        turned_back = max(turned_back, bag.turned_back)
        if turned_back:
            findings.append(set_back(turned_back))
        if kinds and not _whole(kinds):
            findings.append(f"evaluation has only {_only(kinds)}")
        stamped = _by_stamps(checked, turned_back=turned_back)
        mouth = _by_mouth(checked, looked, seen)
        findings += of_offsets([stamped, mouth])
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
        unreadable = ""
        try:
            decoder.prepare(channel)
            definition = "bag" if channel.definition else "package"
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
    """One delay is no measure of a topic whose clocks moved against each other."""
    pictures, sound = (_used_as(kind, topics) for kind in _RAW)
    if pictures is None or sound is None:
        return by_stamps(None, None)
    moved = [one for one in (pictures, sound) if one.rhythm.restarts or one.rhythm.jumps]
    if moved:
        names = " and ".join(one.topic for one in moved)
        return Offset(
            None,
            f"cannot be told: stamps and times of recording of {names} jump against each other",
        )
    if turned_back:
        return Offset(None, "cannot be told: the recorder's clock was set back")
    return by_stamps(pictures.rhythm.delay_s, sound.rhythm.delay_s)


def _by_mouth(topics: Sequence[TopicCheck], looked: Looked, seen: Offset | None) -> Offset:
    """The time of recording does not matter; the stamps must be of one clock throughout."""
    offset = looked.mouth.offset() if seen is None else seen
    raw = [_used_as(kind, topics) for kind in _RAW]
    could_look = seen is None and offset.how == NOTHING_RECORDED and all(raw)
    used = raw if seen or could_look else [_used_as(kind, topics) for kind in _FEATURES]
    leapt = [one.topic for one in used if one and (one.rhythm.restarts or one.rhythm.leaps)]
    if leapt:
        names = " and ".join(leapt)
        return Offset(None, f"cannot be told: the clock that stamps {names} was set")
    if could_look:
        return Offset(None, f"{offset.how}; --look makes them of the pictures and the sound")
    return offset


def _used_as(kind: Kind, topics: Sequence[TopicCheck]) -> TopicCheck | None:
    return next((one for one in topics if one.use == kind.value), None)


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
