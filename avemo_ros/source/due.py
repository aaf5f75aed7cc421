"""When a device would have sent what a media file holds."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from avemo_ros.audio.chunk import AudioBlock
from avemo_ros.clock import NS_PER_S
from avemo_ros.source.media import VideoFrame

ORIGIN_NS: Final = 10 * NS_PER_S
"""Time of a file's beginning, where items need times of their own: zero means "no time"."""


def from_origin(
    items: Iterable[VideoFrame | AudioBlock],
) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
    """As `by_due_time`, with stamps and times that begin at ORIGIN_NS."""
    moved = (replace(item, stamp_ns=ORIGIN_NS + item.stamp_ns) for item in items)
    return by_due_time(moved)


def by_due_time(
    items: Iterable[VideoFrame | AudioBlock],
) -> Iterator[tuple[int, VideoFrame | AudioBlock]]:
    """Items with the time at which they are to be sent, in its order [ns].

    Images are due at their stamp, sound at the end of its block.
    """
    count = itertools.count()
    waiting: list[tuple[int, int, VideoFrame | AudioBlock]] = []
    for item in items:
        due_ns = item.stamp_ns
        if isinstance(item, AudioBlock):
            due_ns += len(item.samples) * NS_PER_S // item.rate
        heapq.heappush(waiting, (due_ns, next(count), item))
        # Items come by stamp, so nothing can be due before the newest stamp any more.
        while waiting and waiting[0][0] <= item.stamp_ns:
            due_ns, _, ready = heapq.heappop(waiting)
            yield due_ns, ready
    while waiting:
        due_ns, _, ready = heapq.heappop(waiting)
        yield due_ns, ready
