"""Finds the speaker: the face whose mouth moves during speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.state.history import FaceSample, SpeechWindow
from avemo_ros.timing import to_ns

_LEAST_SAMPLES: Final = 5
_RECENT_NS: Final = to_ns(1.5)
"""Only the newest speech counts, so that the floor can change hands within a window."""
_LEAD: Final = 1.3
"""Among several moving mouths the busiest speaks if it leads the next by this factor."""


def mouth_motion(
    samples: Sequence[FaceSample], speech: SpeechWindow, threshold: float
) -> float | None:
    """How much a mouth moves while speech is heard.

    Args:
        samples: the face's samples of the window.
        speech: the sound of the same window.
        threshold: speech probability from which sound counts as speech.

    Returns:
        Standard deviation of the mouth opening over the frames of the newest 1.5 s with
        speech, in eye distances; None when the mouth was not seen in five and half of them.
    """
    if len(speech.speech) == 0:
        return None
    stamps = np.array([sample.stamp_ns for sample in samples], np.int64)
    openings = np.array([sample.mouth_opening for sample in samples])
    columns = np.searchsorted(speech.stamps_ns(), stamps)
    inside = columns < len(speech.speech)
    heard = inside & (speech.speech[np.where(inside, columns, 0)] >= threshold)
    if not heard.any():
        return None
    return _deviation(openings[heard & (stamps > stamps[heard][-1] - _RECENT_NS)])


def _deviation(openings: NDArray[np.float64]) -> float | None:
    """Of mouth openings, NaN where the mouth was not seen."""
    seen = openings[~np.isnan(openings)]
    # Of a mouth behind a hand the few frames that seem to show it prove no silence.
    if len(seen) < max(_LEAST_SAMPLES, len(openings) / 2):
        return None
    return float(np.std(seen))


def recent_motion(samples: Sequence[FaceSample]) -> float | None:
    """How much a mouth has moved of late, whatever is heard.

    Args:
        samples: the face's samples of the window.

    Returns:
        As `mouth_motion`, over all frames of the newest 1.5 s.
    """
    recent = [s for s in samples if s.stamp_ns > samples[-1].stamp_ns - _RECENT_NS]
    openings = np.array([sample.mouth_opening for sample in recent])
    return _deviation(openings)


def find_speaker(motions: Mapping[str, float | None], least: float, rule: str) -> str | None:
    """Whose voice is heard.

    Args:
        motions: face id -> `mouth_motion` of everyone in view.
        least: motion from which a mouth moves, in eye distances.
        rule: "mouth" or "single" (EmotionConfig.attribution).

    Returns:
        The speaker's face id; None when nobody in view can be told to speak.  With one face
        in view whose mouth cannot be seen (covered, or too far for a mesh) the voice is that
        face's: the alternative, a second person out of view, is the less likely one.
    """
    if len(motions) == 1:
        face_id, motion = next(iter(motions.items()))
        if rule == "single" or motion is None or motion >= least:
            return face_id
        return None
    moving = sorted(
        ((motion, face_id) for face_id, motion in motions.items() if motion is not None),
        reverse=True,
    )
    if not moving or moving[0][0] < least:
        return None
    if len(moving) > 1 and moving[0][0] < _LEAD * moving[1][0]:
        return None
    return moving[0][1]
