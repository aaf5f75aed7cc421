"""Speaking style, and the answer as SSML (W3C, version 1.1)."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from pydantic import Field

from avemo_ros.dialog.tokenizer import printable
from avemo_ros.settings import Settings

_NAMESPACE: Final = "http://www.w3.org/2001/10/synthesis"


class Style(Settings):
    """Against the voice's usual way."""

    rate: float = Field(1.0, ge=0.5, le=2, description="Speaking rate; 1 is the usual.")
    pitch: float = Field(0.0, ge=-12, le=12, description="[semitones].")
    volume: float = Field(0.0, ge=-12, le=12, description="[dB].")

    def scaled(self, intensity: float) -> Style:
        """The way from the usual (0) to this style (1), rounded to what can be heard."""
        return Style(
            rate=round(1.0 + (self.rate - 1.0) * intensity, 3),
            pitch=round(self.pitch * intensity, 2),
            volume=round(self.volume * intensity, 2),
        )


def ssml(text: str, style: Style, language: str) -> str:
    """An SSML document; well-formed XML whatever the text holds.

    Args:
        text: plain text; what XML forbids is taken out by `printable`, marks are escaped.
        style: rate as a share of the usual, pitch in semitones and volume in dB relative to it.
        language: BCP 47 tag, e.g. 'en'.
    """
    return (
        f'<speak version="1.1" xmlns="{_NAMESPACE}" xml:lang="{escape(language)}">'
        f'<prosody rate="{style.rate:.0%}" pitch="{style.pitch:+.2f}st" '
        f'volume="{style.volume:+.2f}dB">{escape(printable(text))}</prosody></speak>'
    )
