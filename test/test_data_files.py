from __future__ import annotations

import os
from pathlib import Path

import data_trees
import pytest

from avemo_ros.data.corpus_files import SOUND, VIDEO, files_below, tables_below, what_is_wrong
from avemo_ros.errors import DataError


@pytest.mark.parametrize("make", ["wav", "avi", "flv", "mp3", "mp4", "jpg"])
def test_a_file_that_begins_as_it_should_is_accepted(make: str, tmp_path: Path) -> None:
    path = getattr(data_trees, make)(tmp_path / f"one.{make}")
    assert what_is_wrong(path) == ""


@pytest.mark.parametrize("suffix", [".wav", ".flv", ".mp4"])
def test_a_git_lfs_pointer_is_told_from_a_recording(suffix: str, tmp_path: Path) -> None:
    path = data_trees.put(tmp_path / f"one{suffix}", data_trees.LFS_POINTER)
    assert "git LFS pointer" in what_is_wrong(path)
    assert "git lfs pull" in what_is_wrong(path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.wav", b"", "an empty file"),
        ("a.wav", b"RIFF\x00\x00\x00\x00WAVE", "too small for a recording"),
        ("a.jpg", b"\xff\xd8\xff", "too small for an image"),
        ("a.avi", bytes(2000), "begins with zeros: not copied completely"),
    ],
)
def test_what_cannot_be_a_recording_is_named(
    name: str, content: bytes, what: str, tmp_path: Path
) -> None:
    assert what_is_wrong(data_trees.put(tmp_path / name, content)) == what


@pytest.mark.parametrize("make", ["wav", "avi", "mp4"])
def test_a_truncated_recording_is_found_by_its_own_header(make: str, tmp_path: Path) -> None:
    path = getattr(data_trees, make)(tmp_path / f"one.{make}")
    path.write_bytes(path.read_bytes()[:1100])
    assert what_is_wrong(path).startswith("truncated: shorter")


def test_an_mp4_without_its_index_is_truncated(tmp_path: Path) -> None:
    path = data_trees.mp4(tmp_path / "one.mp4")
    path.write_bytes(path.read_bytes().replace(b"moov", b"free"))
    assert what_is_wrong(path) == "truncated: without its index (moov)"


def test_a_wav_of_a_writer_that_could_not_go_back_is_accepted(tmp_path: Path) -> None:
    path = data_trees.wav(tmp_path / "one.wav")
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff\xff\xff\xff" + content[8:])
    assert what_is_wrong(path) == ""


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    link = tmp_path / "one.wav"
    link.symlink_to(tmp_path / "annex" / "object")
    assert "broken link" in what_is_wrong(link)


def test_hidden_files_and_folders_of_other_systems_are_skipped(tmp_path: Path) -> None:
    keep = data_trees.wav(tmp_path / "b" / "one.WAV")
    for name in ("b/._one.wav", ".git/two.wav", "__MACOSX/b/one.wav", "b/notes.txt"):
        data_trees.put(tmp_path / name, b"x")
    assert list(files_below(tmp_path, SOUND + VIDEO)) == [keep]


def test_a_link_to_a_folder_above_is_gone_into_only_once(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "a" / "one.wav")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert [path.name for path in files_below(tmp_path, SOUND)] == ["one.wav"]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    data_trees.wav(tmp_path / "elsewhere" / "one.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "Actor_01").symlink_to(tmp_path / "elsewhere")
    assert len(list(files_below(tmp_path / "root", SOUND))) == 1


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read"):
        list(files_below(tmp_path / "nowhere", SOUND))


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "one.wav")
    assert what_is_wrong(tmp_path / "one.wav") == "not a file"


def test_of_two_tables_with_one_name_the_first_is_taken(tmp_path: Path) -> None:
    first = data_trees.put(tmp_path / "a" / "Table.csv", "x")
    data_trees.put(tmp_path / "b" / "table.csv", "x")
    assert tables_below(tmp_path) == {"table.csv": first}


def test_real_clips_are_accepted_and_their_halves_are_not(
    shared_data: Path, tmp_path: Path
) -> None:
    clip = min((shared_data / "clips").glob("*.mp4"))
    assert what_is_wrong(clip) == ""
    half = data_trees.put(tmp_path / "half.mp4", clip.read_bytes()[: clip.stat().st_size // 2])
    assert what_is_wrong(half).startswith("truncated")
