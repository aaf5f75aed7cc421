"""Real faces and voices of the shared data sets, for networks that must answer alike."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from avemo_ros.audio.spectrogram import LogSpectrogram


def faces_and_voices(
    shared_data: Path,
) -> Iterator[tuple[list[NDArray[np.uint8]], NDArray[np.float32]]]:
    """Five times two face crops of FER2013's PublicTest, and columns of an EMO-DB voice."""
    with zipfile.ZipFile(shared_data / "fer2013.zip") as archive:
        images = sorted(n for n in archive.namelist() if "/PublicTest_" in n)[::299]
        faces = [
            cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_GRAYSCALE)
            for n in images
        ]
    assert len(faces) > 10
    with tarfile.open(shared_data / "emodb_16k.tar") as archive:
        voices = [one for one in archive if one.name.endswith(".flac")][::107]
        assert len(voices) == 5
        for place, one in enumerate(voices):
            file = archive.extractfile(one)
            assert file is not None
            sound, _ = soundfile.read(io.BytesIO(file.read()), dtype="float32")
            yield faces[2 * place : 2 * place + 2], LogSpectrogram().push(sound)[:300]
