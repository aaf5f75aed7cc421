"""Every setting of the dialog, with its meaning, unit and range; ROS parameters `dialog.*`."""

from __future__ import annotations

from pydantic import Field, model_validator

from avemo_ros.errors import ConfigError
from avemo_ros.settings import Settings


class DialogConfig(Settings, group="dialog"):
    """From states and words to an answer."""

    strategies: str = Field(
        "",
        description=(
            "YAML file with strategies, their table, templates and crisis words; empty: "
            "config/dialog.yaml of this package."
        ),
    )
    role: str = Field(
        "You are a friendly social robot in a spoken conversation.",
        description="Who the robot is: the first words of the system prompt.",
    )
    min_confidence: float = Field(
        0.45,
        ge=0.0,
        le=1.0,
        description="Below this confidence of the steady emotion nothing is claimed of it.",
    )
    high_confidence: float = Field(
        0.7, ge=0.0, le=1.0, description="From here on the confidence counts as 'high'."
    )
    name_confidence: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="Below this confidence an answer never names an emotion to the person.",
    )
    trend_window_s: float = Field(
        10.0,
        ge=1.0,
        le=600.0,
        description="The trend is that of this long before the words [s].",
    )
    trend_per_s: float = Field(
        0.03,
        ge=0.0,
        le=2.0,
        description=(
            "The mood (pleasant less unpleasant, -1 to 1) improves or worsens when it moves by "
            "at least this much [1/s]."
        ),
    )
    change_window_s: float = Field(
        30.0, ge=0.0, le=600.0, description="A change of the emotion is told for this long [s]."
    )
    stale_after_s: float = Field(
        3.0,
        ge=0.2,
        le=60.0,
        description="States older than this when words come say nothing [s].",
    )
    absent_after_s: float = Field(
        2.0,
        ge=0.2,
        le=60.0,
        description="Who is neither seen nor heard for this long is absent [s].",
    )
    engaged_s: float = Field(
        3.0,
        ge=0.5,
        le=60.0,
        description="Who spoke, or mostly faced the robot, within this time is engaged [s].",
    )
    max_words: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Longer words of a person are cut off here [characters].",
    )
    max_answer: int = Field(
        600,
        ge=20,
        le=100_000,
        description=(
            "A longer answer of a back end is refused [characters]; about 40 s of speech."
        ),
    )
    max_turns: int = Field(
        12, ge=0, le=1000, description="Words with their answers that are remembered."
    )
    max_memory: int = Field(
        6000, ge=0, le=1_000_000, description="Characters that are remembered, in all."
    )
    keep_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="After this long without words the conversation is forgotten [s].",
    )

    @model_validator(mode="after")
    def _go_together(self) -> DialogConfig:
        for name in ("high_confidence", "name_confidence"):
            value = getattr(self, name)
            if value < self.min_confidence:
                raise ConfigError(
                    name, value, f"at least dialog.min_confidence ({self.min_confidence})"
                )
        return self
