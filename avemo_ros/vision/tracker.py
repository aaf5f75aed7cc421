"""Which face of this image is which of the last: ids that last while a person is in view.

`assign` is the rectangular assignment problem: the shortest augmenting paths of Crouse 2016
("On implementing 2D rectangular assignment algorithms"), step by step as in SciPy's
`linear_sum_assignment`, so that ties fall alike. SciPy itself takes half a second and 35 MB
to load, for a handful of faces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from avemo_ros.timing import MOST_PATIENCE_NS, Interval, to_ns, to_s
from avemo_ros.vision.face import Box


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of row and column with the least sum of costs.

    Args:
        costs: of every row and column, finite; all rows are of one length.

    Returns:
        As many pairs as there are of what there is less of, by row.
    """
    if not costs or not costs[0]:
        return []
    if len(costs[0]) < len(costs):
        turned = assign(list(zip(*costs, strict=True)))
        return sorted((row, column) for column, row in turned)
    rows, columns = len(costs), len(costs[0])
    of_rows, of_columns = [0.0] * rows, [0.0] * columns  # the dual variables
    column_of, row_of = [-1] * rows, [-1] * columns
    for new in range(rows):
        reached = [math.inf] * columns
        came_from = [-1] * columns
        # From the last to the first: equal costs give the diagonal.
        left = list(range(columns - 1, -1, -1))
        visited: list[int] = []
        row, least, end = new, 0.0, -1
        while end < 0:
            lowest, place = math.inf, -1
            for index, column in enumerate(left):
                cost = least + costs[row][column] - of_rows[row] - of_columns[column]
                if cost < reached[column]:
                    reached[column], came_from[column] = cost, row
                free = row_of[column] < 0
                if reached[column] < lowest or (reached[column] == lowest and free):
                    lowest, place = reached[column], index
            least, chosen = lowest, left[place]
            left[place] = left[-1]
            left.pop()
            visited.append(chosen)
            row = row_of[chosen]
            end = chosen if row < 0 else -1
        of_rows[new] += least
        for column in visited:
            slack = least - reached[column]
            if row_of[column] >= 0:
                of_rows[row_of[column]] += slack
            of_columns[column] -= slack
        while end >= 0:
            row = came_from[end]
            row_of[end] = row
            column_of[row], end = end, column_of[row]
    return list(enumerate(column_of))


_OVERLAP: Final = 0.45
"""From this intersection over union on two boxes are the same face."""
_INSIDE: Final = 0.85
"""A box of which this share lies within another is the same face."""
_REACH: Final = 0.8
"""A face is looked for within this distance of where it should be [its own sizes]."""
_GROWTH: Final = 2.5
"""Between two images a face's area changes by less than this factor."""
_STEADY: Final = 0.3
"""Share of a surprise that goes into the velocity: less is steadier and slower."""
_GLIDE_S: Final = 0.4
"""A face that is missed is thought to move on for this long [s], then to wait."""
_NO_MATCH: Final = 1e3


class Found(Protocol):
    """Anything with a place in the image."""

    @property
    def box(self) -> Box:
        """The place, normalised."""
        ...


FoundT = TypeVar("FoundT", bound=Found)


@dataclass(slots=True)
class _Track:
    """A face that has an id."""

    face_id: str
    box: Box
    seen_ns: int
    across: float = 0.0
    """Velocity of the centre, to the right [image widths per second]."""
    down: float = 0.0

    def expected(self, stamp_ns: int) -> Box:
        """Where the face should be by now."""
        ahead = min(max(to_s(stamp_ns - self.seen_ns), 0.0), _GLIDE_S)
        box = self.box
        return Box(
            box.x + self.across * ahead, box.y + self.down * ahead, box.width, box.height
        )

    def see(self, stamp_ns: int, box: Box) -> None:
        """The face was found here."""
        passed = to_s(stamp_ns - self.seen_ns)
        if passed > 0:
            (x1, y1), (x2, y2) = _middle(self.expected(stamp_ns)), _middle(box)
            self.across += _STEADY * (x2 - x1) / passed
            self.down += _STEADY * (y2 - y1) / passed
        self.box = box
        self.seen_ns = stamp_ns


class Tracker:
    """Gives every found face an id, from its place alone.

    An id survives as long as its face is missed for no more than `timeout_s`, or two and a half
    intervals of images that come more slowly than that; then it ends and is never given again,
    `reset` or not, unless `rename` says that the same face is back.  At most `max_faces` ids
    are alive, those that are there already first; but a newcomer more than twice as large as
    the smallest of them (a person who steps up to the robot, before bystanders) takes its
    place.

    Args:
        max_faces: ids alive at the same time.
        timeout_s: how long a face may be missed [s].
    """

    def __init__(self, max_faces: int, timeout_s: float) -> None:
        self._max_faces = max_faces
        self._timeout_ns = to_ns(timeout_s)
        self._interval = Interval()
        self._tracks: list[_Track] = []
        self._given = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that are alive, found in the last image or missed for a moment."""
        return tuple(track.face_id for track in self._tracks)

    def update(self, stamp_ns: int, found: Sequence[FoundT]) -> list[tuple[str, FoundT]]:
        """Name the faces of the next image.

        A stamp that is not later than the last one counts as no time having passed.

        Args:
            stamp_ns: sensor time of the image [ns].
            found: its faces, the more trusted of two on the same face first.

        Returns:
            Id and face, oldest id first.  Faces that are one too many, or are on a face that
            is there already, are left out.
        """
        self._interval.add(stamp_ns)
        timeout_ns = self._interval.patience_ns(self._timeout_ns, MOST_PATIENCE_NS)
        self._tracks = [
            track for track in self._tracks if stamp_ns - track.seen_ns <= timeout_ns
        ]
        faces = _without_repeats(found)
        named: dict[str, FoundT] = {}
        for track, face in self._matches(stamp_ns, faces):
            track.see(stamp_ns, face.box)
            named[track.face_id] = face
        left = [face for face in faces if not any(face is known for known in named.values())]
        for face in sorted(left, key=lambda face: -face.box.area):
            if len(self._tracks) >= self._max_faces:
                smallest = min(self._tracks, key=lambda track: track.box.area)
                if face.box.area <= 2 * smallest.box.area:
                    break
                self._tracks.remove(smallest)
                named.pop(smallest.face_id, None)
            track = _Track(self.fresh_id(), face.box, stamp_ns)
            self._tracks.append(track)
            named[track.face_id] = face
        return [(key, named[key]) for key in self.ids if key in named]

    def fresh_id(self) -> str:
        """An id that no face had before."""
        self._given += 1
        return f"f{self._given:04d}"

    def rename(self, names: Mapping[str, str]) -> None:
        """Go on under other ids, for who knows better.

        Args:
            names: the new ids of some that are alive.  A face that had one of these before, and
                gets no other one, loses it.
        """
        ends = set(names.values()) - set(names)
        self._tracks = [track for track in self._tracks if track.face_id not in ends]
        for track in self._tracks:
            track.face_id = names.get(track.face_id, track.face_id)

    def limit(self, max_faces: int) -> None:
        """At most so many ids are alive from now on: those of the largest faces."""
        self._max_faces = max_faces
        largest = sorted(self._tracks, key=lambda track: -track.box.area)[:max_faces]
        self._tracks = [track for track in self._tracks if track in largest]

    def reset(self) -> None:
        """End every id."""
        self._tracks = []
        self._interval.reset()

    def _matches(self, stamp_ns: int, faces: list[FoundT]) -> list[tuple[_Track, FoundT]]:
        """The pairs of track and face with the least sum of costs."""
        if not self._tracks or not faces:
            return []
        expected = [track.expected(stamp_ns) for track in self._tracks]
        costs = [[_cost(box, face.box) for face in faces] for box in expected]
        return [
            (self._tracks[row], faces[column])
            for row, column in assign(costs)
            if costs[row][column] < _NO_MATCH
        ]


def _cost(expected: Box, seen: Box) -> float:
    """Little for boxes of the same face: 1 - IoU plus their distance in sizes of the face."""
    size = math.sqrt(max(expected.area * seen.area, 1e-12))
    ratio = seen.area / max(expected.area, 1e-12)
    (x1, y1), (x2, y2) = _middle(expected), _middle(seen)
    across = (x2 - x1) / max((expected.width + seen.width) / 2, 1e-6)
    down = (y2 - y1) / max((expected.height + seen.height) / 2, 1e-6)
    distance = math.hypot(across, down)
    if size <= 0 or distance > _REACH or not 1 / _GROWTH < ratio < _GROWTH:
        return _NO_MATCH
    return 1 - overlap(expected, seen)[0] + distance


def overlap(one: Box, other: Box) -> tuple[float, float]:
    """Intersection of two boxes over their union, and over the smaller of them."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(across, 0.0) * max(down, 0.0)
    union = max(one.area + other.area - common, 1e-12)
    return common / union, common / max(min(one.area, other.area), 1e-12)


def _without_repeats(found: Sequence[FoundT]) -> list[FoundT]:
    """Of several boxes on one face the first."""
    kept: list[FoundT] = []
    for face in found:
        shares = [overlap(face.box, other.box) for other in kept]
        if not any(union >= _OVERLAP or within >= _INSIDE for union, within in shares):
            kept.append(face)
    return kept


def _middle(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
