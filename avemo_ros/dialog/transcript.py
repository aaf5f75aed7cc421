"""A turn of a conversation: words, sensed emotion, strategy and answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person said, what was sensed, and what the robot answered."""

    t: float
    """Sensor time of the words since the conversation began [s]."""
    words: str
    emotion: str
    """Steady emotion that was taken into account: one of EMOTIONS, or 'unknown'."""
    confidence: float
    """Of that emotion, 0 to 1."""
    strategy: str
    answer: str
    intensity: float = 0.0
    """How strongly the strategy was followed, 0 to 1."""
    rate: float = 1.0
    """Speaking rate over the voice's usual."""
    pitch: float = 0.0
    """Against the voice's usual [semitones]."""
    volume: float = 0.0
    """Against the voice's usual [dB]."""
    gesture: str = ""
    """A hint for the body; '' for none."""
    context: str = ""
    """What the dialog knew of the person, as one paragraph."""
    back_end: str = ""
    """Who made the text: 'offline', or the model's name."""
    failure: str = ""
    """Why the configured endpoint did not answer, or what was wrong with the words; '' if all
    was well."""
    truth: str = ""
    """What the person felt according to the script; '' where nobody knows."""
    baseline: str = ""
    """The answer with the emotion cues switched off; '' where that was not asked."""
    baseline_strategy: str = ""
