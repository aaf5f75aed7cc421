"""A recording through the engine: the same answers, however it is played."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from made_replays import START_NS, features_of, sample, shifted, write_bag, write_features

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.reader import Recording
from avemo_ros.bag.topics import TopicKind
from avemo_ros.bag.writer import BagWriter
from avemo_ros.cli.main import main
from avemo_ros.config import InputConfig, PipelineConfig
from avemo_ros.errors import BagError
from avemo_ros.pipeline import Pipeline
from avemo_ros.replay.feature_worker import FeatureJob, FeatureWorker
from avemo_ros.replay.replayed import Replayed
from avemo_ros.replay.runner import RAW, replay
from avemo_ros.source.media_file import VideoFrame
from avemo_ros.state.estimate import EmotionStep, Status
from avemo_ros.timing import to_ns
from avemo_ros.vision.face import FrameTracks

pytestmark = pytest.mark.timeout(400)

CONFIG = PipelineConfig()


@pytest.fixture(scope="module")
def bag(made_once: Callable[..., Path]) -> Path:
    """Five seconds in which somebody smiles and speaks."""
    return made_once("replay-sample", lambda path: write_bag(path, sample(2.0, 7.0)))


@pytest.fixture(scope="module")
def replayed_alone(bag: Path, found_once: Callable[..., Any]) -> tuple[Replayed, list[float]]:
    """A replay, and what it said of its progress."""

    def find() -> tuple[Replayed, list[float]]:
        done: list[float] = []
        return replay(bag, CONFIG, processes=1, progress=done.append), done

    found: tuple[Replayed, list[float]] = found_once("replay-alone", find)
    return found


@pytest.fixture(scope="module")
def alone(replayed_alone: tuple[Replayed, list[float]]) -> Replayed:
    return replayed_alone[0]


def told(replayed: Replayed) -> tuple[object, ...]:
    """All that has to be the same in every run."""
    return (
        replayed.steps,
        replayed.frames,
        replayed.start_ns,
        replayed.end_ns,
        replayed.source,
        replayed.model_id,
        dict(replayed.counters),
        replayed.problems,
    )


def assert_alike(
    steps: tuple[EmotionStep, ...], others: tuple[EmotionStep, ...], tolerance: float
) -> None:
    assert [step.stamp_ns for step in steps] == [step.stamp_ns for step in others]
    for one, other in zip(steps, others, strict=True):
        assert one.attended.status == other.attended.status
        assert one.attended.label == other.attended.label
        assert len(one.estimates) == len(other.estimates)
        for a, b in zip(one.estimates, other.estimates, strict=True):
            assert (a.face_id, a.voice_id, a.speaking) == (b.face_id, b.voice_id, b.speaking)
            assert a.probabilities == pytest.approx(b.probabilities, abs=tolerance)


def test_the_sample_gives_one_person_who_is_seen_and_heard(alone):
    assert len(alone.steps) == pytest.approx(49, abs=2)
    assert {face_id for frame in alone.frames for face_id, _ in frame.faces} == {"f0001"}
    assert any(
        step.attended.face_share > 0 and step.attended.voice_share > 0 for step in alone.steps
    )
    assert (alone.start_ns, alone.source) == (START_NS, "raw")
    assert alone.problems == ()


def test_every_second_image_of_30_hz_is_left_out_and_counted(alone):
    assert alone.counters["frames"] == alone.counters["frames_left_out"] == 75
    assert len(alone.frames) == 75


def test_two_processes_say_the_same_as_one_to_the_last_bit(bag, alone):
    assert told(replay(bag, CONFIG, processes=2)) == told(alone)


def test_the_pipeline_says_the_same_of_the_same_input(bag, alone):
    pipeline = Pipeline(CONFIG)
    steps: list[EmotionStep] = []
    with Recording(bag) as recording:
        for log_ns, item in recording.items(RAW):
            if isinstance(item, AudioBlock):
                steps += pipeline.push_audio(item, log_ns)
            else:
                steps += pipeline.push_frame(item.stamp_ns, item.image, log_ns)
    steps += pipeline.flush()
    pipeline.close()
    assert tuple(steps) == alone.steps


def test_progress_is_told_in_seconds_of_the_recording(replayed_alone):
    progress = replayed_alone[1]
    assert progress == sorted(progress)
    assert 0.0 <= progress[0] < 0.5
    assert progress[-1] == pytest.approx(5.0, abs=0.2)


# --- features and states


@pytest.fixture(scope="module")
def features_bag(bag: Path, made_once: Callable[..., Path]) -> Path:
    return made_once("replay-features", lambda path: write_features(path, bag, CONFIG))


@pytest.mark.parametrize("processes", [1, 2])
def test_recorded_features_say_the_same_as_what_they_were_made_of(
    features_bag, alone, processes
):
    replayed = replay(features_bag, CONFIG, processes=processes)
    assert replayed.source == "features"
    assert_alike(replayed.steps, alone.steps, 1e-6)
    assert [frame.stamp_ns for frame in replayed.frames] == [
        frame.stamp_ns for frame in alone.frames
    ]


def test_recorded_states_are_taken_as_they_are(tmp_path, alone):
    with BagWriter(tmp_path / "states") as out:
        for step in alone.steps:
            out.write_states(step)
    replayed = replay(tmp_path / "states", CONFIG)
    assert (replayed.source, replayed.frames) == ("states", ())
    assert replayed.model_id == alone.model_id
    assert [step.stamp_ns for step in replayed.steps] == [step.stamp_ns for step in alone.steps]
    for one, other in zip(replayed.steps, alone.steps, strict=True):
        # Of an empty room an array of states does not say why it is empty.
        if other.estimates:
            assert one.attended.label == other.attended.label
            assert one.attended.probabilities == pytest.approx(
                other.attended.probabilities, abs=1e-6
            )


def test_what_is_not_in_the_bag_cannot_be_asked_for(bag, features_bag):
    with pytest.raises(BagError, match="no face tracks or spectrograms"):
        replay(bag, CONFIG, use="features")
    with pytest.raises(BagError, match="no states"):
        replay(bag, CONFIG, use="states")
    with pytest.raises(
        BagError, match=r"no images or audio.*it contains: face tracks, spectro"
    ):
        replay(features_bag, CONFIG, use="raw")


def test_raw_sound_beside_recorded_faces_is_used(tmp_path, bag, alone):
    with Recording(bag) as recording, BagWriter(tmp_path / "mixed") as out:
        images = frozenset({TopicKind.IMAGES})
        for log_ns, feature in features_of(recording, images, CONFIG):
            assert isinstance(feature, FrameTracks)
            out.write_tracks(feature, log_ns)
        for _, item in recording.items(frozenset({TopicKind.AUDIO})):
            assert isinstance(item, AudioBlock)
            out.write_audio(item)
    replayed = replay(tmp_path / "mixed", CONFIG, processes=1)
    assert replayed.source == "features"
    assert_alike(replayed.steps, alone.steps, 1e-6)


# --- the rules of the live nodes


def test_time_that_jumps_back_starts_everything_anew(tmp_path):
    pieces = sample(4.0, 7.0)
    again = [replace(piece) for piece in pieces]
    # A bag that was recorded while a player looped: the times of recording go on.
    repeated = {id(piece) for piece in again}
    path = write_bag(
        tmp_path / "loop",
        [*pieces, *again],
        lambda piece: piece.stamp_ns + (to_ns(3.0) if id(piece) in repeated else 0),
    )
    replayed = replay(path, CONFIG, processes=1)
    assert replayed.counters["resets"] == 1
    ids = {face_id for frame in replayed.frames for face_id, _ in frame.faces}
    assert len(ids) == 2


def test_stamps_far_from_the_time_of_recording_are_left_out(tmp_path):
    pieces = [piece for piece in sample(0.0, 2.0) if isinstance(piece, VideoFrame)]
    late_ns = START_NS + to_ns(1.0)

    def recorded(piece: VideoFrame | AudioBlock) -> int:
        return piece.stamp_ns + (to_ns(6.0) if piece.stamp_ns >= late_ns else 0)

    path = write_bag(tmp_path / "far", pieces, recorded)
    replayed = replay(path, CONFIG, processes=1)
    assert replayed.counters["far_stamps"] == 30
    assert len(replayed.frames) == 15
    assert any("images: 30 left out: stamps are 6.0 s" in one for one in replayed.problems)
    any_age = CONFIG.replace(input=InputConfig(max_input_age_s=0.0))
    for processes in (1, 2):
        taken = replay(path, any_age, processes=processes)
        assert taken.counters["far_stamps"] == 0
        assert len(taken.frames) == 30


def test_a_pause_of_all_input_is_told_as_the_live_nodes_tell_it(tmp_path):
    pieces = sample(4.0, 6.0)
    path = write_bag(tmp_path / "pause", [*pieces, *shifted(pieces, 5.0)])
    replayed = replay(path, CONFIG, processes=1)
    stale = [
        (step.stamp_ns - START_NS) / 1e9
        for step in replayed.steps
        if step.attended.status is Status.STALE_INPUT
    ]
    # From stale_after_s behind the last input until the next.
    assert stale[0] == pytest.approx(3.0, abs=0.15)
    assert stale[-1] == pytest.approx(5.0, abs=0.15)
    assert np.all(np.diff(stale) == pytest.approx(0.1, abs=1e-6))
    stamps = [step.stamp_ns for step in replayed.steps]
    assert stamps == sorted(set(stamps))


def test_stamps_of_another_clock_are_scored_where_the_labels_mean_them(tmp_path):
    """Simulated stamps beside times of recording of the system's clock."""
    pieces = [piece for piece in sample(0.0, 3.0) if isinstance(piece, VideoFrame)]
    apart_ns = to_ns(1e9)
    path = write_bag(tmp_path / "sim", pieces, lambda piece: piece.stamp_ns + apart_ns)
    any_age = CONFIG.replace(input=InputConfig(max_input_age_s=0.0))
    replayed = replay(path, any_age, processes=1)
    assert replayed.steps
    assert replayed.zero_ns == pytest.approx(START_NS, abs=to_ns(0.05))
    assert any("another clock" in problem for problem in replayed.problems)
    by_arrival = CONFIG.replace(input=InputConfig(image_stamps="arrival"))
    again = replay(path, by_arrival, processes=1)
    assert [step.stamp_ns - again.zero_ns for step in again.steps] == [
        step.stamp_ns - replayed.zero_ns for step in replayed.steps
    ]


def test_labels_are_held_against_stamps_of_another_clock(tmp_path):
    pieces = [piece for piece in sample(2.0, 6.0) if isinstance(piece, VideoFrame)]
    path = write_bag(tmp_path / "sim", pieces, lambda piece: piece.stamp_ns + to_ns(1e9))
    labels = tmp_path / "sim.labels.csv"
    labels.write_text("person,start,end,label\n,1.5,3.5,happy\n")
    found = []
    for name, settings in (
        ("any", ["max_input_age_s=0"]),
        ("arrival", ["image_stamps=arrival", "audio_stamps=arrival"]),
    ):
        out = tmp_path / f"{name}.json"
        words = ["bag", "evaluate", str(path), "--json", str(out), "--quiet"]
        words += [word for one in settings for word in ("--set", one)]
        assert main(words) == 0
        found.append(json.loads(out.read_text()))
    by_any, by_arrival = (one["overall"]["segments"]["list"] for one in found)
    assert by_any[0]["answer"] == "happy"
    assert by_any == by_arrival


def test_a_damaged_image_is_left_out_and_said(tmp_path, bag):
    with Recording(bag) as recording:
        messages = [item for _, item in recording.items(frozenset({TopicKind.IMAGES}))][:30]
    wrong = {to_ns(0.4) + START_NS}
    frames = [
        VideoFrame(
            item.stamp_ns,
            np.zeros((0, 0, 3), np.uint8) if item.stamp_ns in wrong else item.image,
        )
        for item in messages
    ]
    with BagWriter(tmp_path / "bad") as out:
        for frame in frames:
            out.write_image(frame)
    replayed = replay(tmp_path / "bad", CONFIG, processes=1)
    assert replayed.counters["pictures_refused"] == 1
    assert any("at least 1" in problem for problem in replayed.problems)
    # The next image of its turn stands in for it.
    assert len(replayed.frames) == 15


def test_sound_alone_and_images_alone_can_be_replayed(tmp_path):
    pieces = sample(4.0, 7.0)
    for kind, share in ((AudioBlock, "voice_share"), (VideoFrame, "face_share")):
        some = [piece for piece in pieces if isinstance(piece, kind)]
        path = write_bag(tmp_path / kind.__name__, some)
        replayed = replay(path, CONFIG, processes=1)
        claims = [step.attended for step in replayed.steps if step.attended.probabilities]
        assert claims
        assert all(getattr(state, share) == 1.0 for state in claims)


# --- the other process


def source(bag: Path) -> FeatureJob:
    return FeatureJob(bag, None, RAW, CONFIG)


def reading(what: FeatureJob) -> FeatureWorker:
    worker = FeatureWorker()
    worker.give(what)
    return worker


def test_a_bag_that_vanishes_is_told_by_the_other_process(tmp_path, bag):
    copy = shutil.copytree(bag, tmp_path / "gone")
    gone = source(copy)
    shutil.rmtree(copy)
    worker = reading(gone)
    try:
        with pytest.raises(BagError, match="gone"):
            list(worker)
    finally:
        worker.close()


def test_a_process_that_is_killed_is_an_error_and_no_hang(bag):
    worker = reading(source(bag))
    try:
        features = iter(worker)
        next(features)
        child = next(
            one for one in multiprocessing.active_children() if one.name == "avemo-features"
        )
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(BagError, match=r"ended unexpectedly.*-9"):
            list(features)
    finally:
        worker.close()


def test_who_stops_early_leaves_no_process_behind(bag):
    worker = reading(source(bag))
    next(iter(worker))
    worker.close()
    worker.close()
    assert not [
        one for one in multiprocessing.active_children() if one.name == "avemo-features"
    ]


def test_a_process_that_gets_nothing_to_read_ends_by_itself(tmp_path: Path):
    # The process that started it is killed.
    code = (
        "import multiprocessing, os\n"
        "from avemo_ros.replay.feature_worker import FeatureWorker\n"
        "if __name__ == '__main__':\n"
        "    worker = FeatureWorker()\n"
        "    (child,) = multiprocessing.active_children()\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    script = tmp_path / "starts.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(60)


def test_an_error_of_the_other_process_comes_with_its_place(bag):
    # Of another type than the process expects, so that it fails where nobody foresaw it.
    worker = reading(replace(source(bag), config=None))  # type: ignore[arg-type]
    try:
        with pytest.raises(RuntimeError, match="Traceback"):
            list(worker)
    finally:
        worker.close()


_REPLAY = """
import signal
import sys
import time
from pathlib import Path
from typing import Any
from avemo_ros.config import InputConfig, PipelineConfig
from avemo_ros.replay.runner import replay
if __name__ == "__main__":
    # A shell that runs the tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    def progress(seconds):
        print(seconds, flush=True)
        time.sleep(60)  # so that it is not over before it can be interrupted
    replay(Path(sys.argv[1]), PipelineConfig(), progress=progress)
"""


def test_ctrl_c_ends_both_processes(tmp_path, bag):
    script = tmp_path / "replaying.py"
    script.write_text(_REPLAY)
    process = subprocess.Popen(
        [sys.executable, str(script), str(bag)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    # As a terminal does: to all of them.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=240)
    assert "KeyboardInterrupt" in said
    _, left = psutil.wait_procs(children, timeout=240)
    assert not left


def test_the_speech_detector_does_not_depend_on_the_number_of_threads(bag):
    """The two processes compute with different numbers of threads."""
    code = (
        "import sys; from pathlib import Path; import hashlib\n"
        "from avemo_ros.bag.reader import Recording\n"
        "from avemo_ros.bag.topics import TopicKind\n"
        "from avemo_ros.audio.speech import SpeechBuffer\n"
        "from avemo_ros.config import AudioConfig\n"
        "buffer, seen = SpeechBuffer(AudioConfig()), hashlib.sha256()\n"
        "for _, block in Recording(sys.argv[1]).items(frozenset({TopicKind.AUDIO})):\n"
        "    for chunk in buffer.push(block):\n"
        "        seen.update(chunk.speech.tobytes() + chunk.power_db.tobytes())\n"
        "print(seen.hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(bag)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1
