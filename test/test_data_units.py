"""Tables of action units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_items import voice

from avemo_ros.data.features import UNITS, Corpus, Features, join_units, pairing_key, read_units
from avemo_ros.errors import DataError

NAMES = [f"AU{n:02d}_r" for n in range(UNITS)]
HEADER = ",".join(["clip", *NAMES])


def row(clip: str, first: float | str = 0.0) -> str:
    return ",".join([clip, str(first), *(["1.5"] * (UNITS - 1))])


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def corpus(*keys: str) -> Corpus:
    items = tuple(voice(Path(f"{key}.flac")) for key in keys)
    features = tuple(Features(spectrogram=np.zeros((63, 200), np.float16)) for _ in keys)
    return Corpus(items, features)


def test_rows_are_read_as_they_stand(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", HEADER, row("01-01-03-01-01-01-02", 0.25), "", row("own"))
    units = read_units(path)
    assert list(units) == ["01-03-01-01-01-02", "own"]
    values = units["01-03-01-01-01-02"]
    assert (values.shape, values.dtype) == ((UNITS,), np.float32)
    assert (values[0], values[1]) == (0.25, 1.5)


def test_takes_of_one_performance_share_a_key() -> None:
    assert pairing_key("01-01-03-01-01-01-02") == pairing_key("03-01-03-01-01-01-02")
    assert pairing_key("03-01-03-01-01-01-02") != pairing_key("03-02-03-01-01-01-02")
    assert pairing_key("my-clip") == "my-clip"


def test_the_voice_gets_the_units_of_its_take(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        HEADER,
        row("01-01-03-01-01-01-02", 0.5),
        row("01-01-04-01-01-01-02", 0.7),
    )
    given = corpus("03-01-04-01-01-01-02", "03-01-05-01-01-01-02", "03-01-03-01-01-01-02")
    joined, unmatched = join_units(given, path)
    assert joined.items == given.items
    first, second, third = joined.features
    assert first.units is not None
    assert third.units is not None
    assert (first.units[0], third.units[0]) == (np.float32(0.7), np.float32(0.5))
    assert second.units is None
    assert unmatched == ("03-01-05-01-01-01-02",)
    assert first.spectrogram is given.features[0].spectrogram


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER.replace("clip", "file"), row("a")], r"line 1: there is no column 'clip'"),
        ([HEADER.replace(",AU07_r", ""), row("a")], r"line 1: 34 columns beside 'clip'"),
        ([HEADER.replace("AU07_r", "AU06_r"), row("a")], r"line 1: a column is named twice"),
        ([HEADER, row("a"), row("b", "nan")], r"line 3: AU00_r is 'nan'; allowed: a finite"),
        ([HEADER, row("a", "inf")], r"line 2: AU00_r is 'inf'"),
        ([HEADER, row("a", "")], r"line 2: AU00_r is ''"),
        ([HEADER, row("a", "x")], r"line 2: AU00_r is 'x'"),
        ([HEADER, row("a") + ",1"], r"line 2: 37 values; allowed: 36"),
        ([HEADER, row("a").rpartition(",")[0]], r"line 2: 35 values; allowed: 36"),
        ([HEADER, row("a"), row("b"), row("a")], r"line 4: clip 'a' is already in line 2"),
        (
            [HEADER, row("01-01-03-01-01-01-02"), row("03-01-03-01-01-01-02")],
            r"line 3: clip '03-01-03-01-01-01-02' is already in line 2",
        ),
        ([HEADER, row("")], r"line 2: the clip has no name"),
        ([HEADER], r"has no rows"),
        ([], r"line 1: there is no column 'clip'"),
    ],
)
def test_a_broken_table_is_refused_by_line(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_units(table(tmp_path / "a.csv", *lines))


def test_a_table_of_excel_is_read(tmp_path: Path) -> None:
    plain = read_units(table(tmp_path / "a.csv", HEADER, row("a", "0.25")))
    text = f"{HEADER}\n{row('a', '0,25').replace(',', ';').replace('0;25', '0,25')}\n;;\n"
    text = text.replace(HEADER, HEADER.replace(",", ";").replace("clip", "Clip"))
    path = tmp_path / "b.csv"
    path.write_text(text, encoding="utf-16")
    (found,) = read_units(path).values()
    assert found.tolist() == plain["a"].tolist()


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_units(tmp_path / "nowhere.csv")
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe\x00\x01clip")
    with pytest.raises(DataError, match=r"a\.csv"):
        read_units(path)


def test_a_table_of_another_data_set_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", HEADER, row("other"))
    with pytest.raises(DataError, match=r"no row for any of the 1 items .*'mine'.*'other'"):
        join_units(corpus("mine"), path)
    assert join_units(corpus(), path)[1] == ()


def test_the_table_of_ravdess_fits_its_voices(shared_data: Path) -> None:
    units = read_units(shared_data / "ravdess_au.csv")
    assert len(units) == 1200
    values = np.stack(list(units.values()))
    assert values.min() >= 0.0
    assert values.max() <= 5.0
    assert "01-01-01-01-01-02" in units
