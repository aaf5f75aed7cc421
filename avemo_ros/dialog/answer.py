"""What the robot says, how, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from avemo_ros.dialog.context import EmotionalContext


@dataclass(frozen=True, slots=True)
class Answer:
    """What the robot says to a person's words, and how."""

    utterance: str
    """The person's words, made printable and cut to the longest that is allowed."""
    person: str
    """Who is answered: the id that was given, else the key of the one attended to."""
    text: str
    ssml: str
    """The text as an SSML document."""
    strategy: str
    intensity: float
    """0 to 1."""
    rate: float
    """Speaking rate over the voice's usual."""
    pitch: float
    """[semitones] against the usual."""
    volume: float
    """[dB] against the usual."""
    gesture: str
    """A hint for the body; "" for none."""
    emotion: str
    confidence: float
    """The emotion that was taken into account, or 'unknown' and 0."""
    context: EmotionalContext
    back_end: str
    """Who made the text: 'offline', or the model's name."""
    fallback: bool
    """A back end was asked, and gave no answer or none that may be said."""
    failure: str
    """Why it was not the back end's, or what was wrong with the words; "" if all was well."""
