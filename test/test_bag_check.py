"""`avemo bag check` says what a bag holds, what is wrong with it, and what can be used."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import made_replays
import numpy as np
import pytest
import tiny_bags as made
import yaml
from mcap.opcode import Opcode
from mcap.writer import CompressionType, IndexType
from tiny_bags import MS, START

from avemo_ros.audio.spectrogram import BINS, AudioBlock, SpectrogramChunk
from avemo_ros.bag.check import check
from avemo_ros.bag.check_report import BagCheck
from avemo_ros.bag.mcap_file import MAGIC
from avemo_ros.bag.messages import differs_in
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.timing_statistics import MouthAndSound, by_stamps
from avemo_ros.bag.writer import BagWriter
from avemo_ros.cli.main import main
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

S = 10**9


def checked(tmp_path: Path, rows: list[made.Row], storage: str = "mcap") -> BagCheck:
    return check(made.write(tmp_path / "bag", rows, storage))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_good_bag_has_no_findings(tmp_path: Path, storage: str) -> None:
    found = checked(tmp_path, made.session(2.0), storage)
    assert found.findings == ()
    assert found.clean
    assert (found.storage, found.files, found.duration_s) == (storage, 1, 2.0)
    assert found.usable.raw == "images (/image_raw) and audio (/audio)"
    assert found.usable.features == found.usable.states == found.usable.labels == ""
    by_topic = {one.topic: one for one in found.topics}
    assert by_topic["/audio_info"].use == "audio info"
    assert {one.definition for one in found.topics} == {"bag"}
    images, sound = by_topic["/image_raw"].timing, by_topic["/audio"].timing
    assert images.rate_hz == pytest.approx(25.0)
    assert sound.rate_hz == pytest.approx(50.0)
    assert images.longest_gap_s == pytest.approx(0.04)
    assert (images.delay_s, sound.delay_s) == (0.0, 0.0)
    assert found.offset_by_stamps.seconds == 0.0


def without(rows: list[made.Row], start_ms: int, end_ms: int, topic: str) -> list[made.Row]:
    return [
        row
        for row in rows
        if row.topic != topic or not START + start_ms * MS <= row.log_ns < START + end_ms * MS
    ]


def shifted(rows: list[made.Row], topic: str, change: Callable[[int, int], int]) -> None:
    """Change stamps: `change(number, stamp)`."""
    own = [row for row in rows if row.topic == topic]
    for number, row in enumerate(own):
        stamp = row.message.header.stamp
        changed = change(number, stamp.sec * S + stamp.nanosec)
        stamp.sec, stamp.nanosec = changed // S, changed % S


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (without(made.session(3.0), 1000, 2000, "/image_raw"), "/image_raw: 1 gap(s), 1.00 s"),
        (
            without(made.session(3.0), 1000, 1200, "/audio"),
            "/audio: 0.20 s of audio are missing in 1 place(s)",
        ),
        (made.session(1.0)[1:], "no audio_info was recorded"),
        (
            [row for row in made.session(1.0) if row.topic == "/image_raw"],
            "evaluation can use only images",
        ),
    ],
    ids=["images", "sound", "format", "no sound"],
)
def test_what_is_missing_is_said(tmp_path: Path, rows: list[made.Row], said: str) -> None:
    found = checked(tmp_path, rows)
    assert any(said in finding for finding in found.findings), found.findings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda i, stamp: stamp - (i == 30) * 100 * MS,
            "1 message(s) have a stamp that is not later",
        ),
        (lambda i, stamp: stamp - (i >= 30) * 10 * S, "time restarts 1 time(s)"),
        (lambda i, stamp: stamp + (i >= 30) * 10 * S, "jump against each other 1 time(s)"),
        (lambda i, stamp: stamp - 100 * S, "stamps differ from the recording times by 100.0 s"),
        (lambda i, stamp: 0, "50 message(s) without a stamp"),
        (lambda i, stamp: stamp - 300 * MS, "images are 0.30 s ahead of the audio"),
    ],
    ids=["order", "anew", "jump", "far", "zero", "offset"],
)
def test_odd_stamps_are_said(
    tmp_path: Path, change: Callable[[int, int], int], said: str
) -> None:
    rows = made.session(2.0)
    shifted(rows, "/image_raw", change)
    found = checked(tmp_path, rows)
    assert any(said in finding for finding in found.findings), found.findings


SET_BACK = "the recorder's clock was set back {} time(s)"


def set_back(times: int) -> list[made.Row]:
    """A recorder whose clock is set back by 60 s after each two seconds."""
    rows: list[made.Row] = []
    for number in range(times + 1):
        rows += made.session(2.0, START + 60 * S * (times - number))
    return rows


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_how_often_a_recorders_clock_was_set_back_is_said(
    tmp_path: Path, storage: str, times: int
) -> None:
    found = checked(tmp_path, set_back(times), storage)
    said = [text for text in found.findings if "clock was set back" in text]
    assert [text.startswith(SET_BACK.format(times)) for text in said] == [True] * (times > 0)


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("index", [IndexType.NONE, IndexType.ALL], ids=["none", "whole"])
@pytest.mark.parametrize("chunk_size", [1, 3000, 10_000, 20_000, 10**9])
def test_the_number_is_the_same_however_large_the_chunks_are(
    tmp_path: Path, chunk_size: int, index: IndexType, times: int
) -> None:
    path = made.write_mcap(
        tmp_path / "a.mcap", set_back(times), chunk_size=chunk_size, index=index
    )
    with Recording(path) as recording:
        assert len(list(recording.items(recording.kinds))) == (times + 1) * 150
        assert recording.turned_back == times
        said = [text for text in recording.problems if "clock was set back" in text]
    assert [text.startswith(SET_BACK.format(times)) for text in said] == [True] * (times > 0)


@pytest.mark.parametrize("channel", [1, 2, 3])
@pytest.mark.parametrize("chunk_size", [3000, 10_000, 10**9])
def test_so_it_is_where_one_topic_has_no_index(
    tmp_path: Path, chunk_size: int, channel: int
) -> None:
    path = made.write_mcap(
        tmp_path / "a.mcap", set_back(1), CompressionType.NONE, chunk_size=chunk_size
    )
    content = bytearray(path.read_bytes())
    head = struct.Struct("<BQ")
    at, dropped = len(MAGIC), 0
    while content[at] != Opcode.DATA_END:
        opcode, length = head.unpack_from(content, at)
        if opcode == Opcode.MESSAGE_INDEX and content[at + head.size] == channel:
            # An operation that readers have to pass over.
            content[at] = 0x80
            dropped += 1
        at += head.size + length
    assert dropped
    path.write_bytes(content)
    found = check(path)
    assert any(text.startswith(SET_BACK.format(1)) for text in found.findings), found.findings


def test_a_clock_that_was_set_back_between_two_files_is_said(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    for number, start_ns in enumerate((START + 60 * S, START)):
        made.write_mcap(bag / f"bag_{number}.mcap", made.session(2.0, start_ns))
    found = check(bag)
    assert any(text.startswith(SET_BACK.format(1)) for text in found.findings), found.findings


def test_unreadable_messages_are_counted_by_topic(tmp_path: Path) -> None:
    rows = made.session(1.0)
    for row in rows:
        if row.topic == "/image_raw" and row.log_ns > START + 500 * MS:
            row.message.encoding = "nonsense"
    bag = made.write(tmp_path / "bag", rows, "sqlite3")
    with sqlite3.connect(bag / "bag.db3") as base:
        base.execute(
            "UPDATE messages SET data = x'00' WHERE id IN "
            "(SELECT max(messages.id) FROM messages)"
        )
    found = check(bag)
    text = "\n".join(found.findings)
    assert "/image_raw: 12 image(s) cannot be used: image encoding is 'nonsense'" in text
    assert "/audio: 1 message(s) left out" in text
    assert {one.topic: one.timing.count for one in found.topics}["/audio"] == 50


def test_topics_that_cannot_be_told_apart_are_a_finding_and_the_rest_is_looked_at(
    tmp_path: Path,
) -> None:
    rows = [*made.session(1.0), made.image_row(0, START, topic="/other/image_raw")]
    found = checked(tmp_path, rows)
    assert found.usable.raw == "audio (/audio), but no images"
    assert any("several topics fit image" in text for text in found.findings)


def test_nothing_that_can_be_used_is_a_finding(tmp_path: Path) -> None:
    found = checked(tmp_path, [made.text("hello", START, "/chatter")])
    assert any("nothing that can be used" in text for text in found.findings)
    assert found.topics[0].topic == "/chatter"


# --- types whose definitions the bag does not hold


def without_definitions(bag: Path, distro: str, kind: str = "%") -> Path:
    """As a recorder of that distro wrote it before definitions were stored."""
    with sqlite3.connect(bag / f"{bag.name}.db3") as base:
        base.execute(
            "UPDATE message_definitions SET encoded_message_definition = '' "
            "WHERE topic_type LIKE ?",
            (kind,),
        )
    about = yaml.safe_load((bag / "metadata.yaml").read_text())
    about["rosbag2_bagfile_information"]["ros_distro"] = distro
    (bag / "metadata.yaml").write_text(yaml.safe_dump(about))
    return bag


@pytest.mark.parametrize(
    ("distro", "said"),
    [("zany", "with ROS zany"), ("humble", None), ("", None), ("jazzy", None)],
)
def test_messages_read_by_the_definitions_of_another_distro_are_said(
    tmp_path: Path, distro: str, said: str | None
) -> None:
    rows = [*made.session(1.0), made.text("hello", START, "/chatter")]
    bag = made.write(tmp_path / "bag", rows, "sqlite3")
    found = check(without_definitions(bag, distro))
    assert found.clean is (said is None)
    if said is not None:
        (finding,) = found.findings
        assert said in finding
        assert "/image_raw are read with the definitions of ROS jazzy" in finding


def test_types_are_told_apart_by_distro() -> None:
    assert differs_in("humble", "rcl_interfaces/msg/Log")
    # By what it holds: its own definition is the same.
    assert differs_in("foxy", "rcl_interfaces/msg/ParameterEventDescriptors")
    assert differs_in("foxy", "rcl_interfaces/msg/ParameterDescriptor")
    assert not differs_in("humble", "sensor_msgs/msg/Image")
    assert not differs_in("humble", "avemo_ros/msg/EmotionState")
    assert not differs_in("", "sensor_msgs/msg/CompressedImage")
    assert differs_in("", "rcl_interfaces/msg/Log")


def test_a_type_that_nobody_knows_is_a_finding_though_it_is_not_used(tmp_path: Path) -> None:
    bag = made.write(
        tmp_path / "bag",
        [*made.session(1.0), made.text("hello", START, "/foo")],
        "sqlite3",
    )
    with sqlite3.connect(bag / "bag.db3") as base:
        base.execute("UPDATE topics SET type = 'my_msgs/msg/Foo' WHERE name = '/foo'")
    found = check(bag)
    assert {one.topic: one.definition for one in found.topics}["/foo"] == "missing"
    (finding,) = found.findings
    assert finding.startswith(
        "messages of /foo (my_msgs/msg/Foo) cannot be read: the bag and this package have no "
        "definition of my_msgs/msg/Foo"
    )


def test_a_bag_that_was_made_without_ros_names_no_distro(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = made.write(tmp_path / "bag", made.session(1.0))
    assert "ros_distro: rosbags" in (bag / "metadata.yaml").read_text()
    assert main(["bag", "check", str(bag)]) == 0
    assert "ROS" not in capsys.readouterr().out


# --- sound against images


def test_by_stamps_it_is_the_difference_of_the_delays() -> None:
    assert by_stamps(0.05, 0.02).seconds == pytest.approx(0.03)
    assert by_stamps(None, 0.02).seconds is None


@pytest.mark.parametrize("topic", ["/image_raw", "/audio"])
@pytest.mark.parametrize(
    "change",
    [
        lambda i, stamp: stamp - (i >= 30) * 3 * S,
        lambda i, stamp: stamp + (i >= 30) * 3 * S,
    ],
    ids=["back", "on"],
)
def test_of_stamps_whose_clock_was_set_it_cannot_be_told(
    tmp_path: Path, topic: str, change: Callable[[int, int], int]
) -> None:
    rows = made.session(2.0)
    shifted(rows, topic, change)
    found = checked(tmp_path, rows)
    for estimate in (found.offset_by_stamps, found.offset_by_mouth):
        assert estimate.seconds is None
        assert topic in estimate.how
    assert not any("the audio, by" in finding for finding in found.findings)


def test_where_the_recorders_clock_was_set_back_stamps_do_not_tell(tmp_path: Path) -> None:
    found = checked(tmp_path, set_back(1))
    assert found.offset_by_stamps.how == "unknown: the recorder's clock was set back"


def test_by_the_mouth_it_is_withheld_where_the_tracks_start_anew(tmp_path: Path) -> None:
    """Half of it is 3 s away from the other half, whatever the estimator says."""
    rows = [made.tracks(START + i * 40 * MS) for i in range(100)]
    rows += [made.chunk(START + i * 100 * MS) for i in range(40)]
    rows.sort(key=lambda row: row.log_ns)
    assert "clock" not in checked(tmp_path / "good", rows).offset_by_mouth.how
    shifted(rows, "/face_tracks", lambda i, stamp: stamp - (i >= 50) * 3 * S)
    found = checked(tmp_path / "bad", rows).offset_by_mouth
    assert found.how == "unknown: the clock that stamps /face_tracks was set"


def talking(path: Path, sound_later_s: float) -> Path:
    """The sample twice, its sound later by its stamps and by its times of recording."""
    with BagWriter(path, jpeg_quality=90) as bag:
        for first_s in (0.0, 10.0):
            pieces = made_replays.shifted(made_replays.sample(), first_s)
            for number, piece in enumerate(pieces):
                if isinstance(piece, AudioBlock):
                    stamp_ns = piece.stamp_ns + to_ns(sound_later_s)
                    bag.write_audio(replace(piece, stamp_ns=stamp_ns))
                elif number % 2:
                    bag.write_image(piece)
    return path


def test_of_images_and_sound_looking_tells_what_delays_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = [talking(tmp_path / f"late{ms}", ms / 1000) for ms in (0, 300)]
    out = tmp_path / "out.json"
    assert main(["bag", "check", *map(str, bags), "--look", "--json", str(out)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    found = [one["pictures_ahead_of_sound"] for one in json.loads(out.read_text())["bags"]]
    assert [one["by_stamps"]["seconds"] for one in found] == [0.0, 0.0]
    aligned, late = (one["by_mouth"]["seconds"] for one in found)
    assert 0.0 <= aligned <= 0.15, "a mouth naturally precedes its sound a little"
    assert late == pytest.approx(aligned + 0.3, abs=0.021)
    assert "- images are 0.3" in told


def test_how_to_look_is_said_where_it_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = made.write(tmp_path / "bag", made.session(2.0))
    assert main(["bag", "check", str(bag)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--look computes them from the images and the audio" in told
    assert main(["bag", "check", str(bag), "--look", "1"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no face with a mesh was seen (in the first 1 s; use --look 0 for the whole" in told
    assert main(["bag", "check", str(bag), "--look", "0"]) == 0
    assert "--look" not in capsys.readouterr().out
    silent = [row for row in made.session(1.0) if row.topic == "/image_raw"]
    assert main(["bag", "check", str(made.write(tmp_path / "b", silent)), "--look"]) == 1
    assert "--look" not in capsys.readouterr().out


def babble(seed: int, seconds: float) -> np.ndarray:
    """How open a mouth is that babbles, or how loud: one figure of 0 to 1 each 10 ms."""
    noise = np.random.default_rng(seed).random(round(seconds * 100))
    syllables = np.convolve(noise, np.hanning(25), "same")
    return syllables / syllables.max()


def scene(seconds: float, ahead_ns: int, *, dubbed: bool = False) -> MouthAndSound:
    """Somebody babbles; the images are stamped too early, or the voice is another's."""
    mouth = babble(0, seconds)
    syllables = babble(1, seconds) if dubbed else mouth
    times = range(len(mouth))
    gathered = MouthAndSound()
    for at in range(0, len(times), 4):
        face = FaceTrack(
            "f0001",
            Box(0.25, 0.25, 0.5, 0.5),
            0.9,
            None,
            None,
            0.9,
            float(mouth[at]),
            np.zeros((2, 2), np.uint8),
        )
        stamp_ns = START + at * 10 * MS - ahead_ns
        gathered.take_tracks(FrameTracks(stamp_ns, 640, 480, (face,)))
    for at in range(0, len(times), 10):
        level = (-50 + 40 * syllables[at : at + 10]).astype(np.float32)
        speech = np.full(len(level), 0.9, np.float32)
        power = np.zeros((len(level), BINS), np.float32)
        stamp_ns = START + at * 10 * MS
        gathered.take_chunk(SpectrogramChunk(stamp_ns, power, speech, level, gap=False))
    return gathered


@pytest.mark.parametrize("ahead_ms", [-300, 0, 120])
def test_by_the_mouth_it_is_where_both_move_together(ahead_ms: int) -> None:
    found = scene(20.0, ahead_ms * MS).offset()
    assert found.seconds == pytest.approx(ahead_ms / 1000, abs=0.021)


def test_of_too_little_speech_it_cannot_be_told() -> None:
    found = scene(3.0, 0).offset()
    assert found.seconds is None
    assert "unknown" in found.how


def test_where_mouth_and_sound_have_nothing_in_common_it_cannot_be_told() -> None:
    found = scene(20.0, 0, dubbed=True).offset()
    assert found.seconds is None
    assert "match clearly at any" in found.how


# --- the command


def test_the_command_says_by_its_exit_status_what_is_to_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made.write(tmp_path / "good", made.session(1.0))
    bad = made.write(tmp_path / "bad", made.session(1.0)[1:])
    assert main(["bag", "check", str(good)]) == 0
    assert "no problem found" in capsys.readouterr().out
    assert main(["bag", "check", str(good), str(bad)]) == 1
    assert "no audio_info" in capsys.readouterr().out
    assert main(["bag", "check", str(bad), "--sound-format", "16000,1,S16LE"]) == 0
    assert main(["bag", "check", str(good), str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_sentences_are_broken_into_lines_that_a_terminal_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = without(made.session(2.0), 500, 900, "/audio")
    shifted(rows, "/image_raw", lambda _, stamp: stamp - S)
    assert main(["bag", "check", str(made.write(tmp_path / "bag", rows))]) == 1
    lines = capsys.readouterr().out.split("evaluation can use")[1].splitlines()
    assert max(map(len, lines)) <= 92
    started = next(at for at, line in enumerate(lines) if line.startswith("  by stamps +"))
    assert lines[started + 1].startswith(" " * 12)
    told = " ".join(" ".join(lines[lines.index("findings") :]).split())
    assert "- images are 1.00 s ahead of the audio, by image delay minus audio delay" in told


def test_the_command_writes_what_it_found_and_replaces_nothing_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made.write(tmp_path / "good", made.session(1.0))
    out = tmp_path / "out.json"
    assert main(["bag", "check", str(good), "--json", str(out)]) == 0
    found = json.loads(out.read_text())["bags"][0]
    assert (found["clean"], found["duration_s"], found["cut_off"]) == (True, 1.0, False)
    assert {one["topic"] for one in found["topics"]} == {
        "/audio",
        "/audio_info",
        "/image_raw",
    }
    assert main(["bag", "check", str(good), "--json", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["bag", "check", str(good), "--json", str(out), "--force"]) == 0


@pytest.mark.parametrize(
    ("labels", "status", "said"),
    [
        ("person,start,end,label\nanna,0.1,0.9,happy\n", 0, "1 segment of 1 person"),
        ("person,start,end,label\nanna,10,20,happy\n", 1, "none of the labels"),
        ("person,start,end,label\nanna,0.5,0.9,furious!\n", 1, "cannot use the labels"),
    ],
)
def test_the_command_looks_at_the_labels_beside_the_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: str, status: int, said: str
) -> None:
    good = made.write(tmp_path / "good", made.session(1.0))
    (tmp_path / "good.labels.csv").write_text(labels)
    assert main(["bag", "check", str(good)]) == status
    assert said in capsys.readouterr().out


def test_the_command_reads_the_labels_in_the_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*made.session(1.0), made.text('{"person": "anna", "label": "sad"}', START + MS)]
    assert main(["bag", "check", str(made.write(tmp_path / "bag", rows))]) == 0
    assert "1 segment of 1 person (/labels)" in capsys.readouterr().out


def test_what_labels_count_from_is_said_where_images_begin_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a recording of running nodes: their states come before the camera does."""
    bag = made.write(tmp_path / "bag", [made.states(START - 5 * S), *made.session(1.0)])
    labels, out = tmp_path / "bag.labels.csv", tmp_path / "out.json"
    labels.write_text("person,start,end,label\n,4.5,5.8,happy\n")
    assert main(["bag", "check", str(bag), "--json", str(out)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    said = "from the bag's first message (of /emotion_states); the first image or audio comes"
    assert said in told
    assert "no problem found" in told
    found = json.loads(out.read_text())["bags"][0]
    begins = {one["topic"]: one["begins_s"] for one in found["topics"]}
    assert begins["/emotion_states"] == 0.0
    assert found["first_input_s"] == min(begins["/image_raw"], begins["/audio"])
    assert found["first_input_s"] == pytest.approx(5.0, abs=0.05)
    labels.write_text("person,start,end,label\n,0,2,sad\n,2,5.8,happy\n")
    assert main(["bag", "check", str(bag)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "2 labels in bag.labels.csv begin up to 5.0 s before the first image or audio" in told
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            ["--topic", "camera=/image_raw"],
            "allowed: WHAT=NAME, where WHAT is one of image, audio",
        ),
        (["--topic", "image=/a", "--topic", "image=/b"], "image once"),
        (["--look", "soon"], "seconds, 0 for all, or no value; put it after the bags"),
        (["--look=-1"], "seconds, 0 for all"),
        (["--sound-format", "16000"], "RATE,CHANNELS,FORMAT"),
        (["--sound-format", "16000,1,S17"], "sample format 'S17'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], said: str
) -> None:
    good = made.write(tmp_path / "good", made.session(0.1))
    assert main(["bag", "check", str(good), *option]) == 2
    assert said in capsys.readouterr().err
