"""Labelled bags as a data set: each labelled segment of one person is an item.

A bag is read by the time from its beginning, as a media file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import find_labels, labels_of, merge_files, read_labels
from avemo_ros.annotations.segments import Segment, majority_vote
from avemo_ros.audio.spectrogram import AudioBlock, RobotSpeech, SpectrogramChunk
from avemo_ros.bag import METADATA, SUFFIXES
from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.config import InputConfig
from avemo_ros.data.corpus_files import files_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder
from avemo_ros.engine.audio_stage import AudioGate
from avemo_ros.engine.feature_extractor import FeatureGate, InputIssues
from avemo_ros.errors import BagError, LabelError
from avemo_ros.labels import EMOTIONS
from avemo_ros.timing import StampFilter, to_ns, to_s
from avemo_ros.vision.face import FrameTracks

_LEAP_NS: Final = to_ns(1.0)
"""Images further apart may be those of a clock that was set."""


def kinds_of(recording: Recording, *, faces: bool, voice: bool) -> frozenset[TopicKind]:
    """What is read of a bag: images and sound where they are there, else what was made of
    them."""
    wanted = set()
    for asked, raw, derived in (
        (faces, TopicKind.IMAGES, TopicKind.TRACKS),
        (voice, TopicKind.AUDIO, TopicKind.SPECTROGRAM),
    ):
        if asked:
            wanted |= {raw if raw in recording.kinds else derived} & recording.kinds
    return frozenset(wanted)


def bag_pieces(
    path: Path, *, faces: bool, voice: bool
) -> Iterator[BagImage | FrameTracks | AudioBlock | SpectrogramChunk]:
    """What was recorded, in the order of recording; stamps count from the first message.

    Everything is admitted by its stamps as in the live path, of whatever age, and sound is
    silent where the robot spoke.  Images that start over before the newest are left out.

    Args:
        path: a bag's folder, its metadata.yaml, or a single file.
        faces: images are wanted, or face tracks where none were recorded.
        voice: sound is wanted, or the spectrogram where none was recorded.

    Raises:
        BagError: nothing of it can be read.
    """
    inputs = InputConfig(max_input_age_s=0.0)
    findings = InputIssues()
    images = StampFilter("images", "image_stamps", 0.0, "header", findings.of("images"))
    features = FeatureGate(inputs, findings.of("face tracks"), findings.of("spectrogram"))
    sound = AudioGate(inputs, findings.of("sound"))
    newest_ns, before_leap_ns = -1, -1
    with Recording(path) as recording:
        kinds = kinds_of(recording, faces=faces, voice=voice)
        for log_ns, item in recording.items(kinds):
            piece: BagImage | FrameTracks | AudioBlock | SpectrogramChunk | None = None
            if isinstance(item, RobotSpeech):
                sound.mute.set_speaking(log_ns, speaking=item.speaking)
            elif isinstance(item, AudioBlock):
                piece = sound.admit(item, log_ns)
            elif isinstance(item, SpectrogramChunk):
                piece = features.chunk(item, log_ns)
            elif isinstance(item, FrameTracks):
                piece = features.tracks(item, log_ns)
            elif isinstance(item, BagImage):
                admission = images.admit(item.stamp_ns, log_ns)
                piece = replace(item, stamp_ns=admission.stamp_ns) if admission.usable else None
            if piece is None:
                continue
            if isinstance(piece, (BagImage, FrameTracks)):
                if before_leap_ns < piece.stamp_ns < newest_ns - _LEAP_NS:
                    newest_ns = before_leap_ns  # the clock that had leapt ahead has come back
                if piece.stamp_ns <= newest_ns:
                    continue
                if piece.stamp_ns > newest_ns + _LEAP_NS:
                    before_leap_ns = newest_ns
                newest_ns = piece.stamp_ns
            yield replace(piece, stamp_ns=piece.stamp_ns - recording.start_ns)


OTHERS: Final = (
    "afew",
    "clips",
    "cremad",
    "emodb",
    "enterface",
    "fer2013",
    "iemocap",
    "nemo",
    "ravdess",
    "savee",
    "urdu",
)
"""Data sets whose subjects keep their names: `avemo bag from-clips` writes them as persons, and
who trains on both must not find one person in training and test."""


def read(root: Path) -> Listing:
    """The labelled stretches of all bags below a folder.

    Args:
        root: the folder, or one bag.

    Raises:
        DataError: a folder cannot be read.
    """
    found = ListingBuilder("bags")
    for bag in bags_below(root):
        try:
            _take_bag(found, root, bag)
        except LabelError as error:
            found.leave_out(bag, str(error))
        except BagError as error:
            found.leave_out(bag, str(error))
            _lose(found, root, bag)
    return found.listing()


def bags_below(root: Path) -> Iterator[Path]:
    """Each bag once, by its path: the metadata.yaml of a folder, or the file itself.

    Raises:
        DataError: a folder cannot be read.
    """
    if root.is_file():
        yield root
        return
    seen: set[Path] = set()
    for file in files_below(root, SUFFIXES):
        folder = file.parent
        if folder in seen:
            continue
        if (folder / METADATA).is_file():
            seen.add(folder)
            yield folder / METADATA
        else:
            yield file


def _take_bag(found: ListingBuilder, root: Path, bag: Path) -> None:
    with Recording(bag) as recording:
        sources = labels_of(recording, folder=_folder(bag))
        if not sources:
            found.leave_out(bag, "no labels next to the bag or in it")
            return
        for problem in recording.problems:
            found.note(bag, problem)
        kinds = kinds_of(recording, faces=True, voice=True)
        start_ns, end_ns = recording.start_ns, recording.end_ns
    labels = merge_files(sources)
    segments = _usable(found, bag, labels, start_ns, end_ns)
    seen = bool(kinds & {TopicKind.IMAGES, TopicKind.TRACKS})
    heard = bool(kinds & {TopicKind.AUDIO, TopicKind.SPECTROGRAM})
    without: Counter[str] = Counter()
    for segment in segments:
        ids = tuple(labels.people.get(segment.person, ()))
        shared = _at_once(segment, segments)
        has_face = seen and (not shared or bool(ids) or segment.box is not None)
        has_voice = heard and not shared
        without["face (give a box, or ids)"] += seen and not has_face
        without["voice"] += heard and not has_voice
        if has_face or has_voice:
            found_items = _Found(root, bag, start_ns)
            found.add(found_items.item(segment, ids, has_face=has_face, has_voice=has_voice))
    for part, count in sorted(without.items()):
        if count:
            found.note(
                bag,
                f"{count} segment(s) of several people at once: it is unknown which {part} "
                "belongs to whom",
            )


def _usable(
    found: ListingBuilder, bag: Path, labels: LabelFile, start_ns: int, end_ns: int
) -> list[Segment]:
    """The segments that say one of the classes within the bag; notes the others."""
    agreed = majority_vote(labels.segments)
    if agreed.tied_ns:
        tied = f"{to_s(agreed.tied_ns):.1f} s on which the annotators do not agree"
        found.leave_out(bag, tied, by_design=True)
    wordless = sum(not segment.label for segment in labels.segments)
    if wordless:
        text = f"{wordless} segment(s) with only valence and arousal, but no class"
        found.leave_out(bag, text, by_design=True)
    within = [one for one in agreed.segments if one.start_ns < end_ns and one.end_ns > start_ns]
    outside = len(agreed.segments) - len(within)
    if outside:
        found.leave_out(bag, f"{outside} label(s) are outside the bag's time")
    return within


def _lose(found: ListingBuilder, root: Path, bag: Path) -> None:
    """The labels beside a bag that cannot be read."""
    folder = _folder(bag)
    try:
        beside = find_labels(folder)
        labels = None if beside is None else read_labels(beside)
    except LabelError as error:
        found.leave_out(bag, str(error))
        return
    if labels is None:
        return
    segments = majority_vote(labels.segments).segments
    # Of times that are no seconds of the bag the first label is as good a beginning as any.
    start_ns = segments[0].start_ns if labels.unix and segments else 0
    for segment in segments:
        found.lose(_Found(root, bag, start_ns).item(segment))


def _folder(bag: Path) -> Path:
    return bag.parent if bag.name == METADATA else bag


def _at_once(segment: Segment, segments: Sequence[Segment]) -> bool:
    """Somebody else is labelled at the same time."""
    return any(
        other.person != segment.person
        and other.start_ns < segment.end_ns
        and other.end_ns > segment.start_ns
        for other in segments
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A bag whose labelled stretches become items."""

    root: Path
    bag: Path
    start_ns: int

    def item(
        self,
        segment: Segment,
        ids: tuple[str, ...] = (),
        *,
        has_face: bool = True,
        has_voice: bool = True,
    ) -> Item:
        """The stretch as an item."""
        folder = _folder(self.bag)
        start_s = to_s(max(0, segment.start_ns - self.start_ns))
        same = folder == self.root
        name = folder.name if same else folder.relative_to(self.root).as_posix()
        return Item(
            dataset="bags",
            key=f"{name}@{start_s:.3f}{f' {segment.person}' if segment.person else ''}",
            path=self.bag,
            label=segment.label,
            subject=_subject(segment.person, folder),
            raw_label=segment.label,
            has_face=has_face,
            has_voice=has_voice,
            start_s=start_s,
            end_s=to_s(segment.end_ns - self.start_ns),
            ids=ids,
            box=segment.box,
        )


def _subject(person: str, folder: Path) -> str:
    if person.split("-")[0] in OTHERS and "-" in person:
        return person
    return f"bags-{person or folder.name}"


BAGS: Final = DataSet(
    name="bags",
    title="labelled bags (rosbag2)",
    contents="faces and voices",
    words=EMOTIONS,
    licence="yours",
    layout="""\
SESSION/metadata.yaml, SESSION/*.mcap or *.db3, or single files, in any folders below
SESSION.labels.csv   (or .yaml, .eaf, .txt) beside it: see docs/labels.md; or a topic labels""",
    read=read,
    root_may_be_file=True,
)
