"""The gate: accuracy, coverage and steadiness of the released model on a few bags.

Figures and bounds are in data/replay_gate.json.  Who changes the core or the released model on
purpose runs this file, looks at what has changed and why, and writes the new figures there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import clip_bags
import pytest
from clip_bags import TRUTH, Piece

from avemo_ros.cli.main import main
from avemo_ros.config import PipelineConfig

pytestmark = pytest.mark.timeout(600)

EMOTION = {"01": "neutral", "08": "surprised"}
"""By the third field of a clip's name."""
LENGTH_S = 10.0
AGAIN_S = 10.04
"""From one loop to the next: its last picture has its time, too."""


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "replay_gate.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def evaluated(folder: Path, bags: list[Path]) -> dict[str, Any]:
    """What `avemo bag evaluate` writes."""
    out = folder / "figures.json"
    words = [
        "bag",
        "evaluate",
        *map(str, bags),
        "--json",
        str(out),
        "--rounds",
        "100",
        # Alike on every kind of machine.
        "--set",
        "model.precision=float32",
        "--quiet",
    ]
    assert main(words) == 0
    content: dict[str, Any] = json.loads(out.read_text())
    return content


def kept(figures: dict[str, float], bounds: dict[str, Any]) -> None:
    """Every figure lies within its bounds, as the figure that was measured does."""
    assert len(bounds) >= 3
    for name, bound in bounds.items():
        low, high = bound["from"], bound["to"]
        assert low <= bound["measured"] <= high, f"{name}: {bound}"
        assert low <= figures[name] <= high, f"{name} is {figures[name]}: {bound}"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Figures of bags of the sample clip, by the bag's name."""
    folder = tmp_path_factory.mktemp("gate")
    whole = clip_bags.cut_bag(folder / "plain", [Piece(0.0, LENGTH_S, 0.0, 0.0)])
    clip_bags.write_labels(whole, TRUTH)
    features = clip_bags.sample_bag(folder / "features", LENGTH_S, features=PipelineConfig())
    clip_bags.write_labels(features, TRUTH)
    loop = clip_bags.cut_bag(
        folder / "loop",
        [Piece(0.0, LENGTH_S, 0.0, 0.0), Piece(0.0, LENGTH_S, AGAIN_S, AGAIN_S)],
    )
    again = [(start + AGAIN_S, end + AGAIN_S, label) for start, end, label in TRUTH]
    clip_bags.write_labels(loop, [*TRUTH, *again])
    # At 4.2 s the clock is set back by 1.5 s; what was happy is happy in both times.
    jump = clip_bags.cut_bag(
        folder / "clock-jump",
        [Piece(0.0, 4.2, 0.0, 0.0), Piece(4.2, LENGTH_S, 2.7, 4.2)],
    )
    clip_bags.write_labels(
        jump,
        [
            (0.0, 1.7, "neutral"),
            (2.1, 3.3, "happy"),
            (4.2, 6.5, "surprise"),
            (7.0, 8.5, "neutral"),
        ],
    )
    content = evaluated(folder, [whole, features, loop, jump])
    return {bag["name"]: bag for bag in content["bags"]}


@pytest.mark.parametrize("name", ["plain", "loop", "clock-jump"])
def test_a_bag_of_the_sample_keeps_its_figures(
    sample: dict[str, Any], gate: dict[str, Any], name: str
) -> None:
    kept(sample[name]["figures"], gate[name])


def test_recorded_features_give_the_figures_of_what_they_were_made_of(
    sample: dict[str, Any],
) -> None:
    raw, features = sample["plain"], sample["features"]
    assert (raw["source"], features["source"]) == ("raw", "features")
    for name in ("accuracy", "coverage", "claim_accuracy"):
        assert features["figures"][name] == pytest.approx(raw["figures"][name], abs=0.03), name


def test_a_loop_starts_nothing_anew_and_a_clock_that_is_set_back_does(
    sample: dict[str, Any],
) -> None:
    resets = {name: bag["counters"]["resets"] for name, bag in sample.items()}
    assert resets == {"plain": 0, "features": 0, "loop": 0, "clock-jump": 1}


def test_the_clips_of_an_actor_keep_their_figures(
    shared_data: Path, tmp_path: Path, gate: dict[str, Any]
) -> None:
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    rows = [f"{clip},{EMOTION[clip.name.split('-')[2]]},01" for clip in clips]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["file,label,subject", *rows]) + "\n")
    bags = tmp_path / "bags"
    words = ["--csv", str(table), "--out", str(bags), "--size", "640x480", "--jpeg"]
    assert main(["bag", "from-clips", *words]) == 0
    made = sorted(path for path in bags.iterdir() if path.is_dir())
    assert len(made) == len(clips) == 7
    kept(evaluated(tmp_path, made)["figures"], gate["clips"])
