from __future__ import annotations

from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.dataset import Published
from avemo_ros.data.registry import DATASETS, find_dataset, list_items
from avemo_ros.errors import ConfigError, DataError

TREES = {
    "afew": data_trees.afew,
    "enterface": data_trees.enterface,
    "savee": data_trees.savee,
    "ravdess": data_trees.ravdess,
    "cremad": data_trees.cremad,
    "fer2013": data_trees.fer2013_csv,
    "iemocap": data_trees.iemocap,
    "emodb": data_trees.emodb,
    "urdu": data_trees.urdu,
    "nemo": data_trees.nemo,
    "clips": data_trees.clips,
    "bags": data_trees.bags,
}


def test_every_data_set_has_a_made_up_tree() -> None:
    assert set(TREES) == set(DATASETS)


@pytest.mark.parametrize("name", TREES)
def test_items_come_sorted_with_keys_of_their_own_and_say_whose_they_are(
    name: str, tmp_path: Path
) -> None:
    listing = list_items(name, TREES[name](tmp_path))
    keys = [item.key for item in listing.items]
    assert keys == sorted(set(keys))
    assert listing.dataset == name
    for item in listing.items:
        assert item.dataset == name
        assert item.subject.startswith(f"{name}-")
        assert item.label in DATASETS[name].classes
        assert item.has_face or item.has_voice
        assert item.path.is_file()


@pytest.mark.parametrize("name", TREES)
def test_two_copies_in_other_places_have_the_same_keys(name: str, tmp_path: Path) -> None:
    one = list_items(name, TREES[name](tmp_path / "one"))
    two = list_items(name, TREES[name](tmp_path / "elsewhere" / "two"))
    assert [item.key for item in one.items] == [item.key for item in two.items]


@pytest.mark.parametrize("name", [name for name in TREES if name != "clips"])
def test_a_folder_one_above_is_found_too(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path / name)
    assert list_items(name, tmp_path).items


@pytest.mark.parametrize("name", TREES)
def test_a_folder_with_something_else_is_refused_with_the_layout(
    name: str, tmp_path: Path
) -> None:
    data_trees.put(tmp_path / "notes.txt", "nothing of it")
    with pytest.raises(DataError) as error:
        list_items(name, tmp_path)
    assert str(tmp_path) in str(error.value)
    if name != "clips":
        assert DATASETS[name].layout in str(error.value)


@pytest.mark.parametrize("name", TREES)
def test_a_folder_that_is_not_there_is_refused_with_the_layout(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="is not there; expected") as error:
        list_items(name, tmp_path / "nowhere")
    assert DATASETS[name].layout in str(error.value)


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        list_items("ravdess", data_trees.wav(tmp_path / "one.wav"))


@pytest.mark.parametrize("name", TREES)
def test_every_file_may_be_cut_to_nothing_without_a_crash(name: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    for path in root.rglob("*"):
        if path.is_file() and path.suffix not in (".csv", ".tsv", ".txt"):
            path.write_bytes(b"")
    if name == "fer2013":
        assert list_items(name, root).items  # its images are in the table
    else:
        with pytest.raises(DataError, match="an empty file"):
            list_items(name, root)


@pytest.mark.parametrize("name", TREES)
def test_tables_of_random_bytes_are_refused_or_skipped(name: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    tables = [p for p in root.rglob("*") if p.suffix in (".csv", ".tsv", ".txt")]
    used = [
        p for p in tables if p.name not in ("README.txt", "Info.txt") and "Cat" not in str(p)
    ]
    for path in tables:
        path.write_bytes(bytes(range(256)) * 4)
    if used:
        with pytest.raises(DataError, match="not a text file"):
            list_items(name, root)
    else:
        assert list_items(name, root).items


def test_an_unknown_data_set_and_unknown_options_name_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'radvess'; allowed: afew, enterface"):
        find_dataset("radvess")
    with pytest.raises(ConfigError, match="'modality' is 'sound'; allowed: av, audio, video"):
        list_items("ravdess", tmp_path, modality="sound")
    with pytest.raises(ConfigError, match="'labels'; allowed: modality"):
        list_items("ravdess", tmp_path, labels="perceived")
    with pytest.raises(ConfigError, match="none for this data set"):
        list_items("emodb", tmp_path, labels="perceived")


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("clips", "bags")])
def test_published_counts_of_classes_and_subjects_agree(name: str) -> None:
    dataset = DATASETS[name]
    combinations = [
        {option: value} for option, values in dataset.options.items() for value in values
    ]
    for options in ({}, *combinations):
        published = dataset.published(**options)
        if options == {"labels": "ferplus8"}:
            # Its authors count their majorities in another way than with contempt as a class.
            assert published is None
            continue
        assert isinstance(published, Published)
        labels = {label for counts in published.classes.values() for label in counts}
        assert labels == set(dataset.classes)
        if published.subjects is not None:
            assert sum(published.subjects.values()) == published.total


@pytest.mark.parametrize("name", DATASETS)
def test_the_documentation_names_every_data_set_and_how_many_items_it_has(
    name: str, repository: Path
) -> None:
    text = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    published = DATASETS[name].published()
    if published is not None:
        # CREMA-D is given with its bad clip.
        items = sum(int(part.replace(",", "")) for part in cells[3].split("+"))
        assert items == published.total + (name == "cremad")


def test_the_documented_example_of_own_recordings_can_be_read(
    repository: Path, tmp_path: Path
) -> None:
    text = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    example = next(block for block in text.split("```") if block.strip().startswith("file,"))
    data_trees.put(tmp_path / "clips.csv", example.strip())
    data_trees.wav(tmp_path / "anna" / "hello.wav")
    data_trees.mp4(tmp_path / "visit.mp4")
    items = list_items("clips", tmp_path).items
    assert [(item.label, item.start_s) for item in items] == [
        ("happy", None),
        ("surprise", 12.5),
    ]
