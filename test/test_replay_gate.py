"""The gate: accuracy, coverage and steadiness of the released model on a few bags.

Figures and bounds are in data/replay_gate.json; data/README.md says how the bounds were chosen.
Who changes the engine or the released model on purpose runs this file, looks at what has
changed and why, and writes the new figures there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clip_bags
import pytest
from clip_bags import TRUTH, Piece
from made_replays import write_features

from avemo_ros.cli.main import main
from avemo_ros.config import PipelineConfig

pytestmark = pytest.mark.timeout(600)

EMOTION = {"01": "neutral", "08": "surprised"}
"""By the third field of a clip's name."""
LENGTH_S = 10.0
AGAIN_S = 10.04
"""From one loop to the next: its last image has its time, too."""
SMALL = (100, 75)
"""Size of images [pixels] in which faces are just good enough to be looked at."""
FIGURES = {
    "accuracy",
    "segment_accuracy",
    "coverage",
    "claim_accuracy",
    "false_changes_per_minute",
    "lost_claims_per_minute",
}


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "replay_gate.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def evaluated(folder: Path, bags: list[Path], *settings: str) -> dict[str, Any]:
    """What `avemo bag evaluate` writes."""
    out = folder / "figures.json"
    # Float32 is alike on every kind of machine.
    chosen = [word for one in ("model.precision=float32", *settings) for word in ("--set", one)]
    words = ["--json", str(out), "--rounds", "100", "--quiet", "--force", *chosen]
    assert main(["bag", "evaluate", *map(str, bags), *words]) == 0
    content: dict[str, Any] = json.loads(out.read_text())
    return content


def outside(figures: dict[str, float | None], bounds: dict[str, Any]) -> list[str]:
    """The figures that are not within their bounds; one that could not be measured is not."""
    found = []
    for name, bound in bounds.items():
        value = figures[name]
        if value is None or not within(value, bound):
            found.append(f"{name} is {value}: {bound}")
    return found


def within(value: float, bound: dict[str, float]) -> bool:
    return bound.get("from", -math.inf) <= value <= bound.get("to", math.inf)


NAMES = ("plain", "features", "small", "loop", "clock-jump")


def make_bags(folder: Path) -> None:
    """Labelled bags of the sample clip."""
    folder.mkdir()
    whole = clip_bags.cut_bag(folder / "plain", [Piece(0.0, LENGTH_S, 0.0, 0.0)])
    clip_bags.write_labels(whole, TRUTH)
    # Images are looked at once: what bags of features say, and that it is the same, is tested.
    released = PipelineConfig()
    features = clip_bags.sample_bag(folder / "features", LENGTH_S, features=released)
    clip_bags.write_labels(features, TRUTH)
    small = clip_bags.sample_bag(folder / "small", LENGTH_S, size=SMALL, features=released)
    clip_bags.write_labels(small, TRUTH)
    loop = write_features(
        folder / "loop",
        clip_bags.cut_bag(
            folder / "raw-loop",
            [Piece(0.0, LENGTH_S, 0.0, 0.0), Piece(0.0, LENGTH_S, AGAIN_S, AGAIN_S)],
        ),
        released,
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


@pytest.fixture(scope="module")
def bags(made_once: Callable[..., Path]) -> dict[str, Path]:
    """Labelled bags of the sample clip by their names."""
    folder = made_once("gate", make_bags)
    return {name: folder / name for name in NAMES}


@pytest.fixture(scope="module")
def sample(
    bags: dict[str, Path],
    found_once: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What the evaluation says of each of them, by the released settings."""
    content = found_once(
        "gate-figures",
        lambda: evaluated(tmp_path_factory.mktemp("figures"), list(bags.values())),
    )
    return {bag["name"]: bag for bag in content["bags"]}


def test_every_bound_holds_the_figure_that_was_measured(gate: dict[str, Any]) -> None:
    for bag, bounds in gate.items():
        assert set(bounds) == FIGURES, bag
        for name, bound in bounds.items():
            assert {"from", "to"} & set(bound), f"{bag}, {name}"
            assert within(bound["measured"], bound), f"{bag}, {name}: {bound}"


@pytest.mark.parametrize("name", ["plain", "small", "loop", "clock-jump"])
def test_a_bag_of_the_sample_keeps_its_figures(
    sample: dict[str, Any], gate: dict[str, Any], name: str
) -> None:
    assert outside(sample[name]["figures"], gate[name]) == []


@pytest.mark.parametrize(
    ("setting", "name", "figure"),
    [
        ("emotion.min_confidence=0.7", "loop", "coverage"),
        ("emotion.min_face_quality=0.8", "small", "coverage"),
        ("emotion.filter_s=0.0", "features", "false_changes_per_minute"),
    ],
)
def test_worse_settings_do_not_pass(
    bags: dict[str, Path],
    gate: dict[str, Any],
    tmp_path: Path,
    setting: str,
    name: str,
    figure: str,
) -> None:
    figures = evaluated(tmp_path, [bags[name]], setting)["figures"]
    bounds = gate["plain" if name == "features" else name]
    assert [one for one in outside(figures, bounds) if one.startswith(figure)]


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
    assert resets == {"plain": 0, "features": 0, "small": 0, "loop": 0, "clock-jump": 1}


def test_the_clips_of_an_actor_keep_their_figures(
    shared_data: Path, tmp_path: Path, gate: dict[str, Any]
) -> None:
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    rows = [f"{clip},{EMOTION[clip.name.split('-')[2]]},01" for clip in clips]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["file,label,subject", *rows]) + "\n")
    bags = tmp_path / "bags"
    words = ["--csv", str(table), "--out", str(bags), "--size", "640x480", "--features"]
    assert main(["bag", "from-clips", *words]) == 0
    made = sorted(path for path in bags.iterdir() if path.is_dir())
    assert len(made) == len(clips) == 7
    assert outside(evaluated(tmp_path, made)["figures"], gate["clips"]) == []
