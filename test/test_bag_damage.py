"""Of a bag that is damaged what can be read is used, and the rest is said."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import tiny_bags as made
import yaml
from mcap.writer import CompressionType
from tiny_bags import MS, START

from avemo_ros.bag.folder import Bag
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.errors import BagError

SOUND = frozenset({TopicKind.AUDIO})


def read(path: Path) -> tuple[list[int], list[str], bool]:
    """Times of the messages of all kinds, what was wrong, and whether it was cut off."""
    with Recording(path) as recording:
        times = [log_ns for log_ns, _ in recording.items(recording.kinds)]
        return times, recording.problems, recording.cut_off


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_an_mcap_file_that_was_cut_off_gives_its_beginning(
    tmp_path: Path, compression: CompressionType, share: float
) -> None:
    path = made.write_mcap(tmp_path / "a.mcap", made.session(2.0), compression)
    whole, _, _ = read(path)
    cut(path, share)
    times, problems, was_cut = read(path)
    assert was_cut
    assert any("cut off" in problem for problem in problems)
    assert times == whole[: len(times)]
    assert len(times) > 0.6 * share * len(whole)


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_of_the_last_chunk_the_whole_messages_are_read(
    tmp_path: Path, compression: CompressionType
) -> None:
    rows = made.session(12.0)
    path = made.write_mcap(tmp_path / "a.mcap", rows, compression, chunk_size=10**9)
    whole, _, _ = read(path)
    cut(path, 0.5)
    times, _, _ = read(path)
    assert 0.3 * len(whole) < len(times) < 0.7 * len(whole)
    assert times == whole[: len(times)]


def test_an_mcap_file_that_was_never_closed_gives_what_reached_the_disk(tmp_path: Path) -> None:
    path = made.write_mcap(tmp_path / "a.mcap", made.session(2.0), finish=False)
    times, problems, was_cut = read(path)
    assert was_cut
    assert len(times) > 100
    assert problems == ["the file was cut off: its end is missing"]


def test_a_damaged_chunk_is_left_out_and_those_behind_it_are_read(tmp_path: Path) -> None:
    path = made.write_mcap(tmp_path / "a.mcap", made.session(2.0), CompressionType.NONE)
    whole, _, _ = read(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    times, problems, _ = read(path)
    assert len(whole) - 40 < len(times) < len(whole)
    assert times[-1] == whole[-1]
    assert any("wrong checksum" in problem for problem in problems)


def test_behind_bytes_that_are_no_record_the_index_at_the_end_is_followed(
    tmp_path: Path,
) -> None:
    path = made.write_mcap(tmp_path / "a.mcap", made.session(2.0), CompressionType.LZ4)
    whole, _, _ = read(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 25_000] = b"\xff" * 25_000
    path.write_bytes(content)
    times, problems, was_cut = read(path)
    assert was_cut
    assert any("damaged" in problem for problem in problems)
    assert (times[0], times[-1]) == (whole[0], whole[-1])
    assert len(whole) // 2 < len(times) < len(whole)


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "no chunks"])
def test_whatever_bytes_are_damaged_the_rest_is_read(tmp_path: Path, chunked: bool) -> None:
    path = made.write_mcap(
        tmp_path / "a.mcap", made.session(1.0), CompressionType.ZSTD, chunked=chunked
    )
    content = path.read_bytes()
    noise = np.random.default_rng(0)
    for _ in range(60):
        at, count = int(noise.integers(8, len(content))), int(noise.choice([1, 8, 400]))
        damage = noise.choice([b"\xff", b"\0", noise.bytes(1)]) * count
        path.write_bytes(content[:at] + damage + content[at + count :])
        bag = Bag(path)
        left = len(list(bag.messages(bag.channels)))
        # Outside of chunks there is no checksum: one message may become another topic's.
        assert 76 - left <= (0 if chunked else 1) or bag.problems
        bag.close()


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_database_that_was_cut_off_gives_what_is_left(tmp_path: Path, share: float) -> None:
    bag = made.write(tmp_path / "bag", made.session(2.0), "sqlite3")
    whole, _, _ = read(bag)
    cut(bag / "bag.db3", share)
    times, problems, was_cut = read(bag)
    assert was_cut
    assert any("cut off" in problem for problem in problems)
    assert set(times) <= set(whole)
    assert len(times) > 0.5 * share * len(whole)


@pytest.mark.parametrize("packed", ["", "file"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "metadata.yaml is missing"),
        ("rosbag2_bagfile_inf: [", "metadata.yaml is damaged"),
        ("- nothing\n", "metadata.yaml is damaged"),
    ],
    ids=["missing", "no yaml", "another"],
)
def test_without_metadata_the_files_themselves_tell(
    tmp_path: Path, storage: str, packed: str, metadata: str | None, said: str
) -> None:
    bag = made.write(tmp_path / "bag", made.session(), storage, packed)
    (bag / "metadata.yaml").unlink()
    if metadata is not None:
        (bag / "metadata.yaml").write_text(metadata)
    times, problems, _ = read(bag)
    assert len(times) == 75
    assert len(problems) == 1
    assert said in problems[0]


def split(folder: Path, parts: int = 3) -> Path:
    """A bag of several files, one second each."""
    folder.mkdir()
    names = []
    for number in range(parts):
        rows = made.session(1.0, START + number * 10**9)
        made.write(folder.parent / f"part{number}", rows)
        names.append(f"{folder.name}_{number}.mcap")
        shutil.move(folder.parent / f"part{number}" / f"part{number}.mcap", folder / names[-1])
    about = yaml.safe_load((folder.parent / "part0" / "metadata.yaml").read_text())
    about["rosbag2_bagfile_information"]["relative_file_paths"] = names
    (folder / "metadata.yaml").write_text(yaml.safe_dump(about))
    return folder


def test_split_files_are_one_recording(tmp_path: Path) -> None:
    times, problems, was_cut = read(split(tmp_path / "bag", 12))
    assert (len(times), problems, was_cut) == (12 * 75, [], False)
    assert times == sorted(times)


def test_a_missing_part_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "bag_1.mcap").unlink()
    times, problems, was_cut = read(bag)
    assert len(times) == 2 * 75
    assert was_cut
    assert problems == ["bag_1.mcap is listed in metadata.yaml but missing"]


def test_a_part_that_is_no_bag_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "bag_2.mcap").write_bytes(b"")
    times, problems, was_cut = read(bag)
    assert len(times) == 2 * 75
    assert was_cut
    assert "bag_2.mcap' is an empty file" in problems[0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_of_a_bag_that_grows_what_was_there_is_used(tmp_path: Path, storage: str) -> None:
    bag = made.write(tmp_path / "bag", made.session(), storage)
    longer = made.write(tmp_path / "longer", made.session(2.0), storage)
    name = "bag.mcap" if storage == "mcap" else "bag.db3"
    with Recording(bag) as recording:
        if storage == "mcap":
            with (bag / name).open("ab") as file:
                file.write((longer / "longer.mcap").read_bytes())
        else:
            with sqlite3.connect(bag / name) as base:
                base.execute(
                    "INSERT INTO messages SELECT NULL, topic_id, timestamp, data FROM messages"
                )
        assert len(list(recording.items(recording.kinds))) == 75
        assert ["changed while it was read" in text for text in recording.problems] == [True]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mcap", b"", "is an empty file"),
        ("a.mcap", b"hello, this is a text", "neither an MCAP nor an SQLite file"),
        ("a.bag", b"#ROSBAG V2.0\n", "ROS 1 bag; convert it"),
        ("a.db3", b"SQLite format 3\x00" + bytes(100), "a.db3"),
    ],
)
def test_what_is_no_bag_is_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BagError, match=said):
        Recording(path)


def test_a_folder_without_bag_and_a_path_to_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="is not a bag"):
        Recording(tmp_path)
    with pytest.raises(BagError, match="does not exist"):
        Recording(tmp_path / "bag")


def test_another_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db3") as base:
        base.execute("CREATE TABLE things (id)")
    with pytest.raises(BagError, match=r"no such table: topics"):
        Recording(tmp_path / "a.db3")


def test_what_a_killed_recorder_left_in_the_log_of_its_database_is_read(
    tmp_path: Path,
) -> None:
    bag = made.write(tmp_path / "bag", made.session(), "sqlite3")
    base = sqlite3.connect(bag / "bag.db3")
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    base.execute("INSERT INTO messages SELECT NULL, topic_id, timestamp, data FROM messages")
    base.commit()
    killed = tmp_path / "killed"
    shutil.copytree(bag, killed)
    base.close()
    (killed / "metadata.yaml").unlink()
    times, problems, _ = read(killed)
    assert len(times) == 150
    assert len(problems) == 1
    assert problems[0].startswith("metadata.yaml is missing")


# --- definitions


def strip_definitions(bag: Path) -> None:
    """As Humble and before wrote them."""
    with sqlite3.connect(bag / f"{bag.name}.db3") as base:
        base.execute("DROP TABLE message_definitions")
        base.execute("UPDATE schema SET schema_version = 3")


def test_a_bag_that_holds_no_definitions_is_read_by_those_of_the_package(
    tmp_path: Path,
) -> None:
    rows = [*made.session(), made.tracks(START), made.chunk(START), made.states(START)]
    bag = made.write(tmp_path / "bag", rows, "sqlite3")
    strip_definitions(bag)
    times, problems, _ = read(bag)
    assert (len(times), problems) == (78, [])


def test_so_is_one_with_the_other_audio_common_msgs(tmp_path: Path) -> None:
    rows = [made.other_sound(i, START + i * 20 * MS) for i in range(4)]
    bag = made.write(tmp_path / "bag", rows, "sqlite3", store=made.OTHER_STORE)
    strip_definitions(bag)
    times, problems, _ = read(bag)
    assert (len(times), problems) == (4, [])


def test_a_definition_that_is_missing_is_named(tmp_path: Path) -> None:
    bag = made.write(tmp_path / "bag", made.session(), "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as base:
        base.execute(
            "UPDATE message_definitions SET encoded_message_definition = "
            "'std_msgs/Header header\nmy_msgs/Lens lens' WHERE topic_type LIKE '%Image'"
        )
    with Recording(bag) as recording:
        assert recording.kinds == SOUND
        assert "no definition of" in recording.problems[0]
        assert "my_msgs/msg/Lens" in recording.problems[0]


def test_a_definition_that_is_garbage_is_named(tmp_path: Path) -> None:
    bag = made.write(tmp_path / "bag", made.session(), "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as base:
        base.execute(
            "UPDATE message_definitions SET encoded_message_definition = '= 1 ?' "
            "WHERE topic_type LIKE '%Image'"
        )
    with Recording(bag) as recording:
        assert recording.kinds == SOUND
        assert (
            "definition of sensor_msgs/msg/Image in the bag is damaged"
            in (recording.problems[0])
        )


def test_the_definition_of_the_bag_comes_before_ours(tmp_path: Path) -> None:
    """A field more than ours has, as a later release may have."""
    from rosbags.typesys import get_types_from_msg
    from rosbags.typesys.store import Typestore

    later = Typestore()
    types = {
        name: fields for name, fields in made.STORE.fielddefs.items() if name != made.STRING
    }
    types.update(get_types_from_msg("int32 number\nstring data", made.STRING))
    later.register(types)
    row = made.Row("/labels", made.STRING, START, later.types[made.STRING](5, "label: sad"))
    bag = made.write(tmp_path / "bag", [row], store=later)
    with Recording(bag) as recording:
        ((_, label),) = recording.items(recording.kinds)
    assert label.text == "label: sad"  # type: ignore[union-attr]


def test_messages_that_are_something_else_are_left_out_and_counted(tmp_path: Path) -> None:
    bag = made.write(tmp_path / "bag", made.session(), "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as base:
        base.execute(
            "UPDATE messages SET data = x'0001000005' WHERE id IN (SELECT messages.id FROM "
            "messages JOIN topics ON topic_id = topics.id WHERE name = '/audio' LIMIT 3)"
        )
    times, problems, _ = read(bag)
    assert len(times) == 72
    assert len(problems) == 1
    assert problems[0].startswith("/audio: 3 message(s) left out: they do not match")


def test_messages_of_an_older_release_that_lack_a_field_are_left_out_and_said(
    tmp_path: Path,
) -> None:
    from rosbags.typesys import get_types_from_msg
    from rosbags.typesys.store import Typestore

    older = Typestore()
    types = {
        name: fields for name, fields in made.STORE.fielddefs.items() if name != made.STATES
    }
    types.update(get_types_from_msg("std_msgs/Header header\nint32 people", made.STATES))
    older.register(types)
    stamp = older.types["builtin_interfaces/msg/Time"](1, 0)
    header = older.types["std_msgs/msg/Header"](stamp, "camera")
    row = made.Row("/emotion_states", made.STATES, START, older.types[made.STATES](header, 2))
    bag = made.write(tmp_path / "bag", [row], store=older)
    times, problems, _ = read(bag)
    assert times == []
    assert "1 message(s) left out: this bag has another definition of" in problems[0]
