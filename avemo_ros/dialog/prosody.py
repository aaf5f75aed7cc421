"""How something is said: speaking style, and the answer as SSML (W3C, version 1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from avemo_ros.dialog.fields import Fields
from avemo_ros.dialog.words import printable

_NAMESPACE: Final = "http://www.w3.org/2001/10/synthesis"


@dataclass(frozen=True, slots=True)
class Style:
    """Against the voice's usual way."""

    rate: float = 1.0
    """Speaking rate, 0.5 to 2; 1 is the usual."""
    pitch: float = 0.0
    """[semitones], -12 to 12."""
    volume: float = 0.0
    """[dB], -12 to 12."""

    @classmethod
    def read(cls, fields: Fields) -> Style:
        """From `rate`, `pitch` and `volume` of a file, each of which may be left out.

        Raises:
            DialogError: a value is not allowed.
        """
        style = cls(
            rate=fields.number("rate", 0.5, 2.0, 1.0),
            pitch=fields.number("pitch", -12.0, 12.0, 0.0),
            volume=fields.number("volume", -12.0, 12.0, 0.0),
        )
        fields.finish()
        return style

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
