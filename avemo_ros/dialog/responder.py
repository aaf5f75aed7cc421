"""The offline responder: an answer from templates that needs no network and no model."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from avemo_ros.dialog.intent import Intent, Moment
from avemo_ros.dialog.policy import Policy, Strategy
from avemo_ros.dialog.template import FEELING, TOPIC
from avemo_ros.dialog.tokenizer import tokens

OFFLINE: Final = "offline"
"""Name of this back end in answers."""
_OWNERS: Final = {"my": "your", "our": "your", "the": "the", "this": "this"}
"""What a thing that somebody speaks of is called when it is spoken back."""
_NO_THINGS: Final = frozenset(
    # What often stands between these and the thing itself.
    {"new", "old", "big", "small", "little", "whole", "entire", "first", "second", "last"}
    | {"next", "own", "other", "same", "only", "very", "most", "least", "more", "two", "three"}
    | {"long", "short", "high", "low", "young", "former", "current", "recent", "final"}
    | {"favourite", "favorite", "best", "worst", "way", "point", "thing", "things", "one"}
    | {"is", "was", "are", "were", "has", "had", "will", "would", "can", "could", "god"}
    | {"system", "prompt", "instructions", "rules", "emotion", "emotions", "mood", "feelings"}
)
_SHORTEST: Final = 3
_LONGEST: Final = 20


class OfflineResponder:
    """Chooses texts; the same conversation gets the same ones."""

    def __init__(self, table: Policy) -> None:
        self._table = table

    def answer(
        self, strategy: Strategy, words: str, *, turn: int, feeling: str = "", last: str = ""
    ) -> str:
        """What to say.

        Args:
            strategy: whose templates are used.
            words: of the person; at most one noun of them is spoken back.
            turn: number of the answer in the conversation; it picks among the texts.
            feeling: how the person may be said to feel; "" if nothing may be said.
            last: what was said last; it is not said again.
        """
        if self._table.foreign.found_in(words):
            return _pick(list(self._table.foreign.texts), turn, last)
        topic = self.topic(words)
        values = {TOPIC: topic, FEELING: feeling}
        known = {name for name, text in values.items() if text}
        texts = [one.filled(values) for one in strategy.templates if one.slots <= known]
        return _pick(texts, turn, last)

    def known(self, intent: Intent, moment: Moment, *, turn: int, last: str = "") -> str:
        """What to say to small talk, or to a question about the robot."""
        return _pick(intent.texts(moment), turn, last)

    def unheard(self, *, turn: int, last: str = "") -> str:
        """What to say where there were no words."""
        return _pick(list(self._table.unheard), turn, last)

    def topic(self, words: str) -> str:
        """What the person speaks of, e.g. 'your exam' of 'I failed my exam'.

        Returns:
            "" unless a plain word follows my, our, the or this; judging words, words that name
            emotions and words of diagnoses are never spoken back.
        """
        tokenised = tokens(words)
        for owner, word in pairwise(tokenised):
            if owner in _OWNERS and self._is_thing(word):
                return f"{_OWNERS[owner]} {word}"
        return ""

    def _is_thing(self, word: str) -> bool:
        guardrail = self._table.guardrail
        return (
            word.isascii()
            and word.isalpha()
            and _SHORTEST <= len(word) <= _LONGEST
            and word not in _NO_THINGS
            and word not in self._table.lexicon.weights
            and not guardrail.named_in(word)
            and not guardrail.is_clinical(word)
        )


def _pick(texts: list[str], turn: int, last: str) -> str:
    """One of the texts; not the last one again, if there is another."""
    fresh = [text for text in texts if text != last] or texts
    return fresh[turn % len(fresh)]
