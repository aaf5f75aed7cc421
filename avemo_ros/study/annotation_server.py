"""A page to label recordings in the browser, served to this machine only.

A rater sees the recording and their own labels: nothing of the model, and nothing of another
rater.  Only what both have finished is compared, as one number.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from avemo_ros.annotations.label_entries import LabelEntry, check_overlaps, segment_of
from avemo_ros.annotations.label_files import bag_name, read_labels
from avemo_ros.annotations.label_tables import labels_text, seconds_text
from avemo_ros.annotations.segments import Segment, agreement
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.reader import BagImage, BagMedia
from avemo_ros.errors import AvemoError, ConfigError, ImageError, LabelError
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.replayed import is_clip
from avemo_ros.sink.output_file import replaced
from avemo_ros.sink.video_file import VideoWriter
from avemo_ros.source.media_file import ORIGIN_NS, MediaFile, VideoFrame, from_origin
from avemo_ros.timing import NS_PER_S, to_s

PAGE: Final = Path(__file__).with_name("annotate.html")
_DONE: Final = "# done: yes\n"
"""First line of labels that the rater has finished; a comment for whoever reads them."""
_RATER: Final = re.compile(r"[\w-]+")
_MOST_BYTES: Final = 4 << 20
"""Of labels that the page sends."""
_LOCAL: Final = "127.0.0.1"


class AnnotationSession:
    """What one rater has labelled, and the files in which it lies.

    Labels of the recording `day1` by `ann` are `day1.ann.csv`, beside the recording or in a
    folder of their own.

    Args:
        recordings: bags with images, and media files.
        rater: letters, digits, - and _.
        labels: folder of the files; None: beside each recording.
        videos: folder for what the browser plays.

    Raises:
        ConfigError: the rater's name cannot be part of a file's, or two recordings share one.
    """

    def __init__(
        self, recordings: Sequence[Path], rater: str, labels: Path | None, videos: Path
    ) -> None:
        if not _RATER.fullmatch(rater) or rater == "labels":
            raise ConfigError("--rater", rater, "letters, digits, - and _, but not 'labels'")
        self.rater = rater
        self._videos = videos
        self._labels = labels
        self._lock = Lock()
        self._paths: dict[str, Path] = {}
        for path in recordings:
            name = path.stem if is_clip(path) else bag_name(path)
            if name in self._paths:
                raise ConfigError("BAG", str(path), f"another name than {self._paths[name]}")
            self._paths[name] = path

    @property
    def names(self) -> tuple[str, ...]:
        """Of the recordings."""
        return tuple(self._paths)

    def file(self, name: str) -> Path:
        """Where the rater's labels of a recording lie; KeyError: there is no such recording."""
        path = self._paths[name]
        folder = path.resolve().parent if self._labels is None else self._labels
        return folder / f"{name}.{self.rater}.csv"

    def video(self, name: str) -> Path:
        """The recording as browsers play it; second 0 is that of the labels.

        Raises:
            AvemoError: it cannot be read, or has no images.
        """
        path = self._videos / f"{name}.mp4"
        with self._lock:
            if not path.is_file():
                _make_video(self._paths[name], path)
        return path

    def load(self, name: str) -> dict[str, Any]:
        """The rater's own labels of a recording, and whether they are finished.

        Raises:
            LabelError: the file is wrong.
        """
        path = self.file(name)
        if not path.is_file():
            return {"labels": [], "done": False}
        text = path.read_text(encoding="utf-8")
        empty = len(text.removeprefix(_DONE).split("\n", 1)[-1].strip()) == 0
        segments = () if empty else read_labels(path).segments
        return {
            "labels": [
                {"start": to_s(one.start_ns), "end": to_s(one.end_ns), "label": one.label}
                for one in segments
            ],
            "done": text.startswith(_DONE),
        }

    def save(self, name: str, labels: Sequence[Any], *, done: bool) -> None:
        """Write the rater's labels in one atomic step.

        Args:
            name: of the recording.
            labels: mappings with `start` and `end` [s] and `label`, one of EMOTIONS.
            done: the rater has finished this recording.

        Raises:
            LabelError: a label is wrong, or two overlap.
            OutputError: the file cannot be written.
        """
        placed = []
        for number, label in enumerate(labels, start=1):
            place = f"label {number}"
            if not isinstance(label, dict) or label.get("label") not in EMOTIONS:
                raise LabelError(
                    f"{place}: allowed: start, end and one of {', '.join(EMOTIONS)}"
                )
            values = {field: _seconds(label.get(field), place) for field in ("start", "end")}
            entry = LabelEntry(
                place, {**values, "label": label["label"], "annotator": self.rater}
            )
            segment = segment_of(entry, 0)
            assert segment is not None
            placed.append((segment, place))
        check_overlaps(placed)
        segments = sorted((one for one, _ in placed), key=lambda one: one.start_ns)
        text = (_DONE if done else "") + labels_text(segments)
        with self._lock, replaced(self.file(name)) as partial:
            partial.write_text(text, encoding="utf-8")

    def compared(self) -> dict[str, Any]:
        """How far this rater agrees with the others, over recordings that both have finished.

        Raises:
            LabelError: a file of labels is wrong.
        """
        found: list[list[Segment]] = []
        for name in self.names:
            own = self.file(name)
            mine = _finished(own)
            if mine is None:
                continue
            others = {
                rater: labels
                for path in sorted(own.parent.glob("*.csv"))
                if (rater := _rater_of(path, name)) not in ("", self.rater)
                and (labels := _finished(path)) is not None
            }
            if others:
                found.append(
                    [replace(one, annotator=self.rater) for one in mine]
                    + [
                        replace(one, annotator=rater)
                        for rater, labels in others.items()
                        for one in labels
                    ]
                )
        result = agreement(found)
        if result is None:
            return {"recordings": 0, "kappa": None, "why": "nobody else has finished the same"}
        kappa = result["kappa"]["value"]
        return {
            "recordings": len(found),
            "seconds": result["seconds"],
            "raters": len(result["annotators"]),
            "kappa": None if math.isnan(kappa) else kappa,
            "why": result["kappa"]["why"],
        }


def _seconds(value: Any, place: str) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e6:
        raise LabelError(f"{place}: start and end are seconds, 0 or more")
    return seconds_text(round(value * 1000) * (NS_PER_S // 1000))


def _rater_of(path: Path, name: str) -> str:
    """Whose labels of a recording a file holds; "" if it holds none."""
    rater = path.stem.removeprefix(f"{name}.")
    return rater if rater != path.stem and _RATER.fullmatch(rater) else ""


def _finished(path: Path) -> tuple[Segment, ...] | None:
    """Labels that are finished; None where they are not, or nothing is labelled."""
    if not path.is_file() or not path.read_text(encoding="utf-8").startswith(_DONE):
        return None
    try:
        return read_labels(path).segments
    except LabelError as error:
        if "contains no labels" in str(error):
            return None
        raise


def _make_video(source: Path, path: Path) -> None:
    """A video whose first image is at second 0 of the labels, whenever the camera began."""
    with MediaFile(source) if is_clip(source) else BagMedia(source) as media:
        if not media.has_video:
            raise LabelError(f"{source} has no images to look at")
        zero_ns = ORIGIN_NS if isinstance(media, MediaFile) else media.zero_ns
        items: Iterable[tuple[int, object]] = (
            from_origin(media) if isinstance(media, MediaFile) else media
        )
        with VideoWriter(
            path, zero_ns, sound=media.has_audio, rate=media.fps or 30.0
        ) as writer:
            first = True
            for _, item in items:
                if isinstance(item, AudioBlock):
                    writer.push_audio(item)
                elif isinstance(item, VideoFrame | BagImage):
                    try:
                        image = item.image
                    except ImageError:
                        continue  # `avemo bag check` tells of it
                    if first and item.stamp_ns > zero_ns:
                        writer.push_frame(zero_ns, image)
                    first = False
                    writer.push_frame(item.stamp_ns, image)


class AnnotationServer(ThreadingHTTPServer):
    """Serves the page at `address`, to this machine only; `serve_forever` and `shutdown`.

    Args:
        session: whose labels these are.
        port: 0: any that is free.
    """

    daemon_threads = True

    def __init__(self, session: AnnotationSession, port: int = 0) -> None:
        super().__init__((_LOCAL, port), _Handler)
        self.session = session
        self.key = secrets.token_urlsafe(16)
        """In every address: other pages of the browser do not know it."""

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{_LOCAL}:{self.server_address[1]}/{self.key}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers the page."""

    server: AnnotationServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page, the list of recordings, a video, labels, or the agreement."""
        self._answer(None)

    def do_POST(self) -> None:
        """Labels to be saved."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            self._send(HTTPStatus.BAD_REQUEST, b"too large", "text/plain")
            return
        self._answer(self.rfile.read(int(length)))

    def log_message(self, *_: Any) -> None:
        """Nobody reads a log of requests."""

    def _answer(self, body: bytes | None) -> None:
        server, session = self.server, self.server.session
        host = f"{_LOCAL}:{server.server_address[1]}"
        _, key, *rest = unquote(urlsplit(self.path).path).split("/", 3)
        # A name that leads elsewhere must not lead here (DNS rebinding).
        if self.headers.get("Host") != host or not secrets.compare_digest(
            key.encode(), server.key.encode()
        ):
            self._send(HTTPStatus.FORBIDDEN, b"open the address in the terminal", "text/plain")
            return
        what, name = (*rest, "", "")[:2]
        try:
            if body is not None and what == "labels":
                given = json.loads(body)
                session.save(name, given["labels"], done=bool(given["done"]))
                self._json({"saved": True})
            elif body is not None:
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
            elif not what:
                self._send(HTTPStatus.OK, PAGE.read_bytes(), "text/html; charset=utf-8")
            elif what == "recordings":
                self._json(
                    {
                        "rater": session.rater,
                        "emotions": EMOTIONS,
                        "recordings": [
                            {"name": one, "done": session.load(one)["done"]}
                            for one in session.names
                        ],
                    }
                )
            elif what == "labels":
                self._json(session.load(name))
            elif what == "agreement":
                self._json(session.compared())
            elif what == "video":
                self._video(session.video(name))
            else:
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
        except KeyError:
            self._send(HTTPStatus.NOT_FOUND, b"there is no such recording", "text/plain")
        except (AvemoError, ValueError, TypeError) as error:
            self._send(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain")

    def _json(self, content: Any) -> None:
        self._send(HTTPStatus.OK, json.dumps(content).encode(), "application/json")

    def _video(self, path: Path) -> None:
        """A part of the file, as players ask for it to seek."""
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
        if start > end:
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "text/plain")
            return
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start + 1)
        status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
        more = {"Accept-Ranges": "bytes"}
        if asked:
            more["Content-Range"] = f"bytes {start}-{end}/{size}"
        self._send(status, data, "video/mp4", more)

    def _send(
        self, status: HTTPStatus, data: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
