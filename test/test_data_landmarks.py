"""Files of landmark sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_items import voice
from made_landmarks import sequence, write_sequences

from avemo_ros.data.features import Corpus, Features
from avemo_ros.data.landmark_table import join_points, points_from_meshes, read_points
from avemo_ros.errors import DataError
from avemo_ros.model.face_points import points_of_mesh

CLIPS = {"02-01-03-01-01-01-02": sequence(7), "own": sequence(4, opens=9.0)}


def corpus(*keys: str) -> Corpus:
    items = tuple(voice(Path(f"{key}.flac")) for key in keys)
    features = tuple(Features(spectrogram=np.zeros((63, 200), np.float16)) for _ in keys)
    return Corpus(items, features)


def test_points_are_the_sums_of_the_steps(tmp_path: Path) -> None:
    found = read_points(write_sequences(tmp_path / "a.npz", CLIPS))
    assert list(found) == ["01-03-01-01-01-02", "own"]
    one = found["own"]
    assert (one.points.shape, one.points.dtype) == ((4, 68, 2), np.float32)
    assert np.allclose(one.points, CLIPS["own"], atol=1e-3)
    assert np.allclose(one.times_s, np.arange(4) / 30)


def test_whole_pixels_and_no_frame_rate_are_read_too(tmp_path: Path) -> None:
    whole = {"a": np.rint(sequence(5)).astype(np.int16)}
    steps = np.diff(whole["a"], axis=0, prepend=0).transpose(1, 2, 0).astype(np.int16)
    one = read_points(write_sequences(tmp_path / "a.npz", whole, step=steps, fps=None))["a"]
    assert np.array_equal(one.points, whole["a"])
    assert one.times_s[1] == pytest.approx(1001 / 30000)


def test_the_voice_gets_the_landmarks_of_its_take(tmp_path: Path) -> None:
    path = write_sequences(tmp_path / "a.npz", CLIPS)
    given = corpus("03-01-03-01-01-01-02", "03-01-05-01-01-01-02", "own")
    joined, unmatched = join_points(given, path)
    first, second, third = joined.features
    assert len(first.points) == len(first.point_times_s) == 7
    assert len(third.points) == 4
    assert second.points is None
    assert second.point_times_s is None
    assert unmatched == ("03-01-05-01-01-01-02",)
    assert first.spectrogram is given.features[0].spectrogram


STEP = np.zeros((68, 2, 11), np.float32)
NOT_FINITE = STEP.copy()
NOT_FINITE[3, 1, 8] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": None}, r"lacks 'clip'; needed: clip, start, step"),
        ({"start": None}, r"lacks 'start'"),
        ({"step": None}, r"lacks 'step'"),
        ({"clip": np.arange(2)}, r"'clip' is int64 \(2,\); allowed: names \(K,\)"),
        ({"clip": np.array([], str)}, r"'clip' is .*; allowed: names"),
        ({"clip": np.array(["a", " "])}, r"'clip' has a clip without a name"),
        ({"clip": np.array(["a", "a"])}, r"clip 'a' is in 'clip' twice; allowed: once"),
        (
            {"clip": np.array(["01-01-03-01-01-01-02", "02-01-03-01-01-01-02"])},
            r"clip '02-01-03-01-01-01-02' is in 'clip' twice",
        ),
        ({"start": np.array([0, 7])}, r"'start' is int64 \(2,\); allowed: integers \(3,\)"),
        ({"start": np.array([0.0, 7, 11])}, r"'start' is float64 \(3,\); allowed: integers"),
        ({"start": np.array([1, 7, 11])}, r"'start' goes from 1 to 11; allowed: from 0 to 11"),
        ({"start": np.array([0, 7, 12])}, r"'start' goes from 0 to 12; allowed: from 0 to 11"),
        ({"start": np.array([0, 11, 11])}, r"'start' does not rise"),
        ({"start": np.array([0, 12, 11])}, r"'start' does not rise"),
        ({"step": STEP[:67]}, r"'step' is float32 \(67, 2, 11\); allowed: numbers \(68, 2, fr"),
        ({"step": STEP.astype("U1")}, r"'step' is <U1 \(68, 2, 11\); allowed: numbers"),
        ({"step": NOT_FINITE}, r"'step' of clip 'own' has a value that is not finite"),
        ({"fps": np.float64(0)}, r"'fps' is 0\.0; allowed: 1 to 1000"),
        ({"fps": np.float64("nan")}, r"'fps' is nan; allowed: 1 to 1000"),
        ({"fps": np.array(["x"])}, r"'fps' is <U1 \(1,\); allowed: one number"),
    ],
)
def test_a_broken_file_is_refused_by_array(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_sequences(tmp_path / "a.npz", CLIPS, **changes)
    with pytest.raises(DataError, match=rf"a\.npz'.*{message}"):
        read_points(path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for name, content in (("no.npz", None), ("empty.npz", b""), ("text.npz", b"clip,x\n")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}' cannot be read as an npz file"):
            read_points(path)
    cut = write_sequences(tmp_path / "cut.npz", CLIPS)
    cut.write_bytes(cut.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"cut\.npz' cannot be read"):
        read_points(cut)
    np.save(tmp_path / "a.npy", STEP)
    with pytest.raises(DataError, match=r"a\.npy' is a single array; allowed: an npz file"):
        read_points(tmp_path / "a.npy")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    clip = np.array([["a"], "b"], dtype=object)
    path = write_sequences(tmp_path / "a.npz", CLIPS, clip=clip)
    with pytest.raises(DataError, match=r"a\.npz' cannot be read as an npz file"):
        read_points(path)


def test_a_file_of_another_data_set_is_refused(tmp_path: Path) -> None:
    path = write_sequences(tmp_path / "a.npz", {"other": sequence(3)})
    with pytest.raises(DataError, match=r"no clip for any of the 1 items .*'mine'.*'other'"):
        join_points(corpus("mine"), path)
    assert join_points(corpus(), path)[1] == ()


def test_meshes_give_points_where_there_are_some() -> None:
    mesh = np.random.default_rng(0).random((2, 468, 2)).astype(np.float32)
    nothing = np.full((1, 468, 2), np.nan, np.float32)
    times = np.array([0.0, 0.1], np.float32)
    given = corpus("a", "b", "c")
    features = (
        Features(landmarks=mesh, face_times_s=times),
        Features(landmarks=nothing, face_times_s=times[:1]),
        Features(),
    )
    made, lacking = points_from_meshes(Corpus(given.items, features))
    assert lacking == ("b", "c")
    assert np.array_equal(made.features[0].points, points_of_mesh(mesh))
    assert np.array_equal(made.features[0].point_times_s, times)


def test_the_file_of_ravdess_fits_its_voices(shared_data: Path) -> None:
    found = read_points(shared_data / "ravdess_landmarks68.npz")
    assert len(found) == 1200
    one = found["01-01-01-01-01-02"]
    assert 88 <= len(one.points) <= 158
    assert one.times_s[-1] == pytest.approx((len(one.points) - 1) / 29.97, abs=1e-3)
    assert one.points.min() >= 0
    assert one.points[..., 0].max() <= 1280
