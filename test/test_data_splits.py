"""Parts of data sets: nobody may be in two of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_items import image, item, noise, voice, write_image, write_wav

from avemo_ros.data.dataset import Item
from avemo_ros.data.splits import (
    FINAL_TEST,
    balanced_folds,
    check_disjoint,
    given_folds,
    of_subjects,
    refuse_kept_apart,
    repeated,
)
from avemo_ros.errors import ConfigError, DataError

LABELS = ("angry", "happy", "sad")


def said(subject: str, number: int = 0, **changes: Any) -> Item:
    """An item of a subject of RAVDESS."""
    values: dict[str, Any] = {
        "dataset": "ravdess",
        "key": f"{subject}-{number}",
        "subject": subject,
        "label": LABELS[number % 3],
    }
    return item(Path("a.wav"), **{**values, **changes})


def people(count: int, each: int = 3) -> list[Item]:
    """Items of subjects ravdess-01, 02, ..., odd ones male."""
    return [
        said(f"ravdess-{n:02d}", k, sex="male" if n % 2 else "female")
        for n in range(1, count + 1)
        for k in range(each)
    ]


def subjects(part: tuple[Item, ...]) -> set[str]:
    return {one.subject for one in part}


def test_parts_that_share_a_subject_are_refused() -> None:
    check_disjoint({"learn": [said("a-02"), said("a-02", 1)], "judge": [said("a-01")]})
    with pytest.raises(DataError, match=r"a-01, a-02 .*'learn' and 'judge'"):
        check_disjoint(
            {
                "learn": [said("a-02"), said("a-01"), said("a-03")],
                "judge": [said("a-01", 1), said("a-02", 1)],
            }
        )


def test_many_shared_subjects_are_counted() -> None:
    shared = tuple(people(20))
    with pytest.raises(DataError, match="ravdess-08 and 12 more would be in both"):
        check_disjoint({"learn": shared, "judge": shared})


def test_who_is_kept_apart_is_refused() -> None:
    assert {f"ravdess-{n:02d}" for n in (1, 4, 9, 22)} == FINAL_TEST
    refuse_kept_apart([said("ravdess-02"), said("emodb-09"), said("other-04")])
    with pytest.raises(DataError, match=r"ravdess-04, ravdess-22 are reserved"):
        refuse_kept_apart([said("ravdess-02"), said("ravdess-22"), said("ravdess-04")])


def test_subjects_are_named_long_or_short() -> None:
    items = people(12)
    for name in ("ravdess-02", "02", "2", 2):
        assert subjects(of_subjects(items, [name])) == {"ravdess-02"}
    assert len(of_subjects(items, (1, "12"))) == 6
    with pytest.raises(DataError, match=r"no items of subject '13'; there are: ravdess-01"):
        of_subjects(items, [1, 13])


def test_a_short_name_that_two_data_sets_have_is_refused() -> None:
    items = [said("ravdess-03"), said("emodb-03", dataset="emodb")]
    with pytest.raises(DataError, match="'3' is ambiguous: emodb-03, ravdess-03"):
        of_subjects(items, [3])
    assert subjects(of_subjects(items, ["emodb-03"])) == {"emodb-03"}


def test_given_folds_are_held_out_one_after_the_other() -> None:
    folds = given_folds(people(7), [(1, 2), ("03", "ravdess-04")])
    assert folds == ({"ravdess-01", "ravdess-02"}, {"ravdess-03", "ravdess-04"})
    with pytest.raises(DataError, match="ravdess-02 would be in two folds"):
        given_folds(people(7), [(1, 2), (2, 3)])
    with pytest.raises(DataError, match="fold 1 is empty"):
        given_folds(people(7), [(1, 2), ()])


def test_automatic_folds_are_alike() -> None:
    items = people(20, each=6)
    held = [of_subjects(items, fold) for fold in balanced_folds(items, 4)]
    assert sorted(one.key for part in held for one in part) == sorted(one.key for one in items)
    for part in held:
        assert len(subjects(part)) == 5
        assert set(Counter(one.label for one in part).values()) == {10}
        sexes = Counter(one.sex for one in part)
        assert abs(sexes["male"] - sexes["female"]) <= 6


def test_automatic_folds_balance_people_of_unlike_size() -> None:
    items = [
        said(f"ravdess-{n:02d}", k, label=LABELS[n % 3])
        for n in range(1, 31)
        for k in range(2 if n > 6 else 20)
    ]
    sizes = [len(of_subjects(items, fold)) for fold in balanced_folds(items, 3)]
    assert sum(sizes) == len(items)
    assert max(sizes) - min(sizes) <= 8


def test_the_seed_decides_on_the_folds() -> None:
    items = people(12)
    first, again, other = (balanced_folds(items, 3, seed) for seed in (0, 0, 1))
    assert first == again == balanced_folds(items, 3)
    assert first != other
    assert balanced_folds(items[::-1], 3) == first


def test_folds_need_people() -> None:
    with pytest.raises(DataError, match="2 subjects cannot be divided into 3 folds"):
        balanced_folds(people(2), 3)
    with pytest.raises(ConfigError, match="folds"):
        balanced_folds(people(2), 1)


def test_images_of_nobody_in_particular_can_be_dealt() -> None:
    items = [said(f"fer2013-{n}", n) for n in range(60)]
    assert [len(fold) for fold in balanced_folds(items, 5)] == [12] * 5


def test_the_same_content_in_two_parts_is_found(tmp_path: Path) -> None:
    first = write_wav(tmp_path / "a.wav", noise(0.1, 1))
    copy = tmp_path / "b.wav"
    copy.write_bytes(first.read_bytes())
    other = write_wav(tmp_path / "c.wav", noise(0.1, 2))
    train = [voice(first, key="1"), voice(copy, key="2"), voice(other, start_s=0.0, end_s=0.05)]
    assert repeated({"train": train, "test": [voice(other, start_s=0.05)]}) == ()
    found = repeated({"train": train, "test": [voice(copy, key="3")]})
    assert [[one.key for one in group] for group in found] == [["1", "2", "3"]]


def test_the_same_row_in_two_parts_is_found(tmp_path: Path) -> None:
    table = tmp_path / "fer2013.csv"
    pixels = [" ".join([value] * 2304) for value in ("7", "8", "7")]
    table.write_text("\n".join(["emotion,pixels,Usage", *(f"0,{p},x" for p in pixels)]))
    items = [image(table, key=str(row), row=row) for row in range(3)]
    file = image(write_image(tmp_path / "p.png"))
    found = repeated({"train": items[:2], "validation": [items[2], file]})
    assert [[one.key for one in group] for group in found] == [["0", "2"]]
