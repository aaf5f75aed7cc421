"""Replays as files."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields
from pathlib import Path

import pytest
from made_steps import BOX, START_NS, clip

from avemo_ros.replay.replayed import Replayed, SeenFaces, read_replayed, write_replayed


def replayed() -> Replayed:
    steps = tuple(clip(3.0))
    return Replayed(
        steps=steps,
        start_ns=START_NS,
        end_ns=steps[-1].stamp_ns,
        source="raw",
        model_id="made <1>",
        frames=(SeenFaces(START_NS, (("f1", BOX),)), SeenFaces(START_NS + 1, ())),
        counters={"frames": 2.0, "share": 1 / 3},
        stages_ms={"vision": (0.1, 1e-17)},
        seconds=0.7,
        latencies_s=(0.05,),
        problems=("/audio: 3 message(s) too short",),
    )


def test_a_replay_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    given = replayed()
    write_replayed(tmp_path / "a.json.gz", given)
    found = read_replayed(tmp_path / "a.json.gz")
    assert found is not None
    for item in fields(Replayed):
        assert getattr(found, item.name) == getattr(given, item.name), item.name


def test_the_same_replay_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_replayed(tmp_path / name, replayed())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 1, 40])
def test_a_file_that_was_cut_off_is_no_replay(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.json.gz"
    write_replayed(path, replayed())
    path.write_bytes(path.read_bytes()[:keep])
    assert read_replayed(path) is None


@pytest.mark.parametrize(
    "content",
    [[], "text", {"kind": "Path", "values": ["/"]}, {"kind": "Replayed", "values": [1, 2]}],
)
def test_other_content_is_no_replay(tmp_path: Path, content: object) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    assert read_replayed(path) is None


def test_a_missing_file_is_no_replay(tmp_path: Path) -> None:
    assert read_replayed(tmp_path / "none") is None
