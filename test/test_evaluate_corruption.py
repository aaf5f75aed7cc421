import numpy as np
import pytest

from avemo_ros.audio.spectrogram import FLOOR_DB
from avemo_ros.data.features import Features
from avemo_ros.evaluate.corruption import (
    ON_FEATURES,
    active_power,
    blurred,
    late_sound,
    noisy,
    occluded,
    pink_noise,
    reverberant,
    spoilt_sound,
    telephoned,
    thinned,
    with_noise,
    without_face,
    without_voice,
)


def clip(images: int = 10) -> Features:
    chance = np.random.default_rng(0)
    power = np.full((200, 200), -60.0, np.float16)
    power[50:150] = -20 + 5 * chance.standard_normal((100, 200))
    return Features(
        faces=chance.integers(0, 256, (images, 48, 48), dtype=np.uint8),
        face_times_s=np.arange(images, dtype=np.float32) / 30,
        landmarks=np.zeros((images, 468, 2), np.float32),
        spectrogram=power,
    )


def test_a_missing_modality_leaves_the_other_as_it_is() -> None:
    given = clip()
    voice, face = without_face(given), without_voice(given)
    assert voice.faces is None
    assert voice.landmarks is None
    assert voice.spectrogram is given.spectrogram
    assert face.spectrogram is None
    assert face.faces is given.faces


@pytest.mark.parametrize("ratio", [20, 10, 0])
def test_noise_has_the_ratio_to_active_speech_that_was_asked_for(ratio: int) -> None:
    given = clip()
    spoilt = noisy(ratio)(given, "key")
    assert given.spectrogram is not None
    assert spoilt.spectrogram is not None
    clean = (10 ** (given.spectrogram.astype(float) / 10)).sum(1)
    mixed = (10 ** (spoilt.spectrogram.astype(float) / 10)).sum(1)
    noise = mixed[:50].mean()  # there is no speech
    assert 10 * np.log10(active_power(clean) / noise) == pytest.approx(ratio, abs=0.5)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    noise = pink_noise(1 << 16, np.random.default_rng(0))
    assert float(np.sqrt(np.mean(noise**2))) == pytest.approx(0.1, rel=1e-3)
    power = np.square(np.abs(np.fft.rfft(noise)))
    frequency = np.fft.rfftfreq(len(noise), 1 / 16_000)
    low = power[(frequency > 400) & (frequency < 600)].mean()
    high = power[(frequency > 3200) & (frequency < 4800)].mean()
    assert 10 * np.log10(low / high) == pytest.approx(9.0, abs=0.7)


def test_the_patch_hides_a_quarter_of_every_image_at_the_same_place() -> None:
    given = clip()
    spoilt = occluded(given, "key")
    assert given.faces is not None
    assert spoilt.faces is not None
    patch = (spoilt.faces == spoilt.faces[0]).all(0)
    assert 576 <= patch.sum() <= 576 + 20
    rest = spoilt.faces[:, ~patch]
    assert (rest == given.faces[:, ~patch]).all()


def test_blur_takes_the_detail_and_keeps_the_light() -> None:
    given = clip()
    spoilt = blurred(given, "key")
    assert given.faces is not None
    assert spoilt.faces is not None
    assert spoilt.faces.std() < 0.3 * given.faces.std()
    assert spoilt.faces.mean() == pytest.approx(given.faces.mean(), rel=0.02)


def test_half_of_the_images_are_lost() -> None:
    spoilt = thinned(clip(400), "key")
    assert spoilt.faces is not None
    assert spoilt.face_times_s is not None
    assert spoilt.landmarks is not None
    assert 160 < len(spoilt.faces) < 240
    assert len(spoilt.faces) == len(spoilt.face_times_s) == len(spoilt.landmarks)
    assert (np.diff(spoilt.face_times_s) > 0).all()


def test_an_item_of_one_image_may_lose_its_face() -> None:
    lost = [thinned(clip(1), str(key)).faces is None for key in range(200)]
    assert 70 < sum(lost) < 130


def test_late_sound_begins_with_200_ms_of_silence() -> None:
    given = clip()
    spoilt = late_sound(given, "key")
    assert given.spectrogram is not None
    assert spoilt.spectrogram is not None
    assert (spoilt.spectrogram[:20] == FLOOR_DB).all()
    assert (spoilt.spectrogram[20:] == given.spectrogram[:-20]).all()


@pytest.mark.parametrize("name", ON_FEATURES)
def test_every_corruption_is_the_same_each_time_and_harmless_to_what_is_missing(
    name: str,
) -> None:
    corrupt = ON_FEATURES[name]
    one, again = corrupt(clip(), "a"), corrupt(clip(), "a")
    for part in ("faces", "spectrogram"):
        np.testing.assert_array_equal(getattr(one, part), getattr(again, part))
    nothing = Features()
    assert corrupt(nothing, "a") is nothing


def test_noise_in_a_clip_has_the_ratio_to_active_speech() -> None:
    chance = np.random.default_rng(0)
    sound = np.zeros(32_000, np.float32)
    sound[8_000:24_000] = 0.1 * chance.standard_normal(16_000)
    noise = with_noise(sound, 10, "key") - sound
    ratio = np.mean(sound[8_000:24_000] ** 2) / np.mean(noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(10, abs=0.5)
    np.testing.assert_array_equal(with_noise(sound, 10, "key") - sound, noise)


def test_sound_that_is_late_keeps_its_length() -> None:
    sound = np.arange(1, 8_001, dtype=np.float32)
    late = spoilt_sound(sound, "sound 200 ms late", "key")
    assert len(late) == 8_000
    assert not late[:3_200].any()
    assert (late[3_200:] == sound[:4_800]).all()


def test_silence_stays_silent() -> None:
    assert not with_noise(np.zeros(16_000, np.float32), 0, "key").any()


def test_a_room_rings_for_half_a_second_and_is_as_loud_as_the_voice() -> None:
    click = np.zeros(16_000, np.float32)
    click[100] = 1.0
    heard = reverberant(click, "key").astype(float)
    assert len(heard) == 16_000
    assert not np.abs(heard[:100]).max() > 1e-6
    assert heard[100] == pytest.approx(1.0, abs=1e-5)
    assert np.square(heard[101:]).sum() == pytest.approx(1.0, rel=1e-3)
    # Schroeder's backward integration (1965): 60 dB in 0.5 s, read between -5 and -35 dB.
    decay = 10 * np.log10(np.cumsum(np.square(heard[:100:-1]))[::-1])
    first, last = np.argmax(decay < -5), np.argmax(decay < -35)
    assert 2 * (last - first) / 16_000 == pytest.approx(0.5, rel=0.1)
    np.testing.assert_array_equal(reverberant(click, "key"), reverberant(click, "key"))
    assert (reverberant(click, "other") != heard).any()


def test_a_telephone_passes_its_band_and_no_more() -> None:
    time = np.arange(16_000) / 16_000
    for hertz, lost_db in ((1007, 0), (2999, 0), (101, 60), (5003, 60)):
        tone = (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        heard = telephoned(tone).astype(float)
        assert len(heard) == len(tone)
        # Of the tone itself; what 8 bits add lies elsewhere.
        kept = 2 * abs(np.mean(heard * np.exp(-2j * np.pi * hertz * time))) / 0.5
        if lost_db:
            assert kept < 10 ** (-lost_db / 20)
        else:
            assert kept == pytest.approx(1.0, rel=0.03)
            noise = heard - kept * tone
            # 8 bits of mu-law: some 38 dB.
            assert 34 < 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) < 42
    assert not telephoned(np.zeros(800, np.float32)).any()


def test_a_spectrogram_in_a_room_and_over_a_telephone() -> None:
    given = clip()
    assert given.spectrogram is not None
    room = ON_FEATURES["room"](given, "key").spectrogram
    line = ON_FEATURES["telephone"](given, "key").spectrogram
    assert room is not None
    assert line is not None
    # Speech ends at column 150; 60 dB in half a second are 12 in a tenth.
    tail = [10 * np.log10(np.mean(10 ** (room[c].astype(float) / 10))) for c in (152, 162)]
    assert tail[0] - tail[1] == pytest.approx(12, abs=1.5)
    hertz = np.arange(200) * 20
    inside = (hertz >= 300) & (hertz <= 3400)
    np.testing.assert_array_equal(line[:, inside], given.spectrogram[:, inside])
    assert (line[100, hertz < 150] < given.spectrogram[100, hertz < 150] - 60).all()
