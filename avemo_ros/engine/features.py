"""Face tracks and spectrogram chunks that come from outside: of another node, or recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from avemo_ros.audio.chunk import HOP_NS, SpectrogramChunk
from avemo_ros.config import InputConfig
from avemo_ros.timing import Reporter, StampFilter
from avemo_ros.vision.face import FrameTracks


class FeatureGate:
    """Admits features by their stamps, as the other stages admit images and sound.

    Args:
        inputs: which stamps are believed.
        tracks: hears of troubles with face tracks.
        spectrogram: hears of troubles with chunks.
        advice: see `StampFilter`.
    """

    def __init__(
        self,
        inputs: InputConfig,
        tracks: Reporter,
        spectrogram: Reporter,
        advice: Callable[[float], str] | None = None,
    ) -> None:
        self._tracks = self._filter("face tracks", "image_stamps", inputs, tracks, advice)
        self._chunks = self._filter("spectrogram", "audio_stamps", inputs, spectrogram, advice)
        self.frames = self.chunks = 0
        """What was admitted."""

    @staticmethod
    def _filter(
        what: str,
        parameter: str,
        inputs: InputConfig,
        reporter: Reporter,
        advice: Callable[[float], str] | None,
    ) -> StampFilter:
        # Who made the features has followed the parameter already: they bear stamps.
        return StampFilter(
            what, parameter, inputs.max_input_age_s, "header", reporter, advice=advice
        )

    @property
    def refused(self) -> int:
        """Features left out for their stamps."""
        return self._tracks.refused + self._chunks.refused

    @property
    def late(self) -> int:
        """Features that were not newer than the ones before."""
        return self._tracks.late + self._chunks.late

    def tracks(self, tracks: FrameTracks, arrival_ns: int) -> FrameTracks | None:
        """The faces of the next image, with the stamp to use; None where they are left out."""
        admission = self._tracks.admit(tracks.stamp_ns, arrival_ns)
        if not admission.usable:
            return None
        self.frames += 1
        return replace(tracks, stamp_ns=admission.stamp_ns)

    def chunk(self, chunk: SpectrogramChunk, arrival_ns: int) -> SpectrogramChunk | None:
        """The next columns, with the stamp to use; None where they are left out."""
        # It is the newest column whose time is that of arrival.
        lasts_ns = max(len(chunk.speech) - 1, 0) * HOP_NS
        end_ns = chunk.stamp_ns + lasts_ns if chunk.stamp_ns > 0 else 0
        admission = self._chunks.admit(end_ns, arrival_ns)
        if not admission.usable:
            return None
        self.chunks += 1
        return replace(chunk, stamp_ns=admission.stamp_ns - lasts_ns)

    def reset(self) -> None:
        """Forget both streams."""
        self._tracks.reset()
        self._chunks.reset()
