"""Every setting of the dialog, with its meaning, unit and range; ROS parameters `dialog.*`."""

from __future__ import annotations

from dataclasses import dataclass

from avemo_ros.config import Validated, setting
from avemo_ros.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DialogConfig(Validated):
    """From states and words to an answer."""

    _group = "dialog"

    strategies: str = setting(
        "",
        "YAML file with strategies, their table, templates and crisis words; empty: "
        "config/dialog.yaml of this package.",
    )
    role: str = setting(
        "You are a friendly social robot in a spoken conversation.",
        "Who the robot is: the first words of the system prompt.",
    )
    min_confidence: float = setting(
        0.45,
        "Below this confidence of the steady emotion nothing is claimed of it.",
        low=0.0,
        high=1.0,
    )
    high_confidence: float = setting(
        0.7, "From here on the confidence counts as 'high'.", low=0.0, high=1.0
    )
    name_confidence: float = setting(
        0.8,
        "Below this confidence an answer never names an emotion to the person.",
        low=0.0,
        high=1.0,
    )
    trend_window_s: float = setting(
        10.0, "The trend is that of this long before the words [s].", low=1.0, high=600.0
    )
    trend_per_s: float = setting(
        0.03,
        "The mood (pleasant less unpleasant, -1 to 1) improves or worsens when it moves by at "
        "least this much [1/s].",
        low=0.0,
        high=2.0,
    )
    change_window_s: float = setting(
        30.0, "A change of the emotion is told for this long [s].", low=0.0, high=600.0
    )
    stale_after_s: float = setting(
        3.0, "States older than this when words come say nothing [s].", low=0.2, high=60.0
    )
    absent_after_s: float = setting(
        2.0, "Who is neither seen nor heard for this long is absent [s].", low=0.2, high=60.0
    )
    engaged_s: float = setting(
        3.0,
        "Who spoke, or mostly faced the robot, within this time is engaged [s].",
        low=0.5,
        high=60.0,
    )
    max_words: int = setting(
        2000, "Longer words of a person are cut off here [characters].", low=1, high=100_000
    )
    max_answer: int = setting(
        600,
        "A longer answer of a back end is refused [characters]; about 40 s of speech.",
        low=20,
        high=100_000,
    )
    max_turns: int = setting(
        12, "Words with their answers that are remembered.", low=0, high=1000
    )
    max_memory: int = setting(
        6000, "Characters that are remembered, in all.", low=0, high=1_000_000
    )
    keep_s: float = setting(
        300.0,
        "After this long without words the conversation is forgotten [s].",
        low=1.0,
        high=86_400.0,
    )

    def __post_init__(self) -> None:
        Validated.__post_init__(self)
        for name in ("high_confidence", "name_confidence"):
            value = getattr(self, name)
            if value < self.min_confidence:
                raise ConfigError(
                    f"dialog.{name}",
                    value,
                    f"at least dialog.min_confidence ({self.min_confidence})",
                )
