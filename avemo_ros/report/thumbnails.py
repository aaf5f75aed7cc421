"""Small images of the people of a bag, for a report that asks for them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2

from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.clock import to_s
from avemo_ros.errors import AvemoError, ImageError
from avemo_ros.replay.replayed import EvaluatedRecording

HEIGHT: Final = 64
"""Of an image [pixels]."""
MOST: Final = 40
"""Images of one bag."""
_WIDEST: Final = 160
_LEAST_APART_S: Final = 1.0
"""Images are no nearer to one another [s]."""
_QUALITY: Final = 70

Shot = Mapping[str, object]
"""An image for `charts.Chart`: `at` [s], `width` [pixels] and `src`, a `data:` address."""


def shots_of(
    session: EvaluatedRecording, path: Path, topics: Topics, most: int = MOST
) -> tuple[Shot, ...]:
    """Images spread over the recording; none where it holds none that can be decoded.

    Args:
        session: of the bag.
        path: of the bag.
        topics: which topic is which.
        most: images.
    """
    start_ns, end_ns = session.replayed.start_ns, session.replayed.end_ns
    apart_ns = max(round(1e9 * _LEAST_APART_S), (end_ns - start_ns) // most)
    shots: list[Shot] = []
    due_ns = start_ns
    try:
        with Recording(path, topics) as recording:
            if TopicKind.IMAGES not in recording.kinds:
                return ()
            for _, item in recording.items(frozenset({TopicKind.IMAGES})):
                if not isinstance(item, BagImage) or item.stamp_ns < due_ns:
                    continue
                if len(shots) == most:
                    break
                shot = _shot(item, to_s(item.stamp_ns - session.replayed.zero_ns))
                if shot is not None:
                    shots.append(shot)
                    due_ns = item.stamp_ns + apart_ns
    except AvemoError:
        # The replay has told what is wrong with the bag.
        return tuple(shots)
    return tuple(shots)


def _shot(frame: BagImage, at_s: float) -> Shot | None:
    try:
        image = frame.image
    except ImageError:
        return None
    height, width = image.shape[:2]
    wide = min(max(1, round(width * HEIGHT / height)), _WIDEST)
    small = cv2.resize(image, (wide, HEIGHT), interpolation=cv2.INTER_AREA)
    done, coded = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not done:
        return None
    text = base64.b64encode(coded.tobytes()).decode()
    return {"at": at_s, "width": wide, "src": f"data:image/jpeg;base64,{text}"}
