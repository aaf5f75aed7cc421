from typing import Any

import pytest
import torch

from avemo_ros.train import augmentation
from avemo_ros.train.training_config import FaceAugment, SpeechAugment

STILL: dict[str, float] = {
    "flip": 0,
    "move": 0,
    "light": 0,
    "coarse": 0,
    "noise": 0,
    "occlude": 0,
}
QUIET: dict[str, float] = {"stretch": 0, "microphone": 0, "echo": 0, "noise": 0}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faces(rows: int = 6, frames: int = 1, side: int = 48) -> torch.Tensor:
    return torch.randint(0, 256, (rows, frames, side, side), generator=chance(1)).byte()


def sound(rows: int = 4, columns: int = 120) -> torch.Tensor:
    return torch.rand(rows, columns, 200, generator=chance(2)) * 60 - 90


@pytest.mark.parametrize("side", [40, 48, 96])
def test_faces_stay_in_range_in_the_side_asked_for_and_are_repeatable(side: int) -> None:
    how = FaceAugment(blur=0.2)
    first = augmentation.degrade_faces(faces(8, 3), chance(), how, side)
    assert first.shape == (8, 3, 1, side, side)
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert torch.equal(first, augmentation.degrade_faces(faces(8, 3), chance(), how, side))


def test_faces_without_any_change_are_as_they_were() -> None:
    given = faces(5, 2)
    for how in (FaceAugment(probability=0), FaceAugment(**STILL)):
        shown = augmentation.degrade_faces(given, chance(), how, 48)
        assert torch.allclose(shown.squeeze(2), given.float() / 255, atol=1e-6)


def test_larger_faces_are_averaged_down_and_not_thinned_out() -> None:
    stripes = torch.zeros(1, 1, 96, 96, dtype=torch.uint8)
    stripes[..., ::2] = 255
    shown = augmentation.degrade_faces(stripes, chance(), FaceAugment(probability=0), 48)
    assert torch.allclose(shown, torch.full_like(shown, 0.5), atol=0.01)


def test_a_flip_is_the_mirror_image() -> None:
    how = FaceAugment(**{**STILL, "flip": 1.0})
    given = faces(3)
    shown = augmentation.degrade_faces(given, chance(), how, 48).squeeze(2)
    assert torch.allclose(shown, given.flip(-1).float() / 255, atol=1e-4)


@pytest.mark.parametrize(
    "changed",
    [
        {"move": 1.0},
        {"light": 1.0},
        {"coarse": 1.0},
        {"blur": 1.0},
        {"noise": 1.0},
        {"occlude": 1.0},
    ],
)
def test_each_change_of_faces_can_be_had_alone(changed: dict[str, float]) -> None:
    given = faces(8)
    shown = augmentation.degrade_faces(given, chance(), FaceAugment(**{**STILL, **changed}), 48)
    moved = (shown.squeeze(2) - given.float() / 255).abs().amax(dim=(1, 2, 3))
    assert int((moved > 1e-3).sum()) == 8


def test_the_share_of_rows_that_are_changed_is_the_probability() -> None:
    given = faces(400, 2, 8)
    how = FaceAugment(probability=0.25)
    shown = augmentation.degrade_faces(given, chance(), how, 8).squeeze(2)
    changed = (shown - given.float() / 255).abs().amax(dim=(2, 3)) > 1e-3
    assert torch.equal(changed[:, 0], changed[:, 1]), "a clip is changed as a whole"
    assert 0.17 < float(changed[:, 0].float().mean()) < 0.33


def test_frames_of_a_clip_move_alike_and_views_of_an_image_do_not() -> None:
    one = faces(16)
    clips = one.expand(-1, 2, -1, -1)
    how = FaceAugment(**{**STILL, "move": 1.0, "flip": 0.5}, jitter=0.0)
    alike = augmentation.degrade_faces(clips, chance(), how, 48)
    assert torch.equal(alike[:, 0], alike[:, 1])
    repeated = torch.arange(16) < 8
    mixed = augmentation.degrade_faces(clips, chance(), how, 48, repeated)
    apart = (mixed[:, 0] - mixed[:, 1]).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert torch.equal(apart, repeated)


def test_speech_stays_finite_in_shape_and_is_repeatable() -> None:
    def made() -> torch.Tensor:
        source, how = chance(5), SpeechAugment()
        return augmentation.mask_spectrogram(
            augmentation.degrade_speech(sound(), source, how).unsqueeze(1), source, how
        )

    first = made()
    assert first.shape == (4, 1, 120, 200)
    assert bool(first.isfinite().all())
    assert torch.equal(first, made())


def test_speech_without_any_change_is_as_it_was() -> None:
    given = sound()
    for how in (SpeechAugment(probability=0), SpeechAugment(**QUIET)):
        assert torch.equal(augmentation.degrade_speech(given, chance(), how), given)
    plain = given.unsqueeze(1)
    assert torch.equal(
        augmentation.mask_spectrogram(plain, chance(), SpeechAugment(masks=0)), plain
    )


@pytest.mark.parametrize("part", ["stretch", "microphone", "echo", "noise", "telephone"])
def test_each_change_of_speech_can_be_had_alone(part: str) -> None:
    settings: dict[str, Any] = {**QUIET, part: 1.0}
    shown = augmentation.degrade_speech(sound(), chance(), SpeechAugment(**settings))
    assert bool(((shown - sound()).abs().amax(dim=(1, 2)) > 0.01).all())


def test_only_some_rows_are_degraded_and_the_voice_may_change_in_all() -> None:
    given = sound(200, 64)
    how = SpeechAugment(probability=0.3, masks=0)
    changed = (augmentation.degrade_speech(given, chance(), how) - given).abs().amax(
        dim=(1, 2)
    ) > 0
    assert 0.2 < float(changed.float().mean()) < 0.4
    how = SpeechAugment(probability=0.3, masks=0, stretch_always=True)
    changed = (augmentation.degrade_speech(given, chance(), how) - given).abs().amax(
        dim=(1, 2)
    ) > 0
    assert bool(changed.all())


def test_echo_and_noise_only_add_power() -> None:
    settings: dict[str, Any] = {**QUIET, "echo": 1.0, "noise": 1.0}
    shown = augmentation.degrade_speech(sound(), chance(), SpeechAugment(**settings))
    assert float((shown - sound()).min()) > -1e-3


def test_noise_has_the_ratio_asked_for() -> None:
    settings: dict[str, Any] = {**QUIET, "noise": 1.0, "noise_low_db": 10, "noise_high_db": 10}
    given = sound(8, 300)
    shown = augmentation.degrade_speech(given, chance(), SpeechAugment(**settings))
    power, noisy = 10 ** (given / 10), 10 ** (shown / 10)
    ratio = 10 * torch.log10(power.mean(dim=(1, 2)) / (noisy - power).mean(dim=(1, 2)))
    assert torch.allclose(ratio, torch.full_like(ratio, 10.0), atol=0.3)


def test_a_telephone_leaves_its_band_and_takes_the_rest() -> None:
    settings: dict[str, Any] = {**QUIET, "telephone": 1.0}
    given = sound(8, 300)
    lost = given - augmentation.degrade_speech(given, chance(), SpeechAugment(**settings))
    hertz = 20 * torch.arange(200)
    assert float(lost[..., (hertz >= 400) & (hertz <= 3000)].abs().max()) < 1e-4
    assert float(lost[..., (hertz <= 100) | (hertz >= 3900)].min()) > 2.0


def test_natural_noise_falls_by_up_to_six_decibels_an_octave() -> None:
    settings: dict[str, Any] = {**QUIET, "noise": 1.0, "noise_power_law": 1.0}
    settings |= {"noise_low_db": -10, "noise_high_db": -10}
    given = torch.full((64, 400, 200), -90.0)
    shown = augmentation.degrade_speech(given, chance(), SpeechAugment(**settings))
    power = (10 ** (shown / 10) - 10 ** (given / 10)).mean(1)
    fall_db = 10 * torch.log10(power[:, 25] / power[:, 100])  # 500 Hz and 2 kHz
    assert float(fall_db.min()) > -1.0
    assert float(fall_db.max()) < 13.0
    assert float(fall_db.max() - fall_db.min()) > 8.0


def test_a_loud_echo_has_the_share_asked_for_at_most() -> None:
    given = torch.full((64, 200, 200), -90.0)
    given[:, 20] = -20.0
    direct = (10 ** (given / 10)).sum(dim=(1, 2))
    for most in (0.5, 2.0):
        settings: dict[str, Any] = {**QUIET, "echo": 1.0, "echo_share": most}
        shown = augmentation.degrade_speech(given, chance(), SpeechAugment(**settings))
        share = (10 ** (shown / 10)).sum(dim=(1, 2)) / direct - 1
        assert float(share.min()) > 0.03
        assert 0.8 * most < float(share.max()) < 1.02 * most


def test_a_faster_tempo_shortens_what_is_said() -> None:
    given = torch.full((1, 200, 200), -90.0)
    given[:, 80:120] = -20.0
    settings: dict[str, Any] = {**QUIET, "stretch": 1.0, "tract": 0.0}
    how = SpeechAugment(**settings, tempo_low=1.0, tempo_high=2.0)
    shown = augmentation.degrade_speech(given, chance(3), how)
    assert int((shown[0, :, 0] > -55).sum()) < 38


def test_masks_hide_bands_and_spans_with_the_mean() -> None:
    given = torch.randn(3, 1, 100, 200, generator=chance())
    shown = augmentation.mask_spectrogram(given, chance(), SpeechAugment(masks=2, mask_bins=20))
    hidden = shown != given
    assert 0.01 < float(hidden.float().mean()) < 0.5
    for row in range(3):
        assert torch.allclose(shown[row][hidden[row]], given[row].mean())
