"""What was said: bounded in turns, characters and time, in RAM only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from avemo_ros.clock import to_ns
from avemo_ros.dialog.back_end import Message
from avemo_ros.dialog.config import DialogConfig
from avemo_ros.dialog.context import PERSON, ROBOT, Said
from avemo_ros.dialog.words import without_marks


@dataclass(frozen=True, slots=True)
class _Turn:
    stamp_ns: int
    words: str
    answer: str


class Conversation:
    """The newest turns of the robot's conversation; not for several threads at once.

    It is one for everybody: a face id changes when its face is lost for a moment, and who
    stands together in front of the robot has heard what was said.
    """

    def __init__(self, config: DialogConfig) -> None:
        self._config = config
        self.last = ""
        """What the robot said last."""
        self._turns: deque[_Turn] = deque()

    def clear(self) -> None:
        """Forget all that was said."""
        self.last = ""
        self._turns.clear()

    def add(self, stamp_ns: int, words: str, answer: str) -> None:
        """Remember a person's words and the robot's answer.

        Args:
            stamp_ns: when the words came [ns].
            words: of the person.
            answer: of the robot.
        """
        self.last = answer
        self._turns.append(_Turn(stamp_ns, words, answer))
        while self._turns and not self._fits():
            self._turns.popleft()

    def forget(self, now_ns: int) -> None:
        """Start anew if the last words are more than `keep_s` away, whichever way."""
        if self._turns:
            away_ns = abs(now_ns - self._turns[-1].stamp_ns)
            if away_ns > to_ns(self._config.keep_s):
                self.clear()

    def said(self) -> tuple[Said, ...]:
        """Everything, oldest first."""
        return tuple(
            said
            for turn in self._turns
            for said in (
                Said(turn.stamp_ns, PERSON, turn.words),
                Said(turn.stamp_ns, ROBOT, turn.answer),
            )
        )

    def messages(self) -> list[Message]:
        """Everything as messages of a chat, oldest first."""
        return [
            Message("user", without_marks(one.text))
            if one.speaker == PERSON
            else Message("assistant", one.text)
            for one in self.said()
        ]

    def _fits(self) -> bool:
        size = sum(len(turn.words) + len(turn.answer) for turn in self._turns)
        few = len(self._turns) <= self._config.max_turns
        return few and size <= self._config.max_memory
