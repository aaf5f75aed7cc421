import cv2
import numpy as np
import pytest
import torch

from avemo_ros.model.preprocess import MIN_COLUMNS, face_tensor, relative, spectrogram_tensor


def image(side: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(40, 200, (12, 12), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def test_faces_of_any_side_become_standardised_48_pixel_images() -> None:
    tensor = face_tensor([image(96), image(48), image(31)])
    assert tensor.shape == (3, 1, 48, 48)
    assert tensor.dtype == torch.float32
    assert torch.allclose(tensor.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(tensor.std(dim=(1, 2, 3)), torch.ones(3), atol=1e-3)


def test_brightness_and_contrast_of_the_camera_do_not_matter() -> None:
    face = image(48)
    darker = (face * 0.5 + 10).astype(np.uint8)
    assert torch.allclose(face_tensor([face]), face_tensor([darker]), atol=0.05)


def test_a_flat_image_becomes_zeros_and_not_noise() -> None:
    assert float(face_tensor([np.full((96, 96), 77, np.uint8)]).abs().max()) < 1e-4


def test_no_faces_make_an_empty_tensor() -> None:
    assert face_tensor([]).shape == (0, 1, 48, 48)


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((48, 40), np.uint8),
        np.zeros((48, 48), np.float32),
        np.zeros((0, 0), np.uint8),
    ],
    ids=["colour", "oblong", "float", "empty"],
)
def test_a_crop_that_is_no_grey_square_of_bytes_is_refused(crop: np.ndarray) -> None:
    with pytest.raises(ValueError, match="face crop 0"):
        face_tensor([crop])


def spectrogram(columns: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-70, -20, (columns, 200)).astype(np.float32)


def test_the_level_of_the_microphone_does_not_matter() -> None:
    loud = spectrogram(100)
    quiet = loud - 15
    assert torch.allclose(spectrogram_tensor(loud), spectrogram_tensor(quiet), atol=1e-5)


def test_the_spectrogram_is_scaled_to_plus_minus_two_and_cut_80_db_below_its_peak() -> None:
    values = np.full((63, 200), -100, np.float32)
    values[10, 10] = -5
    tensor = spectrogram_tensor(values)
    assert tensor.shape == (1, 1, 63, 200)
    assert float(tensor.max()) == 2.0
    assert float(tensor.min()) == -2.0


def test_near_silence_is_not_blown_up_to_speech() -> None:
    silence = np.full((100, 200), -100, np.float32)
    assert float(spectrogram_tensor(silence).max()) <= 0.0


def test_batches_are_normalised_window_by_window() -> None:
    both = torch.from_numpy(np.stack([spectrogram(80), spectrogram(80) - 20])).unsqueeze(1)
    first, second = relative(both)
    assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("columns", [0, MIN_COLUMNS - 1, 1001])
def test_too_short_and_too_long_windows_are_refused_with_the_limits(columns: int) -> None:
    with pytest.raises(ValueError, match=f"has {columns} columns; allowed: 63 to 1000"):
        spectrogram_tensor(np.zeros((columns, 200), np.float32))


def test_another_number_of_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="200"):
        spectrogram_tensor(np.zeros((100, 128), np.float32))
