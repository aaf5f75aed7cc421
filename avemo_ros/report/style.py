"""The colours of the reports, in light and dark; `templates/style.css` uses them by name."""

from __future__ import annotations

from typing import Final

from avemo_ros.sink.presentation import INKS, Ink

COLOURS: Final[dict[str, Ink]] = {
    "bg": Ink("#f6f7f9", "#0f1318"),
    "card": Ink("#ffffff", "#181d24"),
    "ink": Ink("#1c2128", "#e8ecf1"),
    "soft": Ink("#59636e", "#9aa5b1"),
    "line": Ink("#d8dee4", "#2f3742"),
    "row": Ink("#eef1f4", "#222932"),
    "bar": Ink("#7aa2cf", "#4f7fb3"),
    "mark": Ink("#c2410c", "#f59e5b"),
    "face": Ink("#7fa8a3", "#5f9089"),
    "voice": Ink("#c3a27a", "#a98455"),
    "heat": Ink("#2a70d1", "#5c9df5"),
    "good": Ink("#1a7f4b", "#5dc48f"),
    "bad": Ink("#b42318", "#f38b80"),
    "warn": Ink("#9a3412", "#fdba74"),
    **INKS,
}
"""Each colour by its name: those of the page, and those of the emotions.

Figures are made in the light ones; the page swaps each for its dark one.  So no two names may
have the same light colour.
"""
LIGHT: Final = {name: ink.light for name, ink in COLOURS.items()}
"""What figures are made with."""
DARK_OF_LIGHT: Final = {ink.light: ink.dark for ink in COLOURS.values()}
