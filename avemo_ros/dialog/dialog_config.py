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
            "YAML file with the strategies, the rules that choose them, templates and crisis "
            "words; empty: config/dialog.yaml of this package."
        ),
    )
    role: str = Field(
        "You are a friendly social robot in a spoken conversation.",
        description="Who the robot is: the start of the system prompt.",
    )
    min_confidence: float = Field(
        0.45,
        ge=0.0,
        le=1.0,
        description="Below this confidence, the steady emotion counts as unknown.",
    )
    high_confidence: float = Field(
        0.7, ge=0.0, le=1.0, description="From this value on, the confidence counts as 'high'."
    )
    name_confidence: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="Below this confidence, an answer never names the person's emotion.",
    )
    trend_window_s: float = Field(
        10.0,
        ge=1.0,
        le=600.0,
        description="Compute the trend over this long before the words [s].",
    )
    trend_per_s: float = Field(
        0.03,
        ge=0.0,
        le=2.0,
        description=(
            "Slope from which the mood (pleasant minus unpleasant, -1 to 1) counts as "
            "improving or worsening [1/s]."
        ),
    )
    change_window_s: float = Field(
        30.0, ge=0.0, le=600.0, description="Mention a change of emotion for this long [s]."
    )
    stale_after_s: float = Field(
        3.0,
        ge=0.2,
        le=60.0,
        description="Ignore states that are older than this when words arrive [s].",
    )
    absent_after_s: float = Field(
        2.0,
        ge=0.2,
        le=60.0,
        description="A person who is neither seen nor heard for this long is absent [s].",
    )
    engaged_s: float = Field(
        3.0,
        ge=0.5,
        le=60.0,
        description=(
            "A person who spoke or mostly faced the robot within this time is engaged [s]."
        ),
    )
    max_words: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="Cut a person's words off at this length [characters].",
    )
    max_answer: int = Field(
        600,
        ge=20,
        le=100_000,
        description=(
            "Refuse a longer answer of a model [characters]; the default is about 40 s of "
            "speech."
        ),
    )
    max_turns: int = Field(
        12, ge=0, le=1000, description="Number of turns (words and answer) to remember."
    )
    max_memory: int = Field(
        6000, ge=0, le=1_000_000, description="Number of characters to remember in total."
    )
    keep_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="Forget the conversation after this long without words [s].",
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
