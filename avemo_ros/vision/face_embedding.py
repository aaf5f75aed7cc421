"""What a face looks like, as a point on a sphere: faces of one person are close together.

The network is MobileFaceNet (Chen et al. 2018, arXiv:1804.07573); models/networks.md says where
its weights come from and how they were mended, docs/people.md how often it errs.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped
from avemo_ros.vision.alignment import Eyes
from avemo_ros.vision.image import cut, similarity

SIZE: Final = 192
"""Numbers of an embedding."""
SIDE: Final = 112
"""Of the crop [pixels]."""

# Where the template of ArcFace (Deng et al. 2019, arXiv:1801.07698) has the eyes.  Of eight
# framings tried it separates people best.
_EYE_DISTANCE: Final = 0.315
_EYE_HEIGHT: Final = 0.461

_FILE: Final = "mobilefacenet.onnx"


class FaceEmbedder:
    """Makes embeddings of faces, one at a time; for any thread.

    Raises:
        WeightsError: the network's file is missing or damaged.
    """

    def __init__(self) -> None:
        self._session: Any = open_shipped(_FILE)

    def embed(self, image: NDArray[np.uint8], eyes: Eyes) -> NDArray[np.float32]:
        """The embedding of one face.

        Args:
            image: (H, W, 3) BGR.
            eyes: of the face, in pixels of the image.

        Returns:
            (192,) of length 1: the scalar product of two is 1 for the same picture, and near 0
            for two people.
        """
        scale = _EYE_DISTANCE * SIDE / max(eyes.distance, 1.0)
        target = SIDE * np.array([0.5, _EYE_HEIGHT], np.float64)
        matrix = similarity(scale, eyes.roll, np.array([eyes.x, eyes.y], np.float64), target)
        crop = cv2.cvtColor(cut(image, matrix, SIDE), cv2.COLOR_BGR2RGB)
        (vectors,) = self._session.run(("embeddings",), {"image": crop[None]})
        return np.asarray(vectors[0], np.float32)

    def close(self) -> None:
        """Free the network; doing so twice is harmless."""
        self._session = None


def mean_embedding(vectors: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The direction (192,) in the middle of one or more embeddings, of length 1."""
    total = np.sum(vectors, axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)
