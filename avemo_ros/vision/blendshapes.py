"""How a face moves, as 52 scores: MediaPipe's blendshapes, named as in ARKit."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped
from avemo_ros.vision.mesh import FaceMesh, Region

_SIDES: Final = ("Left", "Right")
BLENDSHAPES: Final[tuple[str, ...]] = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp"),
    *(f"browOuterUp{side}" for side in _SIDES),
    "cheekPuff",
    *(
        f"{name}{side}"
        for name in ("cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn")
        for side in _SIDES
    ),
    *(
        f"{name}{side}"
        for name in ("eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
        for side in _SIDES
    ),
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose"),
    *(f"{name}{side}" for name in ("mouthDimple", "mouthFrown") for side in _SIDES),
    *("mouthFunnel", "mouthLeft"),
    *(f"{name}{side}" for name in ("mouthLowerDown", "mouthPress") for side in _SIDES),
    *("mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper"),
    *("mouthShrugLower", "mouthShrugUpper"),
    *(
        f"{name}{side}"
        for name in ("mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer")
        for side in _SIDES
    ),
)
"""Names of the scores in their order; left and right are the person's."""

# Of the 478 points those that the network takes.
_POINTS: Final = (
    *(0, 1, *range(4, 9), 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, *range(52, 56), 58, 61, 63),
    *(
        65,
        66,
        67,
        70,
        78,
        80,
        81,
        82,
        84,
        87,
        88,
        91,
        93,
        95,
        103,
        105,
        107,
        109,
        127,
        132,
        133,
    ),
    *(
        136,
        144,
        145,
        146,
        148,
        149,
        150,
        *range(152, 156),
        *range(157, 164),
        168,
        172,
        173,
        176,
    ),
    *(178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276),
    *(
        *range(282, 286),
        288,
        291,
        293,
        295,
        296,
        297,
        300,
        308,
        *range(310, 313),
        314,
        317,
        318,
    ),
    *(321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, *range(377, 383)),
    *(*range(384, 391), 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478)),
)


class BlendshapeReader:
    """Scores of one face at a time, without memory of earlier images; for any thread.

    Raises:
        WeightsError: a network's file is missing or damaged.
    """

    def __init__(self) -> None:
        self._mesh = FaceMesh("attention")
        self._session: Any = open_shipped("face-blendshapes.onnx")

    def read(
        self, image: NDArray[np.uint8], points: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32] | None:
        """The scores of a face (about 7 ms).

        Args:
            image: (H, W, 3) BGR.
            points: (468 or more, 2 or more) of its mesh in this image [pixels].

        Returns:
            (52,) 0 to 1, in the order of BLENDSHAPES; None where no face is seen there.
        """
        fitted = self._mesh.fit(image, Region.of_landmarks(points))
        if fitted is None:
            return None
        chosen = np.ascontiguousarray(fitted[0][_POINTS, :2])
        (scores,) = self._session.run(("blendshapes",), {"points": chosen[None]})
        return np.asarray(np.clip(scores, 0, 1), np.float32).reshape(-1)

    def close(self) -> None:
        """Free the networks; doing so twice is harmless."""
        self._mesh.close()
        self._session = None
