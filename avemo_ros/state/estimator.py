"""From face tracks and spectrogram chunks to the emotion of everyone, at a steady hop.

An estimate at time t rests on the pictures and the sound of the window that ends at t, and
on nothing else: when both streams have reached t it is made, in whatever order they came
(`HopSchedule`).  All times are sensor times, so a live stream and its replay give the same
estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.audio.chunk import HOP_NS, SpectrogramChunk
from avemo_ros.clock import to_ns, to_s
from avemo_ros.config import EmotionConfig
from avemo_ros.model.predictor import Prediction, Predictor, SpeechEvidence
from avemo_ros.model.preprocess import MIN_COLUMNS
from avemo_ros.state.decision import Person, claim, no_claim
from avemo_ros.state.estimate import EmotionEstimate, Hop, Status
from avemo_ros.state.history import FaceHistory, FaceSample, Speech, SpeechHistory
from avemo_ros.state.looks import Looks
from avemo_ros.state.schedule import HopSchedule, Order, Stream
from avemo_ros.state.speaker import find_speaker, mouth_motion
from avemo_ros.stopwatch import Stopwatch
from avemo_ros.vision.face import FaceTrack, FrameTracks
from avemo_ros.vision.turns import Turns

_SPEAKING_NS: Final = to_ns(0.3)
"""Who was heard within this time before the window's end is speaking."""


@dataclass(slots=True)
class Counters:
    """What did not go as planned; all of it is reported, none of it stops the stream."""

    hops: int = 0
    skipped_hops: int = 0
    """Hops left out because time jumped ahead or a live system had fallen behind."""
    resets: int = 0
    late_frames: int = 0
    late_chunks: int = 0
    """Input whose stamp is not after the one before; it is left out."""


class EmotionEstimator:
    """Keeps the window of every face and of the voice; not for several threads at once."""

    def __init__(
        self, config: EmotionConfig, predictor: Predictor, stopwatch: Stopwatch | None = None
    ) -> None:
        self._config = config
        self._predictor = predictor
        self._stopwatch = stopwatch if stopwatch is not None else Stopwatch()
        self._schedule = HopSchedule(config)
        self._looks = Looks(config)
        self._listens = Turns(config.voice_rate_hz)
        self._window_ns = to_ns(config.window_s)
        self._stale_ns = to_ns(config.stale_after_s)
        self._hold_ns = to_ns(config.face_hold_s)
        self._warm_up_ns = to_ns(config.warm_up_s)
        self.counters = Counters()
        self.last_reset = ""
        """Why the estimator last started anew; empty if it never did."""
        self._voices = 0
        self._clear()

    @property
    def model_id(self) -> str:
        """Name of the model that the estimates come from."""
        return self._predictor.model_id

    @property
    def sound_lead_ns(self) -> int | None:
        """How far sound is ahead of pictures [ns]; None unless both have come.

        Some hundred milliseconds are usual; seconds mean that the two are stamped by
        different clocks and never meet in one window.
        """
        frames_ns = self._schedule.reached(Stream.PICTURES)
        sound_ns = self._schedule.reached(Stream.SOUND)
        return None if frames_ns is None or sound_ns is None else sound_ns - frames_ns

    def reset(self, reason: str = "asked to") -> None:
        """Forget every face, all sound and the time."""
        self.counters.resets += 1
        self.last_reset = reason
        self._clear()

    def _clear(self) -> None:
        self._schedule.clear()
        self._looks.clear()
        self._evidence: SpeechEvidence | None = None
        self._faces: dict[str, FaceHistory] = {}
        self._sound = SpeechHistory(self._window_ns)
        self._sound_since_ns: int | None = None
        self._voice_id = ""
        self._frame_stamps: list[int] = []
        self._seen_ns: int | None = None

    # --- input

    def push_tracks(
        self, tracks: FrameTracks, embeddings: Mapping[str, NDArray[np.float32]] | None = None
    ) -> list[Hop]:
        """Take the faces of one picture.

        Args:
            tracks: stamps rise from call to call; one that goes back by more than
                `stale_after_s` starts everything anew, a smaller step back is left out.
            embeddings: of faces that the predictor embedded already, by their ids; who reads
                a recording can embed many at once.

        Returns:
            The estimates that have become due, oldest first.
        """
        if not self._take(Stream.PICTURES, tracks.stamp_ns):
            self.counters.late_frames += 1
            return []
        self._frame_stamps.append(tracks.stamp_ns)
        looked = self._embed(self._looks.due(tracks), embeddings or {})
        for face in tracks.faces:
            history = self._faces.get(face.face_id)
            if history is None:
                history = FaceHistory(face.face_id, tracks.stamp_ns)
                self._faces[face.face_id] = history
            good = face.quality >= self._config.min_face_quality
            history.add(tracks.stamp_ns, face, good, looked.get(face.face_id))
        return self._estimates(self._schedule.due())

    def push_speech(self, chunk: SpectrogramChunk) -> list[Hop]:
        """Take the newest spectrogram columns; stamps as for `push_tracks`.

        Returns:
            The estimates that have become due, oldest first.
        """
        if len(chunk.speech) == 0:
            return []
        if not self._take(Stream.SOUND, chunk.end_ns):
            self.counters.late_chunks += 1
            return []
        before = self._sound.end_ns
        self._sound.add(chunk)
        joined = before is not None and abs(chunk.stamp_ns - (before + HOP_NS)) < HOP_NS
        if self._sound_since_ns is None or not joined:
            self._sound_since_ns = chunk.stamp_ns
        return self._estimates(self._schedule.due())

    def pass_pictures(self, stamp_ns: int) -> list[Hop]:
        """Let time pass by a picture that is not looked at, so that no estimate waits for the
        next one that is.  What the estimates say does not depend on it.

        Returns:
            The estimates that have become due, oldest first.
        """
        if self._schedule.order(Stream.PICTURES, stamp_ns) is not Order.NEXT:
            return []
        self._schedule.take(Stream.PICTURES, stamp_ns)
        return self._estimates(self._schedule.due())

    def flush(self) -> list[Hop]:
        """Make the estimates that still wait for the slower stream, at the end of a file."""
        return self._estimates(self._schedule.due(all_input=True))

    def tick(self, now_ns: int) -> list[Hop]:
        """Say so when the input has stopped; call it from time to time in a live system.

        Args:
            now_ns: present time on the clock that stamps pictures and sound [ns].
        """
        hop_ns = self._schedule.silent_hop(now_ns)
        return [] if hop_ns is None else [self.stale(hop_ns)]

    def skip_to(self, stamp_ns: int) -> None:
        """Leave out the estimates due before `stamp_ns` [ns]: a live system that has fallen
        behind catches up with it."""
        self._schedule.skip_to(stamp_ns)
        self.counters.skipped_hops = self._schedule.skipped

    def stale(self, stamp_ns: int) -> Hop:
        """The hop that says: pictures and sound are too old to claim anything."""
        person = Person(stamp_ns, stamp_ns, self.model_id)
        nobody = no_claim(person, Status.STALE_INPUT)
        return Hop(stamp_ns, (), nobody, None)

    def _take(self, stream: Stream, stamp_ns: int) -> bool:
        """Let a stream come to `stamp_ns`; False when the input is to be left out."""
        order = self._schedule.order(stream, stamp_ns)
        if order is Order.LATE:
            return False
        if order is Order.JUMP_BACK:
            before_ns = self._schedule.reached(stream) or 0
            self.reset(f"time jumped back by {to_s(before_ns - stamp_ns):.2f} s")
        self._schedule.take(stream, stamp_ns)
        return True

    def _embed(
        self, faces: list[FaceTrack], known: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        made = {face.face_id: known[face.face_id] for face in faces if face.face_id in known}
        left = [face for face in faces if face.face_id not in made]
        if left:
            with self._stopwatch.measure("face_network"):
                vectors = self._predictor.embed_faces([face.crop for face in left])
            made |= {face.face_id: vector for face, vector in zip(left, vectors, strict=True)}
        return made

    # --- estimates

    def _estimates(self, hops_ns: Iterable[int]) -> list[Hop]:
        hops = [self._estimate(hop_ns) for hop_ns in hops_ns]
        self.counters.hops += len(hops)
        self.counters.skipped_hops = self._schedule.skipped
        return hops

    def _estimate(self, now_ns: int) -> Hop:
        start = now_ns - self._window_ns
        seen = (stamp for stamp in self._frame_stamps if stamp <= now_ns)
        self._seen_ns = max(seen, default=self._seen_ns)
        self._forget(start)
        frames = [stamp for stamp in self._frame_stamps if stamp <= now_ns]
        frame_ns = frames[-1] if frames else None
        sound = self._sound.between(start, now_ns)
        evidence = self._speech_evidence(now_ns, sound)
        talking = evidence is not None and self._talking(sound, now_ns)
        views = self._in_view(start, now_ns)
        speaker = None
        if evidence is not None:
            motions = {
                face_id: mouth_motion(samples, sound, self._config.speech_threshold)
                for face_id, samples in views.items()
            }
            speaker = find_speaker(
                motions, self._config.min_mouth_motion, self._config.attribution
            )
        estimates = [
            self._of_face(
                now_ns,
                face_id,
                samples,
                evidence if face_id == speaker else None,
                talking,
                sound,
            )
            for face_id, samples in views.items()
        ]
        if evidence is not None and speaker is None:
            estimates.append(self._of_voice(now_ns, evidence, talking, sound))
        attended = self._attended(now_ns, estimates)
        return Hop(now_ns, tuple(estimates), attended, frame_ns)

    def _forget(self, start_ns: int) -> None:
        self._frame_stamps = [stamp for stamp in self._frame_stamps if stamp > start_ns]
        for face_id, history in list(self._faces.items()):
            history.forget(start_ns)
            if not history.between(start_ns, np.iinfo(np.int64).max):
                del self._faces[face_id]

    def _speech_evidence(self, now_ns: int, sound: Speech) -> SpeechEvidence | None:
        """What the network hears, or heard a moment ago, if the window holds enough speech."""
        spoken = int(np.count_nonzero(sound.speech >= self._config.speech_threshold))
        if len(sound.speech) < MIN_COLUMNS or spoken * HOP_NS < to_ns(
            self._config.min_speech_s
        ):
            if spoken == 0:
                self._voice_id = ""
            self._evidence = None
            return None
        if not self._voice_id:
            self._voices += 1
            self._voice_id = f"v{self._voices:04d}"
        if self._evidence is None or self._listens.is_due(now_ns):
            self._listens.take(now_ns)
            with self._stopwatch.measure("speech_network"):
                self._evidence = self._predictor.speech_evidence(sound.power_db)
        return self._evidence

    def _talking(self, sound: Speech, now_ns: int) -> bool:
        newest = sound.speech[sound.stamps_ns() > now_ns - _SPEAKING_NS]
        return bool(np.any(newest >= self._config.speech_threshold))

    def _in_view(self, start_ns: int, now_ns: int) -> dict[str, list[FaceSample]]:
        """Samples within the window of every face that is in view, largest face first."""
        views = {
            face_id: history.between(start_ns, now_ns)
            for face_id, history in self._faces.items()
        }
        present = {
            face_id: samples
            for face_id, samples in views.items()
            if samples and samples[-1].stamp_ns > now_ns - self._hold_ns
        }
        ordered = sorted(present.items(), key=lambda item: (-item[1][-1].box.area, item[0]))
        return dict(ordered)

    def _of_face(
        self,
        now_ns: int,
        face_id: str,
        samples: list[FaceSample],
        evidence: SpeechEvidence | None,
        talking: bool,
        sound: Speech,
    ) -> EmotionEstimate:
        seen_ns = sum(sample.lasted_ns for sample in samples if sample.usable)
        embeddings = [sample.embedding for sample in samples if sample.embedding is not None]
        has_face = bool(embeddings) and seen_ns >= to_ns(self._config.min_face_s)
        window_start = samples[0].stamp_ns
        if evidence is not None:
            window_start = min(window_start, sound.start_ns)
        person = Person(
            stamp_ns=now_ns,
            window_start_ns=window_start,
            model_id=self.model_id,
            face_id=face_id,
            voice_id=self._voice_id if evidence is not None else "",
            box=samples[-1].box,
            speaking=evidence is not None and talking,
        )
        if now_ns - self._faces[face_id].first_ns < self._warm_up_ns:
            return no_claim(person, Status.WARMING_UP)
        if not has_face and evidence is None:
            return no_claim(person, Status.LOW_QUALITY)
        prediction = self._predict(np.stack(embeddings) if has_face else None, evidence)
        return claim(person, prediction, self._config.min_confidence)

    def _of_voice(
        self, now_ns: int, evidence: SpeechEvidence, talking: bool, sound: Speech
    ) -> EmotionEstimate:
        person = Person(
            stamp_ns=now_ns,
            window_start_ns=sound.start_ns,
            model_id=self.model_id,
            voice_id=self._voice_id,
            speaking=talking,
        )
        assert self._sound_since_ns is not None  # there is evidence, so there was sound
        if now_ns - self._sound_since_ns < self._warm_up_ns:
            return no_claim(person, Status.WARMING_UP)
        return claim(person, self._predict(None, evidence), self._config.min_confidence)

    def _predict(
        self, faces: NDArray[np.float32] | None, evidence: SpeechEvidence | None
    ) -> Prediction:
        with self._stopwatch.measure("fusion"):
            return self._predictor.predict(faces, evidence)

    def _attended(self, now_ns: int, estimates: list[EmotionEstimate]) -> EmotionEstimate:
        """Who speaks, else the largest face, else the voice without a face, else nobody."""
        for estimate in estimates:
            if estimate.speaking and estimate.face_id:
                return estimate
        if estimates:
            return estimates[0]
        first_ns = self._schedule.first_ns
        assert first_ns is not None  # hops are made only after an input
        nobody = Person(now_ns, now_ns, self.model_id)
        if now_ns - first_ns < self._warm_up_ns:
            return no_claim(nobody, Status.WARMING_UP)
        if self._seen_ns is not None and now_ns - self._seen_ns > self._stale_ns:
            # The camera has died: whether somebody is there is not known.
            return no_claim(nobody, Status.STALE_INPUT)
        return no_claim(nobody, Status.NO_FACE)
