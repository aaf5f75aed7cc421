"""Packs raw images as JPEG while they are recorded."""

from __future__ import annotations

from typing import Final

import numpy as np
import simplejpeg

from avemo_ros.bag import message_content, messages

QUALITY: Final = 90
"""Of the JPEGs that `avemo bag record` makes."""


class ImagePacker:
    """Turns serialised images into serialised JPEG images with the same header.

    Args:
        quality: 1 to 100.
    """

    def __init__(self, quality: int = QUALITY) -> None:
        self._quality = quality
        self._store = messages.typestore()

    def pack(self, data: bytes) -> bytes:
        """A sensor_msgs/CompressedImage of a sensor_msgs/Image, both with their CDR header.

        Raises:
            ImageError: encoding, size or data cannot be used.
        """
        message = self._store.deserialize_cdr(data, messages.IMAGE)
        image = message_content.image(message)
        packed = simplejpeg.encode_jpeg(image, self._quality, colorspace="BGR")
        kind = self._store.types[messages.COMPRESSED_IMAGE]
        out = kind(
            header=message.header,  # type: ignore[attr-defined]
            format="bgr8; jpeg compressed bgr8",
            data=np.frombuffer(packed, np.uint8),
        )
        return bytes(self._store.serialize_cdr(out, messages.COMPRESSED_IMAGE))
