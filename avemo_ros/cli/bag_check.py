"""`avemo bag check`: what a bag holds, and what evaluation can and cannot use of it."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import (
    find_bags,
    find_labels,
    labels_of,
    merge_files,
    read_labels,
)
from avemo_ros.annotations.segments import Segment
from avemo_ros.audio.pcm import decode_pcm
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.check import Look, check
from avemo_ros.bag.check_report import BagCheck, as_json, report
from avemo_ros.bag.message_content import AudioFormat
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.timing_statistics import MouthAndSound, Offset
from avemo_ros.bag.topics import FIELDS, NOT_USED, Topics
from avemo_ros.cli.outputs import add_force, check_outputs, write_json
from avemo_ros.config import InputConfig, PipelineConfig
from avemo_ros.errors import AudioFormatError, BagError, ConfigError, LabelError
from avemo_ros.sink.presentation import counted
from avemo_ros.timing import NS_PER_S, to_ns, to_s
from avemo_ros.untrusted import say
from avemo_ros.vision.face import FrameTracks

_FIELDS: Final = ", ".join(FIELDS)


def add_topic_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--topic` and `--sound-format`."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="WHAT=NAME",
        help="set the topic for WHAT, if it is not found by its type and usual name; WHAT is "
        f"one of {_FIELDS}; use the name {NOT_USED} to leave it out",
    )
    parser.add_argument(
        "--sound-format",
        metavar="RATE,CHANNELS,FORMAT",
        help="format of audio that was recorded without audio_info, e.g. 16000,1,S16LE",
    )


def read_topics(args: argparse.Namespace) -> Topics:
    """The topics that were named, and the format of sound that was given.

    Raises:
        ConfigError: an option is not WHAT=NAME, WHAT is unknown or given twice, or sound cannot
            have that format.
    """
    named: dict[str, Any] = {}
    for text in args.topic:
        what, equals, name = text.partition("=")
        if not equals or not name or what not in FIELDS:
            raise ConfigError("--topic", text, f"WHAT=NAME, where WHAT is one of {_FIELDS}")
        if what in named:
            raise ConfigError("--topic", text, f"{what} once")
        named[what] = name
    topics = Topics(**named)
    if args.sound_format is None:
        return topics
    return replace(topics, sound_format=_sound_format(args.sound_format))


def _sound_format(text: str) -> AudioFormat:
    parts = text.split(",")
    try:
        form = AudioFormat(int(parts[0]), int(parts[1]), parts[2])
        form.check()
        decode_pcm(b"", form.sample_format, form.channels)
    except AudioFormatError as error:
        raise ConfigError(
            "--sound-format", text, f"a format that can be read ({error})"
        ) from error
    except (ValueError, IndexError) as error:
        allowed = "RATE,CHANNELS,FORMAT such as 16000,1,S16LE"
        raise ConfigError("--sound-format", text, allowed) from error
    return form


CLEAN: Final = 0
FINDINGS: Final = 1
UNREADABLE: Final = 2
_EARLY_NS: Final = NS_PER_S
_LOOK_S: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "bags",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="folder of a bag, one of its files, or a folder of bags",
    )
    add_topic_options(parser)
    parser.add_argument(
        "--look",
        nargs="?",
        const=str(_LOOK_S),
        metavar="SECONDS",
        help="measure how far images and audio are apart, by comparing mouth movement with "
        f"speech; uses the first SECONDS of the bag (default: {_LOOK_S:g}; 0: all of "
        "it); put this option after the bags",
    )
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help=("also write the result to this file")
    )
    add_force(parser)
    parser.epilog = (
        "exit status: 0 no problem found, 1 there are problems or unusable parts, 2 a bag\n"
        "cannot be read"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found; returns the worst of the bags' exit statuses.

    Raises:
        ConfigError: an option is not allowed.
        OutputError: the result cannot be written.
    """
    topics = read_topics(args)
    check_outputs([args.json], force=args.force)
    looking: Look | None = None
    if args.look is not None:
        # Loads what looks at faces, which takes as long as checking a small bag.
        from avemo_ros.cli.bag_check import look

        looking = partial(look, seconds=_seconds(args.look))
    status = CLEAN
    results: list[dict[str, Any]] = []
    for number, path in enumerate(find_bags(args.bags)):
        try:
            checked = with_labels(check(path, topics, looking))
        except BagError as error:
            say(f"avemo: error: {error}", file=sys.stderr)
            results.append({"path": str(path), "error": str(error)})
            status = UNREADABLE
            continue
        say(f"{chr(10) if number else ''}{report(checked)}")
        results.append(as_json(checked))
        status = max(status, CLEAN if checked.clean else FINDINGS)
    if args.json is not None:
        write_json(args.json, {"bags": results})
    return status


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise ConfigError(
            "--look", text, "seconds, 0 for all, or no value; put it after the bags"
        )
    return seconds


def with_labels(checked: BagCheck) -> BagCheck:
    """What the labels beside the bag, or in it, say of its time."""
    try:
        found = _labels(checked)
        if not found:
            return checked
        labels = merge_files(found)
        topic = checked.usable.labels
        what = ", ".join(topic if str(file.path) == topic else file.path.name for file in found)
    except LabelError as error:
        return _with(checked, "", f"cannot use the labels: {error}")
    spans = [
        segment
        for segment in labels.segments
        if segment.end_ns > checked.start_ns and segment.start_ns < checked.end_ns
    ]
    if not spans:
        return _with(checked, "", f"none of the labels in {what} lies within the bag's time")
    people = len({segment.person for segment in spans})
    text = f"{counted(len(spans), 'segment')} of {counted(people, 'person', 'people')} ({what})"
    left_out = len(labels.segments) - len(spans)
    are = "is" if left_out == 1 else "are"
    message = f"{counted(left_out, 'label')} in {what} {are} outside the bag's time"
    return _with(checked, text, message if left_out else "", _early(checked, spans, what))


def _early(checked: BagCheck, spans: Sequence[Segment], what: str) -> str:
    """Of labels that begin where there is nothing yet to judge, as a film's would."""
    if checked.first_input_s is None:
        return ""
    first_ns = checked.start_ns + to_ns(checked.first_input_s)
    early = [first_ns - item.start_ns for item in spans]
    early = [ahead_ns for ahead_ns in early if ahead_ns > _EARLY_NS]
    if not early:
        return ""
    return (
        f"{counted(len(early), 'label')} in {what} {'begins' if len(early) == 1 else 'begin'} "
        f"up to {to_s(max(early)):.1f} s before the first image or audio. Label times count "
        "from the bag's first message; shift them with `avemo bag labels --shift`"
    )


def _labels(checked: BagCheck) -> list[LabelFile]:
    if not checked.usable.labels:
        # A recording of nothing cannot be opened; the rest may be of no use, either.
        beside = find_labels(checked.path)
        return [] if beside is None else [read_labels(beside, checked.start_ns)]
    only: dict[str, Any] = dict.fromkeys(FIELDS, NOT_USED)
    only["labels"] = checked.usable.labels
    with Recording(checked.path, Topics(**only)) as recording:
        return labels_of(recording, folder=checked.path)


def _with(checked: BagCheck, labels: str, *findings: str) -> BagCheck:
    return replace(
        checked,
        usable=replace(checked.usable, labels=labels),
        findings=(*checked.findings, *filter(None, findings)),
    )


# How far a bag's images are ahead of its sound, by looking and listening.


def look(recording: Recording, seconds: float) -> Offset:
    """Make face tracks and spectrogram as the live nodes do, and compare mouth and sound.

    Args:
        recording: with images and sound.
        seconds: how much of it, from its first image or sound on [s]; 0: all.

    Raises:
        WeightsError: a model that it takes is not installed.
    """
    # Only here: they load ONNX Runtime, which the check itself does not need.
    from avemo_ros.engine.audio_stage import AudioStage
    from avemo_ros.engine.feature_extractor import FeatureExtractor, InputIssues
    from avemo_ros.replay.feature_worker import recorded
    from avemo_ros.replay.runner import RAW

    # Stamps that are far from the times of recording are what is looked for, too.
    config = PipelineConfig(input=InputConfig(max_input_age_s=0.0))
    findings = InputIssues()
    audio = AudioStage(config.audio, config.input, findings.of("sound"))
    gathered = MouthAndSound()
    first_ns, cut = None, False
    with closing(FeatureExtractor(config, findings)) as extractor:
        for log_ns, item in recorded(recording, RAW):
            first_ns = log_ns if first_ns is None else first_ns
            if seconds and log_ns - first_ns >= to_ns(seconds):
                cut = True
                break
            seen = extractor.push(log_ns, item)
            if isinstance(seen, FrameTracks):
                gathered.take_tracks(seen)
            elif isinstance(seen, AudioBlock):
                for chunk in audio.push(seen, log_ns):
                    gathered.take_chunk(chunk)
        for chunk in () if cut else audio.flush():
            gathered.take_chunk(chunk)
    offset = gathered.offset()
    if offset.seconds is None and cut:
        how = f"{offset.how} (in the first {seconds:g} s; use --look 0 for the whole bag)"
        return replace(offset, how=how)
    return offset
