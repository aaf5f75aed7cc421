"""Draws the predictions into an image: boxes, labels, the distribution, who speaks.

The layout keeps panels inside the image and off other faces; where there is no room for a
panel the face has its headline only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avemo_ros.errors import ImageError
from avemo_ros.labels import UNKNOWN
from avemo_ros.sink.presentation import BGR, INKS, STATUS_TEXT, headline, name_of
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.vision.face import Box, FrameTracks

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_WHITE: Final[BGR] = (245, 245, 245)
_DIM: Final[BGR] = (170, 170, 170)
_GROUND: Final = 0.28
"""Share of the image that shines through a panel."""
_CROWDED: Final = 0.25
"""A panel is left out when more than this share of it would cover faces or other panels."""


@dataclass(frozen=True, slots=True)
class _Area:
    """A rectangle in pixels, right and bottom edges excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> int:
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def shared(self, other: _Area) -> int:
        """Pixels that both cover."""
        return _Area(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).size

    def within(self, width: int, height: int) -> _Area:
        """Moved (not cut) so that it lies in the image, if it fits."""
        left = max(0, min(self.left, width - (self.right - self.left)))
        top = max(0, min(self.top, height - (self.bottom - self.top)))
        return _Area(left, top, left + self.right - self.left, top + self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class _Person:
    """What there is to draw of one face."""

    face_id: str
    area: _Area
    estimate: EmotionEstimate | None
    attended: bool


def draw(
    image: NDArray[np.uint8],
    tracks: FrameTracks | None,
    step: EmotionStep | None,
    note: str = "",
) -> NDArray[np.uint8]:
    """A copy of the image with the newest knowledge drawn in.

    Args:
        image: (height, width, 3) BGR.
        tracks: faces of this image; None takes the boxes from the estimates.
        step: newest estimates; None before the first.
        note: a line of text more.

    Returns:
        (height, width, 3) BGR.

    Raises:
        ImageError: the image has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(
            f"cannot draw on an image of shape {image.shape}, {image.dtype}; "
            "needed: (height, width, 3) uint8"
        )
    canvas = _Canvas(image.copy())
    people = _people(canvas, tracks, step)
    taken = [person.area for person in people]
    for person in people:
        canvas.frame(person)
    taken += [canvas.headline(person) for person in people]
    for person in people:
        if person.estimate is not None and person.estimate.probabilities:
            panel = canvas.panel(person, taken)
            if panel is not None:
                taken.append(panel)
    canvas.notices([*([(note, _WHITE)] if note else []), *_notices(people, step)])
    return canvas.image


def draw_note(image: NDArray[np.uint8], note: str) -> NDArray[np.uint8]:
    """A copy of the image, (height, width, 3) BGR, with a line of text and nothing else."""
    canvas = _Canvas(image.copy())
    canvas.notices([(note, _WHITE)])
    return canvas.image


def _people(
    canvas: _Canvas, tracks: FrameTracks | None, step: EmotionStep | None
) -> list[_Person]:
    """Faces to draw, the largest first."""
    estimates = () if step is None else step.estimates
    by_face = {item.face_id: item for item in estimates if item.face_id}
    attended = "" if step is None else step.attended.face_id
    if tracks is not None:
        boxes = [(face.face_id, face.box) for face in tracks.faces]
    else:
        boxes = [(item.face_id, item.box) for item in by_face.values() if item.box is not None]
    boxes.sort(key=lambda item: -item[1].area)
    return [
        _Person(name, canvas.area(box), by_face.get(name), name == attended)
        for name, box in boxes
    ]


def _notices(people: Sequence[_Person], step: EmotionStep | None) -> list[tuple[str, BGR]]:
    """Lines that belong to no face in the image."""
    if step is None:
        return [] if people else [("waiting for the first estimate", _DIM)]
    lines = [
        (f"voice {item.voice_id or item.person_id} {headline(item)}", INKS[item.label].bgr)
        for item in step.estimates
        if not item.face_id
    ]
    if not people and not lines:
        lines.append((STATUS_TEXT[step.attended.status], _DIM))
    return lines


class _Canvas:
    """The image that is drawn on; lengths follow its size."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self._height, self._width = image.shape[:2]
        # Text of 480 lines' size is the smallest that can be read, so it never gets smaller.
        self._scale = max(1.0, min(self._height / 480, self._width / 640))
        self._size = 0.44 * self._scale
        self._row = round(15 * self._scale)
        self._pad = round(5 * self._scale)
        self._line = max(1, round(self._scale))

    def area(self, box: Box) -> _Area:
        """The part of a box that lies in the image [pixels]."""

        def pixel(share: float, whole: int) -> int:
            return round(min(max(share, 0.0), 1.0) * (whole - 1))

        return _Area(
            pixel(box.x, self._width),
            pixel(box.y, self._height),
            pixel(box.x + box.width, self._width),
            pixel(box.y + box.height, self._height),
        )

    def frame(self, person: _Person) -> None:
        """The face's box; thick around the person to attend to."""
        area = person.area
        thick = self._line * (4 if person.attended else 2)
        corners = ((area.left, area.top), (area.right, area.bottom))
        cv2.rectangle(self.image, *corners, (0, 0, 0), thick + 2 * self._line, cv2.LINE_AA)
        cv2.rectangle(self.image, *corners, _colour(person), thick, cv2.LINE_AA)

    def headline(self, person: _Person) -> _Area:
        """Who and what, above the box, or inside it where the image ends."""
        text = person.face_id
        if person.estimate is not None:
            text = f"{name_of(person.estimate)} {headline(person.estimate)}"
        speaking = person.estimate is not None and person.estimate.speaking
        sign = round(self._row * 1.1) if speaking else 0
        height = self._row + self._pad
        width = self._text_width(text) + 2 * self._pad + sign
        top = person.area.top - height - self._line
        if top < 0:
            top = person.area.top + 2 * self._line
        left = person.area.left
        place = _Area(left, top, left + width, top + height).within(self._width, self._height)
        self._ground(place)
        self._text(text, place.left + self._pad, place.bottom - self._pad, _WHITE)
        bar = (place.left, place.top, place.left + 2 * self._line, place.bottom)
        self._block(_Area(*bar), _colour(person))
        if speaking:
            self._speaker(place.right - sign, (place.top + place.bottom) // 2)
        return place

    def panel(self, person: _Person, taken: Sequence[_Area]) -> _Area | None:
        """The distribution as bars, with the shares of face and voice; None: no room."""
        estimate = person.estimate
        if estimate is None:
            return None
        names = max(self._text_width(label) for label in estimate.labels)
        bars = round(54 * self._scale)
        width = names + bars + self._text_width("100") + 4 * self._pad
        height = (len(estimate.labels) + 1) * self._row + 2 * self._pad
        place = self._room(person.area, width, height, taken)
        if place is None:
            return None
        self._ground(place)
        likeliest = int(np.argmax(estimate.probabilities))
        for index, (label, share) in enumerate(
            zip(estimate.labels, estimate.probabilities, strict=True)
        ):
            base = place.top + self._pad + (index + 1) * self._row - round(3 * self._scale)
            tone = _WHITE if index == likeliest else _DIM
            self._text(label, place.left + self._pad, base, tone)
            start = place.left + 2 * self._pad + names
            top, bottom = base - round(9 * self._scale), base + self._line
            self._block(_Area(start, top, start + bars, bottom), (70, 70, 70))
            filled = start + round(bars * share)
            self._block(_Area(start, top, filled, bottom), INKS[label].bgr)
            self._text(f"{100 * share:.0f}", start + bars + self._pad, base, tone)
        base = place.bottom - self._pad - round(2 * self._scale)
        shares = f"face {estimate.face_share:.0%}  voice {estimate.voice_share:.0%}"
        self._text(shares, place.left + self._pad, base, _DIM)
        return place

    def notices(self, lines: Sequence[tuple[str, BGR]]) -> None:
        """Lines in the upper left corner."""
        for index, (text, colour) in enumerate(lines):
            top = self._pad + index * (self._row + 2 * self._pad)
            width = self._text_width(text) + 2 * self._pad
            place = _Area(self._pad, top, self._pad + width, top + self._row + self._pad)
            self._ground(place)
            self._text(text, place.left + self._pad, place.bottom - self._pad, colour)

    def _room(
        self, face: _Area, width: int, height: int, taken: Sequence[_Area]
    ) -> _Area | None:
        """Where a panel covers least: beside, below or above its face."""
        away = 2 * self._pad
        corners = (
            (face.right + away, face.top),
            (face.left - away - width, face.top),
            (face.right + away, face.bottom - height),
            (face.left - away - width, face.bottom - height),
            (face.left, face.bottom + away),
            (face.left, face.top - away - height),
        )
        places = [
            _Area(left, top, left + width, top + height).within(self._width, self._height)
            for left, top in corners
        ]
        covered = [sum(place.shared(other) for other in taken) for place in places]
        best = int(np.argmin(covered))
        fits = width <= self._width and height <= self._height
        return places[best] if fits and covered[best] <= _CROWDED * width * height else None

    def _speaker(self, left: int, middle: int) -> None:
        """Three bars as of a level meter: this one speaks."""
        unit = 2 * self._line
        for index, half in enumerate((3, 5, 2)):
            x = left + index * 2 * unit
            half = round(half * self._scale)
            self._block(_Area(x, middle - half, x + unit, middle + half + 1), (120, 230, 120))

    def _ground(self, area: _Area) -> None:
        """Darkens the image so that text stands out."""
        part = self._part(area)
        part[:] = (part * _GROUND).astype(np.uint8)

    def _block(self, area: _Area, colour: BGR) -> None:
        self._part(area)[:] = colour

    def _part(self, area: _Area) -> NDArray[np.uint8]:
        rows = slice(max(area.top, 0), max(area.bottom, 0))
        return self.image[rows, max(area.left, 0) : max(area.right, 0)]

    def _text(self, text: str, left: int, base: int, colour: BGR) -> None:
        cv2.putText(
            self.image, text, (left, base), _FONT, self._size, colour, self._line, cv2.LINE_AA
        )

    def _text_width(self, text: str) -> int:
        (width, _), _ = cv2.getTextSize(text, _FONT, self._size, self._line)
        return int(width)


def _colour(person: _Person) -> BGR:
    label = UNKNOWN if person.estimate is None else person.estimate.label
    return INKS[label].bgr
