"""What is to be said against a bag's topics, each a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from avemo_ros.bag.checked import TopicCheck
from avemo_ros.bag.messages import differs_in
from avemo_ros.bag.offset import Offset
from avemo_ros.bag.rhythm import starts_anew
from avemo_ros.bag.topics import Kind

_DEFINED_BY: Final = "jazzy"
"""The distro whose definitions are used where a bag holds none."""
_OFFSET_S: Final = 0.2
"""Sound and pictures may be this far apart before windows of seconds feel it."""
_FAR_S: Final = 5.0
"""Stamps further than this from the node's clock are left out by the live nodes, unless
`max_input_age_s` says otherwise."""


def of_rhythms(topics: Sequence[TopicCheck]) -> list[str]:
    """Gaps, and stamps and times that do not go on as they should."""
    found = []
    for one in topics:
        if one.rhythm.delay_s is None:
            continue
        measured = one.rhythm
        if measured.gaps and one.use == Kind.SOUND.value:
            found.append(
                f"{one.topic}: {measured.lost_s:.2f} s of sound are missing in "
                f"{measured.gaps} place(s)"
            )
        elif measured.gaps and one.use != Kind.STATES.value:
            found.append(f"{one.topic}: {measured.gaps} gap(s), {measured.lost_s:.2f} s in all")
        if measured.late:
            found.append(
                f"{one.topic}: the stamps of {measured.late} message(s) are not later than the "
                "one before; the live nodes leave them out"
            )
        if measured.restarts:
            found.append(f"{one.topic}: {starts_anew(measured.restarts)}")
        if measured.jumps:
            found.append(
                f"{one.topic}: stamps and times of recording jump against each other "
                f"{measured.jumps} time(s): a clock was set, or messages were held up"
            )
        if abs(one.rhythm.delay_s) > _FAR_S:
            found.append(
                f"{one.topic}: stamps are {measured.delay_s:.1f} s from the times of "
                "recording; the live nodes leave such input out unless max_input_age_s is 0"
            )
    return found


def of_definitions(topics: Sequence[TopicCheck], distro: str) -> list[str]:
    """Types that cannot be read, or that may be read as what they were not written as.

    Args:
        topics: of the bag.
        distro: of ROS, that the bag says it was recorded with; empty if it does not say.
    """
    found = [one.unreadable for one in topics if one.unreadable]
    ours = [
        one.topic
        for one in topics
        if one.use and one.definition == "package" and differs_in(distro, one.type)
    ]
    if ours:
        by = f"ROS {distro}" if distro else "an unknown ROS"
        found.append(
            f"the bag was recorded with {by} and holds no definitions of its messages: "
            f"{', '.join(ours)} are read by those of ROS {_DEFINED_BY}, which may be others"
        )
    return found


def of_offsets(estimates: Sequence[Offset]) -> list[str]:
    """Pictures and sound that are too far apart."""
    found = []
    for one in estimates:
        if one.seconds is not None and abs(one.seconds) > _OFFSET_S:
            where = "ahead of" if one.seconds > 0 else "behind"
            found.append(
                f"pictures are {abs(one.seconds):.2f} s {where} the sound, by {one.how}"
            )
    return found
