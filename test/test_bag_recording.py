"""What comes out of a bag is what went in, whatever it is stored as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bags as made
from mcap.writer import CompressionType
from tiny_bags import MS, START

from avemo_ros.audio.spectrogram import AudioBlock, RobotSpeech
from avemo_ros.bag.message_content import AudioFormat
from avemo_ros.bag.reader import BagImage, LabelRecord, Recording, StatesRecord
from avemo_ros.bag.topics import TopicKind, Topics
from avemo_ros.config import PipelineConfig
from avemo_ros.data.bags import bag_pieces
from avemo_ros.errors import BagError, ImageError
from avemo_ros.labels import EMOTIONS
from avemo_ros.replay.runner import replay
from avemo_ros.state.estimate import Status
from avemo_ros.vision.face import Box

RAW = frozenset({TopicKind.IMAGES, TopicKind.AUDIO})
S = 10**9


def items(path: Path, topics: Topics | None = None) -> list[tuple[int, Any]]:
    """All of a bag; fails where anything of it cannot be read."""
    with Recording(path, topics) as recording:
        found = list(recording.items(recording.kinds))
        assert recording.problems == []
        assert not recording.cut_off
    return found


def images_of(found: list[tuple[int, Any]]) -> list[BagImage]:
    return [item for _, item in found if isinstance(item, BagImage)]


def blocks_of(found: list[tuple[int, Any]]) -> list[AudioBlock]:
    return [item for _, item in found if isinstance(item, AudioBlock)]


def check_session(found: list[tuple[int, Any]]) -> None:
    """It is `tiny_bags.session()`."""
    times = [log_ns for log_ns, _ in found]
    assert times == sorted(times)
    images, blocks = images_of(found), blocks_of(found)
    assert [image.stamp_ns for image in images] == [START + i * 40 * MS for i in range(25)]
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image.image, made.image(number))
    assert [block.stamp_ns for block in blocks] == [START + i * 20 * MS for i in range(50)]
    for number, block in enumerate(blocks):
        assert block.rate == 16_000
        np.testing.assert_array_equal(block.samples[:, 0], made.pcm(320, number) / 32768)


@pytest.mark.parametrize(
    ("storage", "packed"),
    [
        *(("mcap", packed) for packed in ("", "file", "message", "storage")),
        *(("sqlite3", packed) for packed in ("", "file", "message")),
    ],
)
def test_every_storage_and_compression_gives_the_same(
    tmp_path: Path, storage: str, packed: str
) -> None:
    check_session(items(made.write(tmp_path / "bag", made.session(), storage, packed)))


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "no chunks"])
def test_mcap_files_of_other_writers_are_read_without_a_folder(
    tmp_path: Path, compression: CompressionType, chunked: bool
) -> None:
    path = tmp_path / "a.mcap"
    check_session(items(made.write_mcap(path, made.session(), compression, chunked=chunked)))


def test_a_single_database_is_read_without_its_folder(tmp_path: Path) -> None:
    made.write(tmp_path / "bag", made.session(), "sqlite3")
    check_session(items(tmp_path / "bag" / "bag.db3"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_come_by_time_whatever_the_order_in_the_file(
    tmp_path: Path, storage: str
) -> None:
    rows = made.session()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    check_session(items(made.write(tmp_path / "bag", shuffled, storage)))


def test_it_can_be_gone_through_twice_and_by_kinds(tmp_path: Path) -> None:
    with Recording(made.write(tmp_path / "bag", made.session())) as recording:
        assert recording.kinds == RAW
        assert recording.topic_of == {TopicKind.IMAGES: "/image_raw", TopicKind.AUDIO: "/audio"}
        assert (recording.start_ns, recording.end_ns) == (START, START + 1000 * MS)
        assert len(list(recording.items(frozenset({TopicKind.AUDIO})))) == 50
        assert len(list(recording.items(frozenset({TopicKind.IMAGES})))) == 25
        check_session(list(recording.items(RAW)))
        check_session(list(recording.items(RAW)))


def test_features_states_and_labels_come_as_the_packages_types(tmp_path: Path) -> None:
    rows = [
        made.tracks(START, x=0.5),
        made.chunk(START + MS, columns=3, gap=True),
        made.states(START + 2 * MS),
        made.text("person: anna", START + 3 * MS),
    ]
    found = [item for _, item in items(made.write(tmp_path / "bag", rows))]
    tracks, chunk, states, label = found
    assert (tracks.stamp_ns, tracks.width, tracks.height) == (START, 640, 480)
    assert tracks.faces[0].box == Box(0.5, 0.25, 0.25, 0.5)
    assert tracks.faces[0].crop.shape == (16, 16)
    assert tracks.faces[0].landmarks.shape == (468, 3)
    assert (chunk.stamp_ns, chunk.power_db.shape, chunk.gap) == (START + MS, (3, 200), True)
    assert isinstance(states, StatesRecord)
    estimate = states.estimates[0]
    assert (estimate.label, estimate.status, estimate.face_id) == (
        "happy",
        Status.NO_VOICE,
        "f0001",
    )
    assert estimate.probabilities[:2] == (0.75, 0.25)
    assert label == LabelRecord(START + 3 * MS, "person: anna")


def test_a_distribution_goes_by_its_own_labels(tmp_path: Path) -> None:
    names = ["Happiness", "sad", "calm", "neutral", "anger", "fear", "disgust", "surprise"]
    rows = [made.states(START, "joy", names), made.states(START + MS, labels=names[2:])]
    first, second = (item.estimates[0] for _, item in items(made.write(tmp_path / "b", rows)))
    assert first.label == "happy"
    assert dict(zip(EMOTIONS, first.probabilities, strict=True)) == dict.fromkeys(
        EMOTIONS, 0.0
    ) | {"happy": 0.75, "sad": 0.25}
    # Calm counts as neutral.
    assert second.probabilities[EMOTIONS.index("neutral")] == 1.0


def test_a_distribution_over_other_classes_is_left_out_and_said(tmp_path: Path) -> None:
    path = made.write(tmp_path / "bag", [made.states(START, labels=["happy", "contempt"])])
    with Recording(path) as recording:
        ((_, states),) = recording.items(frozenset({TopicKind.STATES}))
        assert isinstance(states, StatesRecord)
        assert (states.estimates[0].label, states.estimates[0].probabilities) == ("happy", ())
        (problem,) = recording.problems
    assert "1 message(s) with unknown classes ('contempt')" in problem


# --- sound


def test_sound_of_audio_common_4_is_read_by_its_own_format(tmp_path: Path) -> None:
    rows = [made.other_sound(i, START + (i + 1) * 20 * MS) for i in range(5)]
    path = made.write(tmp_path / "bag", rows, store=made.OTHER_STORE)
    blocks = blocks_of(items(path))
    assert [block.stamp_ns for block in blocks] == [START + i * 20 * MS for i in range(5)]
    np.testing.assert_array_equal(blocks[3].samples[:, 0], made.pcm(320, 3) / 32768)


def test_bare_sound_is_stamped_by_the_times_of_recording(
    tmp_path: Path,
) -> None:
    late = np.random.default_rng(0).integers(0, 8 * MS, 50)
    rows = [made.info(START)]
    rows += [made.bare_sound(i, START + (i + 1) * 20 * MS + int(late[i])) for i in range(50)]
    blocks = blocks_of(items(made.write(tmp_path / "bag", rows)))
    steps = np.diff([block.stamp_ns for block in blocks])
    assert len(blocks) == 50
    # Their jitter is left in, for the sample clock to tell from losses.
    np.testing.assert_array_equal(steps, 20 * MS + np.diff(late))


def test_stamps_of_zero_are_replaced_by_the_times_of_recording(tmp_path: Path) -> None:
    rows = [
        made.info(START),
        made.image_row(0, START + 5, 0),
        made.sound(0, START + 20 * MS, 0),
    ]
    with Recording(made.write(tmp_path / "bag", rows)) as recording:
        stamps = [item.stamp_ns for _, item in recording.items(RAW)]
        problems = "\n".join(recording.problems)
    assert stamps == [START + 5, START]
    assert "/audio: 1 message(s) without a stamp" in problems
    assert "/image_raw: 1 message(s) without a stamp" in problems


def test_sound_before_its_first_format_is_read_by_that(tmp_path: Path) -> None:
    rows = [made.sound(0, START), made.info(START + MS), made.sound(1, START + 20 * MS)]
    assert len(blocks_of(items(made.write(tmp_path / "bag", rows)))) == 2


def test_sound_whose_format_changes_is_read_by_the_last_one_said(tmp_path: Path) -> None:
    rows = [
        made.info(START),
        made.sound(0, START + 20 * MS),
        made.info(START + 30 * MS, rate=32_000),
        made.sound(1, START + 40 * MS),
    ]
    blocks = blocks_of(items(made.write(tmp_path / "bag", rows)))
    assert [block.rate for block in blocks] == [16_000, 32_000]


def test_sound_without_any_format_is_left_out_unless_it_is_given(tmp_path: Path) -> None:
    rows = [made.image_row(0, START), made.sound(0, START + 20 * MS)]
    path = made.write(tmp_path / "bag", rows)
    with Recording(path) as recording:
        assert recording.kinds == {TopicKind.IMAGES}
        assert "no audio_info was recorded" in recording.problems[0]
    topics = Topics(sound_format=AudioFormat(16_000, 1, "S16LE"))
    assert len(blocks_of(items(path, topics))) == 1


def test_compressed_sound_is_left_out_and_said(tmp_path: Path) -> None:
    rows = [made.info(START, coding="mp3"), made.sound(0, START), made.image_row(0, START)]
    with Recording(made.write(tmp_path / "bag", rows)) as recording:
        assert recording.kinds == {TopicKind.IMAGES}
        assert "'mp3' is compressed" in recording.problems[0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_sound_is_silent_while_the_robot_itself_speaks(tmp_path: Path, storage: str) -> None:
    rows = [
        *made.session(),
        made.speaking(START + 205 * MS, True),
        made.speaking(START + 310 * MS, False),
    ]
    path = made.write(tmp_path / "bag", rows, storage)
    with Recording(path) as recording:
        told = [item for _, item in recording.items(RAW) if isinstance(item, RobotSpeech)]
    assert told == [RobotSpeech(True), RobotSpeech(False)]
    blocks = list(bag_pieces(path, faces=False, voice=True))
    silent = np.concatenate([block.samples for block in blocks])[:, 0] == 0.0
    whole = np.concatenate([made.pcm(320, i) for i in range(50)]) == 0
    # 0.3 s longer than it speaks; what was heard before it was told is gone by already.
    expected = whole.copy()
    expected[16 * 205 : 16 * 610] = True
    np.testing.assert_array_equal(silent, expected)


def test_the_robots_voice_is_silenced_in_sound_stamped_since_boot(tmp_path: Path) -> None:
    rows = [made.info(START), made.speaking(START + 205 * MS, True)]
    rows += [made.sound(i, START + (i + 1) * 20 * MS, 900 * S + i * 20 * MS) for i in range(50)]
    path = made.write(tmp_path / "bag", sorted(rows, key=lambda row: row.log_ns))
    blocks = list(bag_pieces(path, faces=False, voice=True))
    heard = np.concatenate([block.samples for block in blocks])[:, 0]
    assert np.any(heard[: 16 * 200])
    assert len(set(heard[16 * 205 :])) == 1  # the offset of what was heard before


@pytest.mark.parametrize("count", [1, 3, 5])
def test_images_of_the_future_cost_few_others(tmp_path: Path, count: int) -> None:
    rows = [made.image_row(i, START + i * 33 * MS) for i in range(60)]
    for i in range(10, 10 + count):
        rows[i] = made.image_row(i, START + i * 33 * MS, START + 60 * S + i * 33 * MS)
    path = made.write(tmp_path / "bag", rows)
    stamps = [piece.stamp_ns for piece in bag_pieces(path, faces=True, voice=False)]
    good = [stamp for stamp in stamps if stamp < 2 * S]
    assert good == sorted(set(good))
    # It takes three to believe that a clock has been set, and three that it was set back.
    assert len(good) >= 60 - count - (2 if count >= 3 else 0)


# --- clocks that were set


def test_stamps_that_go_back_are_said_in_each_reading_once(tmp_path: Path) -> None:
    rows = [made.image_row(i, START + i * S, START + (i % 4) * S) for i in range(10)]
    rows += [made.text("person: anna", START + (i + 10) * S) for i in range(10)]
    with Recording(made.write(tmp_path / "bag", rows)) as recording:
        assert recording.problems == []
        for _ in range(2):
            list(recording.items(recording.kinds))
            (problem,) = recording.problems
            assert problem.startswith("/image_raw: time restarts 2 time(s)")


def test_stamps_that_are_out_of_order_are_no_new_time(tmp_path: Path) -> None:
    rows = [
        made.image_row(i, START + i * S, START + i * S - i % 2 * 1900 * MS) for i in range(9)
    ]
    assert len(items(made.write(tmp_path / "bag", rows))) == 9


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recorders_clock_that_was_set_back_is_said(tmp_path: Path, storage: str) -> None:
    rows = [*made.session(1.0, START + 60 * S), *made.session(1.0)]
    with Recording(made.write(tmp_path / "bag", rows, storage)) as recording:
        assert len(list(recording.items(recording.kinds))) == 150
        (problem,) = recording.problems
    assert problem.startswith("the recorder's clock was set back 1 time(s)")


def test_evaluation_tells_of_clocks_that_were_set(tmp_path: Path) -> None:
    rows = [*made.session(1.0, START + 60 * S), *made.session(1.0)]
    path = made.write(tmp_path / "bag", rows)
    replayed = replay(path, PipelineConfig(), use="raw", processes=1)
    (problem,) = (text for text in replayed.problems if "recorder" in text)
    assert problem.startswith("the recorder's clock was set back 1 time(s)")
    rows = [made.sound(i, START + i * 20 * MS, START + (i % 100) * 20 * MS) for i in range(150)]
    path = made.write(tmp_path / "anew", [made.info(START), *rows])
    problems = replay(path, PipelineConfig(), processes=1).problems
    (problem,) = (text for text in problems if text.startswith("/audio"))
    assert problem.startswith("/audio: time restarts 1 time(s)")


# --- which topic is which


def test_of_two_cameras_one_has_to_be_named(tmp_path: Path) -> None:
    rows = [
        made.image_row(0, START, topic="/left/image_raw"),
        made.image_row(1, START + 1, topic="/right/image_raw"),
    ]
    path = made.write(tmp_path / "bag", rows)
    with pytest.raises(BagError, match=r"/left/image_raw, /right/image_raw; .*--topic image="):
        Recording(path)
    found = items(path, Topics(image="right/image_raw"))
    np.testing.assert_array_equal(found[0][1].image, made.image(1))


def test_the_usual_name_tells_the_camera_and_what_we_draw_is_none(tmp_path: Path) -> None:
    rows = [
        made.image_row(0, START, topic="/emotion_overlay"),
        made.image_row(1, START + 1, topic="/camera/image_raw"),
        made.image_row(2, START + 2, topic="/camera/mask"),
    ]
    found = items(made.write(tmp_path / "bag", rows))
    assert [image.topic for image in images_of(found)] == ["/camera/image_raw"]


def test_stamped_sound_is_preferred_to_the_same_without(tmp_path: Path) -> None:
    rows = [
        made.info(START),
        made.bare_sound(0, START + 1, "/audio"),
        made.sound(0, START + 2, topic="/audio_stamped"),
    ]
    with Recording(made.write(tmp_path / "bag", rows)) as recording:
        assert recording.topic_of[TopicKind.AUDIO] == "/audio_stamped"


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        (Topics(image="/nowhere"), "no topic /nowhere in the bag; .*: /image_raw"),
        (Topics(image="/audio"), "/audio has type audio_common_msgs.*, not one for image"),
        (Topics(image="-", audio="-"), "nothing that can be used"),
    ],
)
def test_a_wrong_topic_is_refused_with_the_choices(
    tmp_path: Path, topics: Topics, said: str
) -> None:
    path = made.write(tmp_path / "bag", made.session(0.1))
    with pytest.raises(BagError, match=said):
        Recording(path, topics)


def test_a_topic_can_be_left_out(tmp_path: Path) -> None:
    path = made.write(tmp_path / "bag", made.session(0.1))
    with Recording(path, Topics(audio="-")) as recording:
        assert recording.kinds == {TopicKind.IMAGES}


def test_a_bag_with_other_topics_only_is_refused_with_their_names(tmp_path: Path) -> None:
    path = made.write(tmp_path / "bag", [made.text("hello", START, "/chatter")])
    with pytest.raises(BagError, match=r"/chatter \(std_msgs/msg/String\)"):
        Recording(path)


# --- images


def test_an_image_is_decoded_only_when_it_is_looked_at(tmp_path: Path) -> None:
    row = made.image_row(0, START)
    row.message.encoding = "nonsense"
    with Recording(made.write(tmp_path / "bag", [row])) as recording:
        ((_, image),) = recording.items(RAW)
        assert isinstance(image, BagImage)
        assert image.stamp_ns == START
        with pytest.raises(ImageError, match="nonsense"):
            _ = image.image
