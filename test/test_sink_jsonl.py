"""JSON Lines: the keys, the values, and what an interruption leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_steps import START_NS, clip, estimate, nobody, step_of

from avemo_ros.labels import EMOTIONS, UNKNOWN
from avemo_ros.sink.jsonl import JsonLines, records
from avemo_ros.sink.output_file import OutputError
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.estimate import EmotionStep, Status

KEYS = {
    "t", "window_start", "person_id", "face_id", "voice_id", "label", "confidence",
    "probabilities", "status", "face_share", "voice_share", "box", "speaking", "attended",
    "speaking_score",
    "valence", "arousal", "valence_arousal_valid", "valence_arousal_source",
    "model_id", "engagement", "looks_at_robot", "distance",
}  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_estimate_has_all_keys_and_plain_values() -> None:
    (line,) = records(step_of(estimate(t=3.5, speaking=True, status=Status.OK)), START_NS)
    assert set(line) == KEYS
    assert line["t"] == pytest.approx(3.5)
    assert line["window_start"] == pytest.approx(0.5)
    assert line["status"] == "OK"
    assert line["box"] == [0.3, 0.2, 0.25, 0.4]
    assert line["attended"] is True
    probabilities = line["probabilities"]
    assert isinstance(probabilities, dict)
    assert tuple(probabilities) == EMOTIONS
    assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-5)


def test_without_a_claim_probabilities_and_box_are_null() -> None:
    (line,) = records(step_of(estimate(UNKNOWN, box=None, status=Status.LOW_QUALITY)), START_NS)
    assert line["probabilities"] is None
    assert line["box"] is None
    assert line["label"] == "unknown"
    assert line["status"] == "LOW_QUALITY"


def test_what_is_known_of_where_somebody_looks_is_said_and_else_null() -> None:
    known = replace(
        estimate(), engagement=EngagementLevel.ENGAGED, looks_at_robot=0.9, distance=1.25
    )
    (line,) = records(step_of(known), START_NS)
    assert (line["engagement"], line["looks_at_robot"], line["distance"]) == (
        "ENGAGED", 0.9, 1.25,
    )  # fmt: skip
    (line,) = records(step_of(estimate()), START_NS)
    assert (line["engagement"], line["looks_at_robot"], line["distance"]) == (
        "UNKNOWN", None, None,
    )  # fmt: skip


def test_a_score_that_is_not_known_is_null() -> None:
    (unknown,) = records(step_of(estimate()), START_NS)
    (known,) = records(step_of(replace(estimate(), speaking_score=0.25)), START_NS)
    assert (unknown["speaking_score"], known["speaking_score"]) == (None, 0.25)


def test_with_several_people_only_one_is_attended() -> None:
    people = (estimate(face="f1"), estimate("sad", face="f2"), estimate("fear", face="f3"))
    lines = list(records(EmotionStep(people[0].stamp_ns, people, people[1], None), START_NS))
    assert [line["attended"] for line in lines] == [False, True, False]


def test_nobody_in_view_gives_one_line_that_says_why() -> None:
    (line,) = records(
        EmotionStep(START_NS, (), nobody(status=Status.STALE_INPUT), None), START_NS
    )
    assert line["face_id"] == ""
    assert line["status"] == "STALE_INPUT"


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "states.jsonl"
    with JsonLines(out, START_NS) as lines:
        for item in clip(3.0):
            lines.write(item)
        assert not out.exists()
    times = [json.loads(text)["t"] for text in out.read_text().splitlines()]
    assert times == sorted(times)
    assert len(times) >= 29
    assert names(tmp_path) == ["states.jsonl"]


def test_an_interruption_keeps_the_lines_under_a_clear_name(tmp_path: Path) -> None:
    out = tmp_path / "states.jsonl"
    out.write_text("an earlier run\n")

    def interrupted() -> None:
        with JsonLines(out, START_NS) as lines:
            lines.write(step_of(estimate()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.read_text() == "an earlier run\n"
    assert json.loads((tmp_path / "states.partial.jsonl").read_text())["label"] == "happy"
    assert names(tmp_path) == ["states.jsonl", "states.partial.jsonl"]


def test_an_interruption_before_the_first_line_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), JsonLines(tmp_path / "states.jsonl", START_NS):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_without_a_file_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonLines(None, START_NS) as lines:
        lines.write(step_of(estimate("fear")))
    assert json.loads(capsys.readouterr().out)["label"] == "fear"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    out = tmp_path / "none" / "states.jsonl"
    with pytest.raises(OutputError, match=r"states\.jsonl"), JsonLines(out, START_NS):
        pass


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"), JsonLines(tmp_path, START_NS):
        pass


def test_the_file_has_the_usual_rights(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "a.jsonl", START_NS) as lines:
        lines.write(step_of(estimate()))
    (tmp_path / "b").write_text("b")
    assert (tmp_path / "a.jsonl").stat().st_mode == (tmp_path / "b").stat().st_mode
