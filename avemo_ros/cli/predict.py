"""`avemo predict`: the engine on a media file or a bag, without ROS."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avemo_ros.audio.spectrogram import AudioBlock, SpectrogramChunk
from avemo_ros.bag import is_bag
from avemo_ros.cli.outputs import add_force, add_report, check_outputs, check_report
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.feature_extractor import Extracted, ImageItem, InputIssues, InputItem
from avemo_ros.errors import ConfigError, ImageError
from avemo_ros.pipeline import Pipeline
from avemo_ros.sink.jsonl import JsonLines
from avemo_ros.sink.output_file import OutputError, is_stream, partial_name
from avemo_ros.sink.overlay import draw, draw_note
from avemo_ros.sink.presentation import Timeline
from avemo_ros.sink.table import stretches_table
from avemo_ros.sink.video_file import VideoWriter
from avemo_ros.source.media_file import ORIGIN_NS, MediaFile, VideoFrame, from_origin
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import to_s
from avemo_ros.untrusted import real, say
from avemo_ros.vision.face import FrameTracks

if TYPE_CHECKING:
    from avemo_ros.bag.reader import BagMedia

DONE: Final = 0
NOTHING: Final = 1
"""The file was read, but there is no prediction for anyone in it."""
_STANDARD: Final = Path("-")
"""In place of a file: standard output."""
_KEPT_BYTES: Final = 64 << 20
"""Images that wait to be drawn beyond this are packed [bytes]."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "file", type=Path, help=("media file with video, audio or both, or a bag (rosbag2)")
    )
    parser.add_argument(
        "--json",
        metavar="OUT",
        help="write JSON Lines, one object per estimate; '-' is standard output, the default "
        "unless that is a terminal, which shows a table",
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="OUT.mp4",
        help=("write the video with the predictions drawn in, and the sound"),
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="with --video: draw only the time, not the predictions; for annotators, who "
        "should not see them",
    )
    add_report(parser, "write a timeline as an HTML report", "--page")
    add_force(parser)
    parser.add_argument(
        "--config", type=Path, metavar="YAML", help="parameter file, as for the nodes"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="set one parameter, e.g. emotion.hop_s=0.2; may be given several times",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="released model, .safetensors file, or one of your own (docs/extending.md); "
        "short for --set model.weights=NAME",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="show no progress bar and no summary, only errors"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        AvemoError: an input, a setting, the weights or an output cannot be used.
        KeyboardInterrupt: the user interrupted; what was made so far is in partial files.
    """
    settings = list(args.settings)
    if args.model is not None:
        settings.append(f"model.weights={args.model}")
    config = PipelineConfig.read(args.config, settings)
    if args.plain and args.video is None:
        raise ConfigError("--plain", True, "only with --video")
    # Whoever looks at a terminal wants to read; a pipe or a file gets the lines.
    shows_table = args.json is None and sys.stdout.isatty()
    lines = None if shows_table else Path(args.json or _STANDARD)
    outputs = [None if lines == _STANDARD else lines, args.video, args.report]
    check_outputs(outputs, force=args.force, sources=[args.file])
    check_report(args.report)
    with _opened(args.file) as media:
        if args.video is not None and not media.has_video:
            raise OutputError(f"cannot make {args.video}: {args.file} has no images")
        shown = _Shown(args.plain, not isinstance(media, MediaFile) or args.plain)
        return _Run(media, config, lines, args.video, args.report, shown, args.quiet).run()


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the video shows beside the images."""

    plain: bool
    """Nothing of what the model says."""
    seconds: bool
    """The time in which labels count."""


class _Run:
    """One pass over a file."""

    def __init__(
        self,
        media: MediaFile | BagMedia,
        config: PipelineConfig,
        lines: Path | None,
        video: Path | None,
        page: Path | None,
        shown: _Shown,
        quiet: bool,
    ) -> None:
        self._media = media
        self._config = config
        self._writes_lines = lines is not None
        self._lines_path = None if lines == _STANDARD else lines
        self._video_path, self._page_path = video, page
        self._shown = shown
        self._quiet = quiet
        self._zero_ns = ORIGIN_NS if isinstance(media, MediaFile) else media.zero_ns
        self._timeline = Timeline(media.path.name, self._zero_ns)
        self._findings = InputIssues()
        self._faces = 0
        self._heard = False
        self._lines: JsonLines | None = None
        self._annotated: _AnnotatedVideo | None = None

    def run(self) -> int:
        pipeline = Pipeline(self._config, findings=self._findings)
        try:
            with ExitStack() as stack:
                if self._writes_lines:
                    self._lines = stack.enter_context(
                        JsonLines(self._lines_path, self._zero_ns)
                    )
                if self._video_path is not None:
                    writer = VideoWriter(
                        self._video_path,
                        self._zero_ns,
                        sound=self._media.has_audio,
                        rate=self._media.fps or 30.0,
                    )
                    self._annotated = _AnnotatedVideo(
                        stack.enter_context(writer), self._shown, self._zero_ns
                    )
                progress = stack.enter_context(_Progress(self._media, self._shows_progress()))
                items: Iterable[tuple[int, InputItem]] = (
                    from_origin(self._media)
                    if isinstance(self._media, MediaFile)
                    else self._media
                )
                for arrival_ns, item in items:
                    self._take(pipeline, arrival_ns, item)
                    progress.reach(to_s(arrival_ns - self._zero_ns))
                self._keep(pipeline.flush())
                if self._annotated is not None:
                    self._annotated.finish()
                speed = progress.speed
        except KeyboardInterrupt:
            if self._page_path is not None and not is_stream(self._page_path):
                self._write_page(partial_name(real(self._page_path)))
            raise
        finally:
            pipeline.close()
        if self._page_path is not None:
            self._write_page(self._page_path)
        if not self._writes_lines:
            say("\n".join(stretches_table(self._timeline)))
        self._summarise(speed)
        return DONE if self._timeline.claimed_share > 0 else NOTHING

    def _write_page(self, path: Path) -> None:
        # A robot need not have what makes reports.
        from avemo_ros.report.timeline_page import write_timeline

        write_timeline(path, self._timeline)

    def _shows_progress(self) -> bool:
        # A bar among lines that scroll by is no help to anyone.
        scrolls = self._writes_lines and self._lines_path is None and sys.stdout.isatty()
        return not self._quiet and sys.stderr.isatty() and not scrolls

    def _take(self, pipeline: Pipeline, arrival_ns: int, item: InputItem) -> None:
        if self._annotated is not None and not isinstance(item, VideoFrame | Extracted):
            # It is drawn, too, and need not be decoded twice.
            item = _decoded(item)
        steps = pipeline.push(arrival_ns, item)
        self._heard |= isinstance(item, AudioBlock | SpectrogramChunk)
        if isinstance(item, AudioBlock):
            if self._annotated is not None:
                self._annotated.push_audio(item)
        elif isinstance(item, FrameTracks):
            self._faces += len(item.faces)
        elif not isinstance(item, Extracted):
            tracks = pipeline.tracks
            self._faces += len(tracks.faces) if tracks is not None else 0
            if self._annotated is not None and isinstance(item, VideoFrame):
                self._annotated.push_frame(item, tracks)
        self._keep(steps)

    def _keep(self, steps: Iterable[EmotionStep]) -> None:
        for step in steps:
            self._timeline.add(step)
            if self._lines is not None:
                self._lines.write(step)
            if self._annotated is not None:
                self._annotated.push_step(step)

    def _summarise(self, speed: float) -> None:
        """What was read and what was missing, on standard error."""
        media, timeline = self._media, self._timeline
        notes = []
        if not isinstance(media, MediaFile):
            notes += [f"{media.path}: {problem}" for problem in media.problems]
        notes += [f"{media.path}: {finding}" for finding in self._findings.sentences()]
        if not (media.has_audio if isinstance(media, MediaFile) else media.has_voices):
            notes.append(f"{media.path} has no sound: the estimates rest on the face alone")
        elif not self._heard:
            notes.append(f"the sound of {media.path} cannot be read: nobody has a voice")
        if not (media.has_video if isinstance(media, MediaFile) else media.has_faces):
            notes.append(f"{media.path} has no images: the estimates rest on the voice alone")
        elif self._faces == 0:
            notes.append(f"no face was found in {media.path}")
        if isinstance(media, MediaFile) and media.notes:
            notes.append(f"{media.path}: {'; '.join(media.notes)}")
        if timeline.claimed_share == 0:
            notes.append("no emotion could be predicted; the status of each estimate says why")
        if not self._quiet:
            estimates = sum(len(person.estimates) for person in timeline.people.values())
            people = len(timeline.people)
            notes.append(
                f"{timeline.duration_s:.1f} s at {speed:.1f} times real time; {estimates} "
                f"estimates of {people} {'person' if people == 1 else 'people'}, "
                f"{timeline.claimed_share:.0%} of them with a label; model "
                f"{timeline.model_id or '-'}"
            )
            written = [self._lines_path, self._video_path, self._page_path]
            notes += [f"wrote {path}" for path in written if path is not None]
        for note in notes:
            say(f"avemo: {note}", file=sys.stderr)


def _opened(path: Path) -> MediaFile | BagMedia:
    if not is_bag(path):
        return MediaFile(path)
    # What reads bags takes as long to load as all the rest, and media files do without.
    from avemo_ros.bag.reader import BagMedia

    return BagMedia(path)


def _decoded(item: ImageItem) -> ImageItem:
    """The image itself; what cannot be decoded as it is, for the engine to say so."""
    try:
        return VideoFrame(item.stamp_ns, item.image)
    except ImageError:
        return item


class _KeptImage:
    """An image that waits to be drawn; packed it takes a tenth, as 4K images are 24 MB each.

    Packing loses less than the video's own compression afterwards.
    """

    def __init__(self, image: NDArray[np.uint8], *, packed: bool) -> None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        self._packed = packed
        self._data = cv2.imencode(".jpg", image, quality)[1] if packed else image
        self.size: int = self._data.nbytes

    def image(self) -> NDArray[np.uint8]:
        """(height, width, 3) BGR."""
        if self._packed:
            return np.asarray(cv2.imdecode(self._data, cv2.IMREAD_COLOR), np.uint8)
        return self._data


class _AnnotatedVideo:
    """Draws each image with the estimate of its own time.

    An estimate comes some frames after its time, because it waits for the sound, so images
    wait for the first estimate after them.
    """

    def __init__(self, writer: VideoWriter, shown: _Shown, zero_ns: int) -> None:
        self._writer = writer
        self._zero_ns = zero_ns
        self._shown = shown
        self._waiting: deque[tuple[int, _KeptImage, FrameTracks | None]] = deque()
        self._kept_bytes = 0
        self._step: EmotionStep | None = None

    def push_frame(self, frame: VideoFrame, tracks: FrameTracks | None) -> None:
        kept = _KeptImage(frame.image, packed=self._kept_bytes > _KEPT_BYTES)
        self._kept_bytes += kept.size
        self._waiting.append((frame.stamp_ns, kept, tracks))

    def push_audio(self, block: AudioBlock) -> None:
        self._writer.push_audio(block)

    def push_step(self, step: EmotionStep) -> None:
        self._draw_before(step.stamp_ns)
        self._step = step

    def finish(self) -> None:
        """Draw what still waits, at the end of the file."""
        while self._waiting:
            self._draw_next()

    def _draw_before(self, stamp_ns: int) -> None:
        while self._waiting and self._waiting[0][0] < stamp_ns:
            self._draw_next()

    def _draw_next(self) -> None:
        stamp_ns, kept, tracks = self._waiting.popleft()
        self._kept_bytes -= kept.size
        image = kept.image()
        note = f"{to_s(stamp_ns - self._zero_ns):.1f} s" if self._shown.seconds else ""
        if self._shown.plain:
            drawn = draw_note(image, note)
        else:
            drawn = draw(image, tracks, self._step, note)
        self._writer.push_frame(stamp_ns, drawn)


class _Progress:
    """A bar over the seconds of the file, with the speed and the time that is left."""

    def __init__(self, media: MediaFile | BagMedia, shown: bool) -> None:
        total = media.duration_s or None
        length, left = ("/{total:.1f}", ", {remaining} left") if total else ("", "")
        self._bar = tqdm(
            total=total,
            disable=not shown,
            file=sys.stderr,
            leave=False,
            desc=media.path.name,
            bar_format=f"{{desc}} {{bar}} {{n:.1f}}{length} s{{postfix}}{left}",
        )
        self._started = time.monotonic()
        self._reached = 0.0

    @property
    def speed(self) -> float:
        """Seconds of media per second."""
        return self._reached / max(time.monotonic() - self._started, 1e-6)

    def __enter__(self) -> _Progress:
        return self

    def reach(self, seconds: float) -> None:
        """The file is read up to here."""
        if seconds - self._reached < 0.1:
            return
        self._bar.postfix = f"{self.speed:.1f} times real time"
        self._bar.update(min(seconds, self._bar.total or seconds) - self._bar.n)
        self._reached = seconds

    def __exit__(self, *_: object) -> None:
        self._bar.close()
