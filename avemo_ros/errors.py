"""Errors that a user of the package can meet; each message says what to do about it."""

from __future__ import annotations

import re
from typing import Final

from avemo_ros.untrusted import shown

_SECRET: Final = re.compile(r"(key|token|secret|password)$", re.IGNORECASE)
"""Names under which people put what nobody else may read, and which no parameter has."""


class AvemoError(Exception):
    """Base of every error this package raises on purpose.

    Its text may quote what came from outside, and is safe to print.
    """

    def __str__(self) -> str:
        return shown(super().__str__())


class ConfigError(AvemoError, ValueError):
    """A parameter has a value that is not allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        quoted = "(not shown)" if _SECRET.search(name) else repr(value)
        super().__init__(f"parameter '{name}' is {quoted}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed
        self.place: tuple[str | int, ...] = (name,) if name else ()
        """Where it stands within what was read."""


class ImageError(AvemoError):
    """An image cannot be used: encoding, size or data are wrong."""

    def __init__(self, message: str, *, kind: str = "") -> None:
        """Set up.

        Args:
            message: what is wrong with this image, and what is allowed.
            kind: what goes wrong in one word, e.g. "truncated"; the same for every image
                with this trouble, whatever sizes the message names.
        """
        super().__init__(message)
        self.kind = kind or "image"


class DetectorError(AvemoError):
    """The configured face detector failed on an image, or answered with what is no face."""


class AudioFormatError(AvemoError):
    """Sound cannot be decoded: format, rate, channels or byte count are wrong."""

    def __init__(self, message: str, *, kind: str = "") -> None:
        """Set up.

        Args:
            message: what is wrong with this sound, and what is allowed.
            kind: what goes wrong in one word, e.g. "frames"; the same for all sound with this
                trouble, whatever sizes the message names.
        """
        super().__init__(message)
        self.kind = kind or "sound"


class SourceError(AvemoError):
    """A camera, microphone or media file cannot be opened or read."""


class WeightsError(AvemoError):
    """A weights file is missing, damaged or made for another model."""


class PredictionError(AvemoError):
    """What the network reads or answers is not finite: nothing can be claimed from it."""


class DataError(AvemoError):
    """A data set is missing, broken, or would be used in a way that is not honest."""


class BagError(AvemoError):
    """A bag is missing, damaged beyond reading, or holds nothing that can be used."""


class PoolError(AvemoError):
    """Worker processes cannot be started."""


class LabelError(AvemoError):
    """A file of labels is missing or wrong; the message names file, line and field."""


class DialogError(AvemoError):
    """A dialog's back end, strategy file or words cannot be used."""
