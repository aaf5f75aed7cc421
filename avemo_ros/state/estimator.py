"""From face tracks and spectrogram chunks to the emotion of everyone at a moment.

Who is there and who speaks at time t is told by the images of the window that ends at t and by
the sound of one that ends a little earlier.  The network reads the newest parts of both, and
what it says goes into a filter for each person (`decision.py`).  All times are sensor
times, so a live stream and its replay give the same estimates.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import HOP_NS, SpectrogramChunk
from avemo_ros.config import EmotionConfig, EngagementConfig
from avemo_ros.errors import PredictionError
from avemo_ros.model.face_points import PRIOR_S, newest_frames, points_of_mesh
from avemo_ros.model.predictor import LandmarkWindow, Prediction, Predictor, SpeechEvidence
from avemo_ros.model.preprocess import MIN_COLUMNS
from avemo_ros.state.decision import EmotionFilter, PersonWindow, abstain, decide
from avemo_ros.state.engagement import EngagementChange, EngagementLevel, FaceEngagement
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep, Status, attended, nobody
from avemo_ros.state.history import (
    LONGEST_FRAME_NS,
    FaceHistory,
    FaceSample,
    RestingFace,
    SpeechHistory,
    SpeechWindow,
)
from avemo_ros.state.speaker import (
    SOUND_NS,
    TALKING_NS,
    Speakers,
    SpeakerTracker,
    recent_motion,
)
from avemo_ros.timing import APART_NS, MOST_PATIENCE_NS, Interval, RateLimiter, Stopwatch, to_ns
from avemo_ros.vision.face import FaceTrack, FrameTracks

_LATE_NS: Final = to_ns(0.1)
"""A hearing may be so much older than the period: chunks do not lie on its grid."""
_PRIOR_S: Final = {"slow": 30.0, "fast": PRIOR_S}
"""The mean face of everybody counts as much as so long of the person's own [s]."""
_LEAST_POINTS: Final = 5
"""Images with landmarks, from which on these can be a sequence."""
_RECENT_NS: Final = to_ns(0.5)
"""A distance is the median over this time: single meshes are off by some per cent."""
_GHOST_NS: Final = to_ns(2.0)
"""A voice of nobody in view has to last so long before it is a second person."""


class _Heard(NamedTuple):
    """What the network hears of a window, now or soon."""

    end_ns: int
    evidence: Future[SpeechEvidence]


class _Voice(NamedTuple):
    """A voice that is heard."""

    start_ns: int
    evidence: SpeechEvidence | None
    """Of its newest part; None where that has too little speech."""
    talking: bool


class _Presence:
    """Where one face is turned to, and how far it is."""

    def __init__(self, config: EngagementConfig) -> None:
        self._engagement = FaceEngagement(config)
        self._used_ns = -1
        self.level = EngagementLevel.UNKNOWN
        self.look: float | None = None
        self.distance: float | None = None

    def follow(self, now_ns: int, samples: Sequence[FaceSample]) -> EngagementLevel:
        """Take what is new among the samples of a window; none: the face is out of view."""
        for sample in samples:
            if sample.stamp_ns > self._used_ns:
                self._used_ns = sample.stamp_ns
                self._engagement.see(sample.stamp_ns, sample.looks_at_robot, sample.distance)
        recent = [one for one in samples if one.stamp_ns > now_ns - _RECENT_NS]
        looks = [one.looks_at_robot for one in recent[-1:]]
        self.look = _known_median(looks)
        self.distance = _known_median([one.distance for one in recent])
        return self._engagement.at(now_ns) if samples else EngagementLevel.UNKNOWN


def _known_median(values: Sequence[float]) -> float | None:
    """Of those that are not NaN."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else None


class EmotionEstimator:
    """Keeps the window of every face and of the voice, and estimates everyone at a moment.

    `engine.step_scheduler` decides when.  Not for several threads at once.

    Args:
        config: of the estimates.
        face_timeout_s: a face that was not found for longer is no longer in view [s].
        predictor: the network.
        stopwatch: measures the networks.
        executor: hears the voice beside the steps; None: in between, with the same result.
        engagement: when people count as engaged; None: as by default.
        person_of: who a face is, by its id; "" where that is not known.
        remembers: whether a person, by id, or the owner of a face may come back.
    """

    def __init__(
        self,
        config: EmotionConfig,
        face_timeout_s: float,
        predictor: Predictor,
        stopwatch: Stopwatch | None = None,
        executor: Executor | None = None,
        engagement: EngagementConfig | None = None,
        person_of: Callable[[str], str] = lambda _: "",
        remembers: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._config = config
        self._person_of = person_of
        self._remembers = remembers
        self._engagement = EngagementConfig() if engagement is None else engagement
        self._executor = executor
        self._predictor = predictor
        self._stopwatch = stopwatch if stopwatch is not None else Stopwatch()
        self._face_limiter = RateLimiter(config.face_rate_hz)
        self._min_speech_ns = to_ns(config.min_speech_s)
        self.limit_voice(config.voice_rate_hz)
        self._window_ns = to_ns(config.window_s)
        self._face_ns = min(to_ns(config.face_s), self._window_ns)
        self._voice_ns = min(to_ns(config.voice_s), self._window_ns)
        self._stale_ns = to_ns(config.stale_after_s)
        self._timeout_ns = to_ns(face_timeout_s)
        self._warm_up_ns = to_ns(config.warm_up_s)
        self._speaker = SpeakerTracker(config.attribution)
        self._voices = 0
        self.unanswered = 0
        """Questions to the network without an answer that is a number: nothing was claimed."""
        self.last_failure = ""
        self.clear()

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self._predictor.model_id

    def clear(self) -> None:
        """Forget every face and all sound; ids are not given again."""
        self._face_limiter.reset()
        self._looked: set[str] = set()
        self._heard: deque[_Heard] = deque()
        self._faces: dict[str, FaceHistory] = {}
        self._filters: dict[str, EmotionFilter] = {}
        """By the key of a person (`_key`), or by the id of a voice without a face."""
        self._resting: dict[str, RestingFace] = {}
        """By the same keys, of people who may come back."""
        self._presences: dict[str, _Presence] = {}
        """By face id, of everyone in view."""
        self._speaker.clear()
        self._sound = SpeechHistory(self._window_ns + APART_NS)
        self._sound_since_ns: int | None = None
        self._voice_id = ""
        self._unseen_since_ns: int | None = None
        self._in_view_ns: int | None = None
        self._frame_stamps: list[int] = []
        self._interval = Interval()
        self._first_ns: int | None = None
        self._seen_ns: int | None = None

    def forget(self, key: str) -> bool:
        """Forget one person, and all sound, which is not kept apart by people.

        Args:
            key: person id, face id, or voice id of a voice without a face.

        Returns:
            Whether there was anything to forget.
        """
        known = key in self._faces or key in self._filters or key in self._resting
        self._resting.pop(key, None)
        self._faces.pop(key, None)
        self._filters.pop(key, None)
        self._presences.pop(key, None)
        self._speaker.forget(key)
        if known:
            self._sound.clear()
            self._sound_since_ns = None
            self._heard.clear()
        return known

    @property
    def reads_landmarks(self) -> bool:
        """Whether resting faces are of any use to the model."""
        return self._predictor.reads_landmarks

    def resting_faces(self) -> dict[str, RestingFace]:
        """By face id, of everyone in the window, the largest face last."""
        newest = {face_id: history.newest for face_id, history in self._faces.items()}
        seen = sorted(newest, key=lambda face_id: newest[face_id].box.area)
        return {face_id: self._faces[face_id].resting for face_id in seen}

    def rename(self, before_key: str, key: str) -> None:
        """Somebody who was known by one person id goes on with another."""
        if before_key in self._filters:
            self._filters[key] = self._filters.pop(before_key)
        if before_key in self._resting:
            self._resting[key] = self._resting.pop(before_key)
        for history in self._faces.values():
            if history.key == before_key:
                history.key = key

    def forget_resting_faces(self) -> None:
        """Forget how everybody usually looks."""
        self._resting.clear()
        for history in self._faces.values():
            history.resting.forget()

    def limit_voice(self, rate_hz: float) -> None:
        """The speech network hears at most so often from now on [Hz]."""
        rate_hz = min(rate_hz, self._config.voice_rate_hz)
        self._voice_limiter = RateLimiter(rate_hz)
        self._voice_period_ns = to_ns(1.0 / rate_hz)

    # --- input

    def add_tracks(self, tracks: FrameTracks) -> None:
        """Take the faces of one image; stamps rise from call to call."""
        self._first_ns = tracks.stamp_ns if self._first_ns is None else self._first_ns
        self._frame_stamps.append(tracks.stamp_ns)
        self._interval.add(tracks.stamp_ns)
        looked = self._embed(self._due(tracks))
        for face in tracks.faces:
            history = self._faces.get(face.face_id)
            if history is None:
                history = FaceHistory(face.face_id, tracks.stamp_ns)
                history.resting = self._resting.get(face.face_id, history.resting)
                self._faces[face.face_id] = history
            self._know(history)
            good = face.quality >= self._config.min_face_quality
            points = self._points(tracks, face) if good else None
            history.add(tracks.stamp_ns, face, good, looked.get(face.face_id), points)
        # Also where no step is made, as while the sound is of another time.
        self._forget(tracks.stamp_ns - self._window_ns - APART_NS)

    def _know(self, history: FaceHistory) -> None:
        """A face whose owner has just become known goes on as that person."""
        key = self._person_of(history.face_id) or history.face_id
        before, history.key = history.key, key
        if key == before:
            return
        resting = self._resting.get(key)
        if before != history.face_id:
            # It was taken for somebody else: what was seen of it is not of this person.
            history.resting = RestingFace() if resting is None else resting
            return
        if before in self._filters:
            self._filters[key] = self._filters.pop(before)
        self._resting.pop(before, None)
        if resting is not None:
            resting.take_over(history.resting)
            history.resting = resting

    def add_speech(self, chunk: SpectrogramChunk) -> None:
        """Take the newest spectrogram columns, one or more; stamps as for `add_tracks`."""
        self._first_ns = chunk.stamp_ns if self._first_ns is None else self._first_ns
        before = self._sound.end_ns
        self._sound.add(chunk)
        joined = before is not None and abs(chunk.stamp_ns - (before + HOP_NS)) < HOP_NS
        if self._sound_since_ns is None or not joined:
            self._sound_since_ns = chunk.stamp_ns
        self._hear(chunk.end_ns)

    def _points(self, tracks: FrameTracks, face: FaceTrack) -> NDArray[np.float32] | None:
        """(68, 2) pixels of a face, where the network reads them."""
        if not self._predictor.reads_landmarks or face.landmarks is None:
            return None
        pixels = face.landmarks[:, :2] * np.array((tracks.width, tracks.height), np.float32)
        points: NDArray[np.float32] = points_of_mesh(pixels[None])[0]
        return points

    def _due(self, tracks: FrameTracks) -> list[FaceTrack]:
        """The faces that go through the network: those that can be read, each at most once in
        a period of `face_rate_hz`."""
        if self._face_limiter.is_due(tracks.stamp_ns):
            self._face_limiter.take(tracks.stamp_ns)
            self._looked.clear()
        faces = [
            face
            for face in tracks.faces
            if face.quality >= self._config.min_face_quality
            and face.face_id not in self._looked
        ]
        self._looked.update(face.face_id for face in faces)
        return faces

    def _embed(self, faces: list[FaceTrack]) -> dict[str, NDArray[np.float32]]:
        if not faces:
            return {}
        with self._stopwatch.measure("face_network"):
            vectors = self._predictor.embed_faces([face.crop for face in faces])
        return {face.face_id: vector for face, vector in zip(faces, vectors, strict=True)}

    # --- estimates

    def estimate(self, now_ns: int, sound_end_ns: int) -> EmotionStep:
        """Everyone at one moment.

        Args:
            now_ns: end of the faces' window [ns]; rises from call to call.
            sound_end_ns: end of the voice's window [ns].
        """
        seen = [stamp for stamp in self._frame_stamps if stamp <= now_ns]
        self._seen_ns = max(seen, default=self._seen_ns)
        start = now_ns - self._window_ns
        self._forget(start)
        frame_ns = seen[-1] if seen and seen[-1] > start else None
        sound = self._sound.between(sound_end_ns - self._window_ns, sound_end_ns)
        voice = self._voice(sound_end_ns, sound)
        views = self._in_view(start, now_ns)
        if views:
            self._in_view_ns = now_ns
        heard = self._sound.between(sound_end_ns - SOUND_NS, sound_end_ns)
        speakers = self._speaker.update(now_ns, sound_end_ns, views, heard)
        speaker = speakers.likeliest if speakers is not None and voice is not None else None
        estimates = [
            self._of_face(
                now_ns, face_id, samples, voice if face_id == speaker else None, speakers
            )
            for face_id, samples in views.items()
        ]
        unseen = voice is not None and speaker is None and self._is_unseen(now_ns, views)
        if speaker is not None or voice is None:
            self._unseen_since_ns = None
        known = voice is not None and (voice.evidence or self._voice_id in self._filters)
        if voice is not None and unseen and known:
            estimates.append(self._of_voice(now_ns, voice, speakers))
        changes = self._follow(now_ns, views)
        estimates = [self._with_presence(estimate) for estimate in estimates]
        return EmotionStep(
            now_ns,
            tuple(estimates),
            self._attended(now_ns, estimates),
            frame_ns,
            None if speakers is None else speakers.score(""),
            engagement_changes=changes,
        )

    def _follow(
        self, now_ns: int, views: Mapping[str, list[FaceSample]]
    ) -> tuple[EngagementChange, ...]:
        """Where everyone in view is turned to; whose level has changed."""
        changes = []
        for face_id in {**self._presences, **views}:
            presence = self._presences.setdefault(face_id, _Presence(self._engagement))
            level = presence.follow(now_ns, views.get(face_id, ()))
            if level is not presence.level:
                changes.append(EngagementChange(now_ns, face_id, presence.level, level))
                presence.level = level
        self._presences = {key: one for key, one in self._presences.items() if key in views}
        return tuple(changes)

    def _with_presence(self, estimate: EmotionEstimate) -> EmotionEstimate:
        presence = self._presences.get(estimate.face_id)
        if presence is None:
            return estimate
        return replace(
            estimate,
            engagement=presence.level,
            looks_at_robot=presence.look,
            distance=presence.distance,
        )

    def _is_unseen(self, now_ns: int, views: Mapping[str, list[FaceSample]]) -> bool:
        """Whether a voice that is no face's is of somebody out of view.

        While somebody is in view it is taken for a second person only when it has lasted: else
        one man becomes a face and a ghost.
        """
        if not views:
            # Who was there a moment ago may only be hidden.
            seen_ns = self._in_view_ns
            return seen_ns is None or now_ns - seen_ns >= _GHOST_NS
        if self._unseen_since_ns is None:
            self._unseen_since_ns = now_ns
        return now_ns - self._unseen_since_ns >= _GHOST_NS

    def _forget(self, start_ns: int) -> None:
        self._frame_stamps = [stamp for stamp in self._frame_stamps if stamp > start_ns]
        for face_id, history in list(self._faces.items()):
            history.forget(start_ns)
            if not history.between(start_ns, np.iinfo(np.int64).max):
                del self._faces[face_id]
                self._resting[history.key] = history.resting
        self._resting = {
            key: resting for key, resting in self._resting.items() if self._remembers(key)
        }
        there = {*(history.key for history in self._faces.values()), self._voice_id}
        self._filters = {key: one for key, one in self._filters.items() if key in there}

    def _hear(self, end_ns: int) -> None:
        """Let the network hear the newest window, ahead of the steps that need it."""
        # What begins is heard at once, and then in its period.
        newest_ns = self._heard[-1].end_ns if self._heard else None
        begins = newest_ns is None or newest_ns < end_ns - 2 * self._voice_period_ns
        if not begins and not self._voice_limiter.is_due(end_ns):
            return
        sound = self._sound.between(end_ns - self._voice_ns, end_ns)
        if self._is_enough(sound):
            self._listen(end_ns, sound)

    def _listen(self, end_ns: int, sound: SpeechWindow) -> _Heard:
        self._voice_limiter.take(end_ns)
        if self._executor is None:
            future: Future[SpeechEvidence] = Future()
            try:
                future.set_result(self._read_voice(sound.power_db))
            except Exception as error:  # noqa: BLE001  met by who asks for the result
                future.set_exception(error)
        else:
            future = self._executor.submit(self._read_voice, sound.power_db)
        self._heard.append(_Heard(end_ns, future))
        while self._heard[0].end_ns < end_ns - self._window_ns - APART_NS:
            self._heard.popleft()
        return self._heard[-1]

    def _read_voice(self, power_db: NDArray[np.float32]) -> SpeechEvidence:
        with self._stopwatch.measure("speech_network"):
            return self._predictor.speech_evidence(power_db)

    def _is_enough(self, sound: SpeechWindow) -> bool:
        """Whether a window holds enough speech for the voice to count."""
        spoken_ns = HOP_NS * self._spoken(sound)
        return len(sound.speech) >= MIN_COLUMNS and spoken_ns >= self._min_speech_ns

    def _spoken(self, sound: SpeechWindow) -> int:
        return int(np.count_nonzero(sound.speech >= self._config.speech_threshold))

    def _voice(self, end_ns: int, sound: SpeechWindow) -> _Voice | None:
        """The voice of a window; None where it holds too little speech.

        It stays the same voice until a window holds none.
        """
        if not self._is_enough(sound):
            if self._spoken(sound) == 0:
                self._voice_id = ""
            return None
        if not self._voice_id:
            self._voices += 1
            self._voice_id = f"v{self._voices:04d}"
        newest = sound.speech[sound.stamps_ns() > end_ns - TALKING_NS]
        talking = bool(np.any(newest >= self._config.speech_threshold))
        return _Voice(sound.start_ns, self._speech_evidence(end_ns), talking)

    def _speech_evidence(self, end_ns: int) -> SpeechEvidence | None:
        """What the network has heard of the newest part of the voice, if that has enough
        speech."""
        sound = self._sound.between(end_ns - self._voice_ns, end_ns)
        if not self._is_enough(sound):
            return None
        oldest_ns = end_ns - min(self._voice_period_ns + _LATE_NS, self._window_ns // 2)
        fitting = (one for one in reversed(self._heard) if oldest_ns < one.end_ns <= end_ns)
        heard = next(fitting, None) or self._listen(end_ns, sound)
        try:
            return heard.evidence.result()
        except Exception as error:  # noqa: BLE001  counted and told; the face is read all the same
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        self.unanswered += 1
        self.last_failure = f"{type(error).__name__}: {error}"

    def _in_view(self, start_ns: int, now_ns: int) -> dict[str, list[FaceSample]]:
        """Samples within the window of every face that is in view, largest face first."""
        views = {
            face_id: history.between(start_ns, now_ns)
            for face_id, history in self._faces.items()
        }
        hold_ns = self._interval.patience_ns(self._timeout_ns, MOST_PATIENCE_NS)
        present = {
            face_id: samples
            for face_id, samples in views.items()
            if samples and samples[-1].stamp_ns > now_ns - hold_ns
        }
        ordered = sorted(present.items(), key=lambda item: (-item[1][-1].box.area, item[0]))
        return dict(ordered)

    def _of_face(
        self,
        now_ns: int,
        face_id: str,
        samples: list[FaceSample],
        voice: _Voice | None,
        speakers: Speakers | None,
    ) -> EmotionEstimate:
        seen_ns = sum(sample.lasted_ns for sample in samples if sample.usable)
        embeddings = [
            (sample.stamp_ns, sample.embedding)
            for sample in samples
            if sample.embedding is not None
        ]
        has_face = bool(embeddings) and seen_ns >= self._least_face_ns()
        window_start = samples[0].stamp_ns
        if voice is not None:
            window_start = min(window_start, voice.start_ns)
        person = PersonWindow(
            stamp_ns=now_ns,
            window_start_ns=window_start,
            model_id=self.model_id,
            person_id=self._person_of(face_id),
            face_id=face_id,
            voice_id=self._voice_id if voice is not None else "",
            box=samples[-1].box,
            speaking=voice is not None and voice.talking,
            speaking_score=None if speakers is None else speakers.score(face_id),
        )
        if now_ns - self._faces[face_id].first_ns < self._warm_up_ns:
            return abstain(person, Status.WARMING_UP)
        if not has_face and voice is None:
            return abstain(person, Status.LOW_QUALITY)
        start_ns = now_ns - self._interval.patience_ns(self._face_ns, self._window_ns)
        newest = [embedding for stamp_ns, embedding in embeddings if stamp_ns > start_ns]
        faces, landmarks = None, None
        if has_face and newest:
            faces = np.stack(newest)
            landmarks = self._landmarks(samples, self._faces[face_id])
        heard = None if voice is None else voice.evidence
        return self._claim(self._faces[face_id].key, person, faces, heard, landmarks)

    def _landmarks(
        self, samples: list[FaceSample], history: FaceHistory
    ) -> LandmarkWindow | None:
        """How a face that talks moves: the network has learned from people who talk."""
        prior_s = _PRIOR_S.get(self._config.personal_neutral)
        seen = [sample for sample in samples if sample.points is not None]
        if prior_s is None or len(seen) < _LEAST_POINTS or not self._is_talking(samples):
            return None
        points = np.stack([sample.points for sample in seen if sample.points is not None])
        times_s = np.array([sample.stamp_ns - seen[0].stamp_ns for sample in seen]) / 1e9
        frames = newest_frames(points, times_s)
        neutral, weight = history.resting.mean(prior_s)
        if frames is None or neutral is None:
            return None
        return LandmarkWindow(frames, neutral, weight)

    def _is_talking(self, samples: list[FaceSample]) -> bool:
        motion = recent_motion(samples)
        return motion is not None and motion >= self._config.min_mouth_motion

    def _least_face_ns(self) -> int:
        """Time of usable face that is asked for: no more than a slow camera can give."""
        images = max(1, self._window_ns // max(1, self._interval.usual_ns))
        return min(to_ns(self._config.min_face_s), images * LONGEST_FRAME_NS)

    def _of_voice(
        self, now_ns: int, voice: _Voice, speakers: Speakers | None
    ) -> EmotionEstimate:
        person = PersonWindow(
            stamp_ns=now_ns,
            window_start_ns=voice.start_ns,
            model_id=self.model_id,
            voice_id=self._voice_id,
            speaking=voice.talking,
            speaking_score=None if speakers is None else speakers.score(""),
        )
        assert self._sound_since_ns is not None  # there is a voice, so there was sound
        if now_ns - self._sound_since_ns < self._warm_up_ns:
            return abstain(person, Status.WARMING_UP)
        return self._claim(self._voice_id, person, None, voice.evidence)

    def _claim(
        self,
        key: str,
        person: PersonWindow,
        faces: NDArray[np.float32] | None,
        evidence: SpeechEvidence | None,
        landmarks: LandmarkWindow | None = None,
    ) -> EmotionEstimate:
        """What is known of a person with what the network says now; nothing where that is no
        number."""
        said: Prediction | None = None
        if faces is not None or evidence is not None:
            try:
                with self._stopwatch.measure("fusion"):
                    said = self._predictor.predict(faces, evidence, landmarks)
            except PredictionError as error:
                self._fail(error)
                return abstain(person, Status.LOW_QUALITY)
        if key not in self._filters:
            self._filters[key] = EmotionFilter(self._config.filter_s, self._config.window_s)
        known = self._filters[key].push(person.stamp_ns, said)
        if known is None:
            return abstain(person, Status.LOW_QUALITY)
        return decide(person, known, self._config.min_confidence)

    def _attended(self, now_ns: int, estimates: list[EmotionEstimate]) -> EmotionEstimate:
        """Who speaks, else the largest face, else the voice without a face, else nobody."""
        somebody = attended(estimates)
        if somebody is not None:
            return somebody
        stale_ns = self._interval.patience_ns(self._stale_ns, MOST_PATIENCE_NS)
        if self._first_ns is None or now_ns - self._first_ns < self._warm_up_ns:
            status = Status.WARMING_UP
        elif self._seen_ns is not None and now_ns - self._seen_ns > stale_ns:
            # The camera has died: whether somebody is there is not known.
            status = Status.STALE_INPUT
        else:
            status = Status.NOBODY
        return nobody(now_ns, status, self.model_id)
