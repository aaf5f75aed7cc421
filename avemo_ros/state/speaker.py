"""Who speaks: how likely each face in view, or somebody unseen, makes the sound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avemo_ros.model.active_speaker import (
    AROUND,
    FLOOR_S,
    FRAMES,
    NOW,
    RATE_HZ,
    active_speaker_network,
    bands,
    heard_columns,
    mouth_frames,
    noise_floor,
    sound_inputs,
)
from avemo_ros.state.history import FaceSample, SpeechWindow
from avemo_ros.timing import RateLimiter, to_ns, to_s

SOUND_NS: Final = to_ns(FLOOR_S)
"""Length of the sound that `SpeakerTracker.update` asks for [ns]."""
TALKING_NS: Final = to_ns(0.3)
"""Who was heard within this time before the window's end is speaking [ns]."""
_LEAST_SAMPLES: Final = 5
_LEAST_NS: Final = to_ns(0.8)
"""A mouth that was seen in fewer samples, or for a shorter time, is not known to be still."""
_RECENT_NS: Final = to_ns(1.5)

_TIMES_NS: Final = np.round(np.arange(1 - FRAMES, 1) * (1e9 / RATE_HZ)).astype(np.int64)
_AROUND_NS: Final = np.round(
    np.arange(1 - FRAMES - AROUND, 1 + AROUND) * (1e9 / RATE_HZ)
).astype(np.int64)
_AHEAD_NS: Final = int(_AROUND_NS[-1])
"""The mouth's filter looks so far beyond the window."""
_HEARD_NS: Final = to_ns(0.05)
"""The network hears so far beyond a frame."""

MOST_OFFSET_S: Final = 0.3
"""The sound is taken to be late or early by no more than this [s]."""
_OFFSETS_NS: Final = np.arange(-6, 7) * to_ns(0.05)
_USUAL_OFFSET_NS: Final = to_ns(0.1)
"""Standard deviation of offsets, before anything is known."""
_LEARN_HZ: Final = 2.0
_LEARN_SHARE: Final = 0.3
"""Of what a window says counts, since windows overlap."""
_REMEMBERED_S: Final = 60.0


_ALONE: Final = 0.2
"""Share from which an only face in view has the voice."""


class Speakers(NamedTuple):
    """Who speaks."""

    shares: dict[str, float]
    """By face id, how likely it is one of those who speak, given that somebody does; several
    may speak at once."""
    unseen: float
    """The same of somebody who is not in view; the faces and this leave nothing out."""
    speech: float
    """Probability that somebody speaks at the window's end."""

    def score(self, face_id: str) -> float | None:
        """How likely a face speaks at the window's end; "": somebody unseen.  None for a face
        that is not in view."""
        share = self.shares.get(face_id) if face_id else self.unseen
        return None if share is None else share * self.speech

    @property
    def likeliest(self) -> str | None:
        """The face whose voice is heard; None where it is more likely nobody's in view.

        An only face has the voice unless that is unlikely: one person and no other is what a
        robot meets most often.
        """
        face_id = max(self.shares, key=self.shares.__getitem__, default=None)
        if face_id is None:
            return None
        least = _ALONE if len(self.shares) == 1 else self.unseen
        return face_id if self.shares[face_id] > least else None


class SpeakerTracker:
    """Follows who speaks, and by how much the sound is late.

    Each mouth is compared with the sound (`model/active_speaker.py`).  How much later than
    the images the sound is stamped is learned from the faces that speak, over a minute or so.
    While it is quiet, who spoke last is still held to be whose voice it was.

    Args:
        rule: "mouth", or "single": an only face in view has every voice
            (`EmotionConfig.attribution`).
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._network = active_speaker_network()
        self.clear()

    def clear(self) -> None:
        """Forget who spoke, and how late the sound is."""
        self._odds: dict[str, float] = {}
        self._learned = np.zeros(len(_OFFSETS_NS))
        self._limiter = RateLimiter(_LEARN_HZ)
        self._learned_ns: int | None = None
        self._offset_ns = 0

    def forget(self, face_id: str) -> None:
        """Forget whether a face spoke."""
        self._odds.pop(face_id, None)

    @property
    def offset_s(self) -> float:
        """How much later sound is stamped than the movement that made it [s]."""
        return to_s(self._offset_ns)

    def update(
        self,
        now_ns: int,
        sound_end_ns: int,
        views: Mapping[str, Sequence[FaceSample]],
        sound: SpeechWindow,
    ) -> Speakers | None:
        """Who speaks now.

        Args:
            now_ns: end of the faces' window [ns]; rises from call to call.
            sound_end_ns: end of the voice's window [ns].
            views: face id -> its samples of the window, oldest first, of everyone in view.
            sound: of the last SOUND_NS, as far as it is known.

        Returns:
            None without sound.
        """
        if len(sound.speech) == 0:
            return None
        newest = sound.speech[sound.stamps_ns() > sound_end_ns - TALKING_NS]
        speech = float(newest.max(initial=0.0))
        hidden = self._network.hidden
        self._odds = {face_id: self._odds.get(face_id, hidden) for face_id in views}
        if speech >= _QUIET and views:
            self._compare(now_ns, sound_end_ns, views, sound)
        if self._rule == "single" and len(views) == 1:
            return Speakers(dict.fromkeys(views, 1.0), 0.0, speech)
        shares, unseen = self._network.shares(list(self._odds.values()))
        return Speakers(dict(zip(self._odds, shares, strict=True)), unseen, speech)

    def _compare(
        self,
        now_ns: int,
        sound_end_ns: int,
        views: Mapping[str, Sequence[FaceSample]],
        sound: SpeechWindow,
    ) -> None:
        levels = bands(sound.power_db)
        ear = _Ear(levels, noise_floor(levels), sound)
        end_ns = min(now_ns - _AHEAD_NS, sound_end_ns - _HEARD_NS - self._offset_ns)
        seen = {face_id: one for face_id, one in views.items() if _is_seen(one)}
        for face_id in views.keys() - seen.keys():
            self._odds[face_id] = self._network.hidden
        if not seen:
            return
        mouths = np.stack([_mouth(samples, end_ns) for samples in seen.values()])
        inputs, speech = ear.inputs(end_ns + self._offset_ns + _TIMES_NS)
        odds = self._network.match(self._network.hear(inputs[None]), speech[None], mouths)
        self._odds.update(zip(seen, odds.tolist(), strict=True))
        if self._limiter.is_due(now_ns):
            self._limiter.take(now_ns)
            self._learn(now_ns, sound_end_ns, seen, ear)

    def _learn(
        self,
        now_ns: int,
        sound_end_ns: int,
        seen: Mapping[str, Sequence[FaceSample]],
        ear: _Ear,
    ) -> None:
        """Take all mouths against the sound at all offsets."""
        end_ns = min(now_ns - _AHEAD_NS, sound_end_ns - _HEARD_NS - int(_OFFSETS_NS[-1]))
        inputs = [ear.inputs(end_ns + int(offset) + _TIMES_NS) for offset in _OFFSETS_NS]
        heard, speech = (np.stack(part) for part in zip(*inputs, strict=True))
        heard = self._network.hear(heard)
        mouths = [_mouth(samples, end_ns)[None] for samples in seen.values()]
        odds = [self._network.match(heard, speech, mouth) for mouth in mouths]
        passed_s = to_s(now_ns - (self._learned_ns or now_ns))
        self._learned_ns = now_ns
        self._learned *= math.exp(-passed_s / _REMEMBERED_S)
        self._learned += _LEARN_SHARE * self._network.evidence(np.stack(odds, axis=1))
        likely = self._learned - (_OFFSETS_NS / _USUAL_OFFSET_NS) ** 2 / 2
        likely = np.exp(likely - likely.max())
        self._offset_ns = round(float((likely * _OFFSETS_NS).sum() / likely.sum()))


_QUIET: Final = 0.2
"""Below this probability of speech nothing new is learned of who speaks."""


class _Ear(NamedTuple):
    """What the network can hear of a sound."""

    levels: NDArray[np.float32]
    floor: NDArray[np.float32]
    sound: SpeechWindow

    def inputs(
        self, times_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, INPUTS) and the probability of speech (n,), at these times."""
        columns = heard_columns(times_ns, self.sound.start_ns, len(self.levels))
        speech = self.sound.speech[columns]
        return sound_inputs(self.levels[columns], self.floor, speech), speech[:, NOW]


def _is_seen(samples: Sequence[FaceSample]) -> bool:
    """Whether a mouth was seen for long enough, and in most of the newest images."""
    seen = [sample.stamp_ns for sample in samples if not math.isnan(sample.mouth_opening)]
    recent = [one for one in samples if one.stamp_ns > samples[-1].stamp_ns - _RECENT_NS]
    # Of a mouth behind a hand the few frames that seem to show it prove no silence.
    hidden = sum(math.isnan(one.mouth_opening) for one in recent)
    long = len(seen) >= _LEAST_SAMPLES and seen[-1] - seen[0] >= _LEAST_NS
    return long and 2 * hidden <= len(recent)


def _mouth(samples: Sequence[FaceSample], end_ns: int) -> NDArray[np.float32]:
    """(FRAMES + 2 AROUND,) of a window that ends there [ns]."""
    seen = [one for one in samples if not math.isnan(one.mouth_opening)]
    stamps = np.array([one.stamp_ns for one in seen], np.int64)
    return mouth_frames(
        np.array([one.mouth_opening for one in seen]), stamps, end_ns + _AROUND_NS
    )


def recent_motion(samples: Sequence[FaceSample]) -> float | None:
    """How much a mouth has moved of late, whatever is heard.

    Args:
        samples: the face's samples of the window, at least one.

    Returns:
        Standard deviation of the mouth opening over the frames of the newest 1.5 s, in eye
        distances; None when the mouth was not seen in five and half of them.
    """
    recent = [s for s in samples if s.stamp_ns > samples[-1].stamp_ns - _RECENT_NS]
    openings = np.array([sample.mouth_opening for sample in recent])
    seen = openings[~np.isnan(openings)]
    if len(seen) < max(_LEAST_SAMPLES, len(openings) / 2):
        return None
    return float(np.std(seen))
