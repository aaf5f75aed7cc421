"""The network in ONNX Runtime: neither PyTorch nor the package onnx is imported."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.released import (
    LANDMARKS_PART,
    ONNX_PARTS,
    check_classes,
    check_listed,
    onnx_file,
    remedy,
    sha256,
)
from avemo_ros.onnx_session import chosen_device, open_session

FORMAT: Final = "avemo-onnx-1"
"""Layout of the files of a live model; another layout gets another name."""
NO_DIGEST: Final = "0" * 64
"""Stands in the metadata of a file for its digest until it is `sealed`."""
_LANDMARKS: Final = "landmark_log"
"""Input of a model that reads landmarks."""


class OnnxNetwork:
    """See `NetworkRuntime`.

    On one machine the answer to an image does not depend on the others of its batch, to the
    last bit.
    """

    name = "onnxruntime"
    precision = "float32"

    def __init__(self, weights: Path, threads: int = 1, device: str = "cpu") -> None:
        """Load the ONNX files that lie beside the weights of a live model.

        Args:
            weights: the .safetensors file that they were made from.
            threads: of the CPU.
            device: as `model.device`.

        Raises:
            ConfigError: the device is not there, or does not start.
            WeightsError: a file is missing, damaged, or made from other weights.
        """
        source = sha256(weights)
        self.device = chosen_device(device)

        def part(name: str) -> Any:
            return _open(weights, name, source, threads, self.device)

        self._face, self._speech, self._face_answer, self._fusion = map(part, ONNX_PARTS)
        self.reads_landmarks = _LANDMARKS in {one.name for one in self._fusion.get_inputs()}
        self._landmarks = part(LANDMARKS_PART) if self.reads_landmarks else None
        self.model_id = str(self._face.get_modelmeta().custom_metadata_map["model_id"])
        self.face_side = int(self._face.get_inputs()[0].shape[2])
        self.face_width = int(self._face.get_outputs()[0].shape[1])

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `NetworkRuntime.embed`."""
        (embeddings,) = self._face.run(None, {"pictures": images})
        return embeddings  # type: ignore[no-any-return]

    def encode_audio(
        self, spectrogram: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkRuntime.encode_audio`."""
        heard, log = self._speech.run(None, {"spectrogram": spectrogram})
        return heard, log

    def read_landmarks(
        self,
        points: NDArray[np.float32],
        neutral: NDArray[np.float32],
        weight: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See `LandmarkRuntime.read_landmarks`."""
        assert self._landmarks is not None
        given = {"points": points, "neutral": neutral, "neutral_weight": weight}
        (log,) = self._landmarks.run(None, given)
        return log  # type: ignore[no-any-return]

    def classify_faces(
        self, embeddings: NDArray[np.float32], landmark_log: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `LandmarkRuntime.classify_faces`."""
        given = {"embeddings": embeddings} | self._with(landmark_log)
        log, weights = self._face_answer.run(None, given)
        return log, weights

    def fuse(
        self,
        heard: NDArray[np.float32],
        embeddings: NDArray[np.float32],
        landmark_log: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `LandmarkRuntime.fuse`."""
        given = {"speech_vector": heard, "embeddings": embeddings} | self._with(landmark_log)
        log, share, weights = self._fusion.run(None, given)
        return log, share, weights

    def _with(self, landmark_log: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
        if not self.reads_landmarks:
            return {}
        if landmark_log is None:
            landmark_log = np.zeros((1, len(EMOTIONS)), np.float32)
        return {_LANDMARKS: landmark_log}


def sealed(content: bytes) -> bytes:
    """A file's content with its digest in place of `NO_DIGEST`."""
    assert content.count(NO_DIGEST.encode()) == 1
    return content.replace(NO_DIGEST.encode(), hashlib.sha256(content).hexdigest().encode())


def _is_whole(content: bytes, digest: bytes) -> bool:
    return content.count(digest) == 1 and (
        sealed(content.replace(digest, NO_DIGEST.encode())) == content
    )


def _open(weights: Path, part: str, source: str, threads: int, device: str) -> Any:
    path, again = onnx_file(weights, part), remedy(weights)
    try:
        listed = check_listed(weights, path)
        session = open_session(path, threads, device)
        about: dict[str, str] = session.get_modelmeta().custom_metadata_map
    except (ConfigError, WeightsError):
        raise
    except Exception as error:
        raise WeightsError(
            f"ONNX file {path} is damaged or not an ONNX file ({error}); {again}"
        ) from error
    if about.get("format") != FORMAT or about.get("part") != part:
        raise WeightsError(
            f"ONNX file {path} is {about.get('part')!r} of format {about.get('format')!r}; "
            f"wanted: '{part}' of '{FORMAT}'; {again}"
        )
    digest = about.get("digest", "")
    if not listed and not _is_whole(path.read_bytes(), digest.encode()):
        raise WeightsError(f"ONNX file {path} is damaged: digest differs; {again}")
    if about.get("source_sha256") != source:
        raise WeightsError(f"ONNX file {path} was made from other weights; {again}")
    check_classes(path, about, "emotions", EMOTIONS)
    return session
