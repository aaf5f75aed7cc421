"""The empathic agent: takes states and words, gives an answer and the style to say it in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape

from avemo_ros.config import SteadyConfig
from avemo_ros.dialog.context import EmotionalContext, Observer
from avemo_ros.dialog.conversation import Conversation, system_prompt
from avemo_ros.dialog.dialog_config import STANDARD, DialogConfig
from avemo_ros.dialog.fields import Style
from avemo_ros.dialog.intent import HAND_OVER, INFORM, FoundConcern, Intent, Moment
from avemo_ros.dialog.language import Tone, printable, tokens
from avemo_ros.dialog.policy import ASK, Choice, Engagement, Meaning, Policy
from avemo_ros.dialog.responder import (
    OFFLINE,
    RECENT,
    Backend,
    Message,
    OfflineResponder,
    StreamingBackend,
)
from avemo_ros.dialog.sentence_stream import SentenceStream, sentences_of
from avemo_ros.dialog.speech_text import speech_of
from avemo_ros.errors import ConfigError, DialogError
from avemo_ros.labels import UNKNOWN
from avemo_ros.state.estimate import Change, EmotionStep
from avemo_ros.state.smoothing import key_of
from avemo_ros.timing import to_ns


@dataclass(frozen=True, slots=True)
class Answer:
    """What the robot says to a person's words, and how."""

    utterance: str
    """The person's words, made printable and cut to the longest that is allowed."""
    person: str
    """Who is answered: the id that was given, else the key of the one attended to."""
    text: str
    ssml: str
    """The text as an SSML document."""
    strategy: str
    intensity: float
    """0 to 1."""
    rate: float
    """Speaking rate over the voice's usual."""
    pitch: float
    """[semitones] against the usual."""
    volume: float
    """[dB] against the usual."""
    gesture: str
    """A hint for the body; "" for none."""
    emotion: str
    confidence: float
    """The emotion that was taken into account, or 'unknown' and 0."""
    context: EmotionalContext
    back_end: str
    """Who made the text: 'offline', or the model's name."""
    fallback: bool
    """A back end was asked, and gave no answer or none that may be said."""
    failure: str
    """Why it was not the back end's, or what was wrong with the words; "" if all was well."""
    concern: str = ""
    """Kind of the person's words (`concerns` of the strategies file), or of those before, if
    they are still being dwelt on; "" for none."""
    reason: str = ""
    """Why this strategy."""
    notice: str = ""
    """Said before the text: that feelings are sensed, and whether that is all right; "" where
    it was said before, or nothing is used."""

    @property
    def spoken(self) -> str:
        """All of what is said: the notice, then the text."""
        return f"{self.notice} {self.text}" if self.notice else self.text

    @property
    def handed_over(self) -> bool:
        """The person was passed on to people."""
        return self.strategy == HAND_OVER


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A part of an answer that is to be said now."""

    text: str
    ssml: str
    """The text as an SSML document."""


Say = Callable[[SpokenSentence], bool]
"""Takes a sentence to say; False: the person has begun to speak, and no more is wanted."""


__all__ = ["Agent", "Answer", "Say", "SpokenSentence"]


_MOST_SESSIONS: Final = 32


class _Session:
    """One person's conversation with the robot."""

    def __init__(self, config: DialogConfig, seen_ns: int | None) -> None:
        self.conversation = Conversation(config)
        self.turns = 0
        self.noticed = 0
        """Turn with which the notice was given; 0: not yet."""
        self.consent: bool | None = None
        """What was said to the question whether feelings may be used."""
        self.seen_ns = seen_ns
        """When the person was last seen or heard, sensor time [ns]; None: never."""
        self.is_over = False
        """It was forgotten: an answer that was asked for before is not remembered."""

    def is_left(self, now_ns: int, away_ns: int) -> bool:
        """Whether the person has left for good."""
        if self.seen_ns is None:
            return False
        return abs(now_ns - max(self.seen_ns, self.conversation.newest_ns)) > away_ns

    def join(self, other: _Session) -> None:
        """Take what the same person said under another id."""
        self.conversation.join(other.conversation)
        self.turns += other.turns
        self.noticed = self.noticed or other.noticed
        self.consent = other.consent if self.consent is None else self.consent
        other.is_over = True


@dataclass(frozen=True, slots=True)
class _Turn:
    """An answer in the making."""

    session: _Session
    number: int
    utterance: str
    person: str
    context: EmotionalContext
    choice: Choice
    moment: Moment
    intent: Intent | None
    """What the words are about, where the table has an answer to that."""
    found: FoundConcern | None
    """What comes before everything else."""
    dwelling: str
    """Kind of concern that was found before, and is still being dwelt on."""
    note: str
    notice: str = ""
    consent: bool | None = None
    """What the words answer to the question whether feelings may be used."""
    secret: str = ""
    messages: Sequence[Message] = ()


class Agent:
    """Answers with empathy; may be used from several threads.

    While a back end works nothing else waits for it.
    """

    def __init__(
        self,
        config: DialogConfig,
        table: Policy,
        back_end: Backend | None = None,
        *,
        use_emotion: bool = True,
        steady: SteadyConfig = SteadyConfig(),  # noqa: B008  frozen
    ) -> None:
        """Set up.

        Args:
            config: settings and limits.
            table: strategies, templates, words.
            back_end: makes the texts; None: the offline responder does.
            use_emotion: False: the states are kept but not used, to compare.
            steady: how states become steady.

        Raises:
            ConfigError: consent is to be asked, and the strategies file has no words for it.
        """
        if config.ask_consent and not table.consent.is_whole:
            allowed = "false; `consent` of the strategies file lacks the question or answers"
            raise ConfigError("dialog.ask_consent", True, allowed)
        self._config = config
        self._table = table
        self._back_end = back_end
        self._use_emotion = use_emotion
        self._memory_s = steady.memory_s
        self._observer = Observer(config, steady)
        self._sessions: dict[str, _Session] = {}
        """By the key of a person, "" for nobody who is known; who talked longest ago first."""
        self._responder = OfflineResponder(table)
        self._lock = threading.Lock()

    def observe(self, step: EmotionStep) -> tuple[Change, ...]:
        """Take the states of one moment; returns the changes that became certain with it."""
        with self._lock:
            changes = self._observer.push(step)
            for one in step.estimates:
                session = self._sessions.get(self._renamed(one.face_id, key_of(one)))
                if session is not None:
                    session.seen_ns = step.stamp_ns
            # Not only with the next words, which may never come.
            self._forget_who_left(step.stamp_ns)
            return changes

    def look(self, face_id: str, stamp_ns: int, yaw: float, pitch: float) -> None:
        """Take a head pose, where there is one: it tells better who faces the robot.

        Args:
            face_id: whose it is.
            stamp_ns: sensor time [ns].
            yaw: turn to the side [rad]; 0 looks into the camera.
            pitch: turn up or down [rad].
        """
        with self._lock:
            self._observer.attention.look(face_id, stamp_ns, yaw, pitch)

    def clear(self) -> None:
        """Forget all conversations."""
        with self._lock:
            self._end_sessions(list(self._sessions))

    def forget_people(self) -> None:
        """Forget everything that was sensed."""
        with self._lock:
            self._observer.clear()

    def forget(self, person: str) -> None:
        """Forget one person and their conversation; and that with nobody who is known, which
        may be theirs, too.

        Args:
            person: person, face or voice id.
        """
        with self._lock:
            self._forget(person)

    def _forget(self, person: str) -> None:
        steady = self._observer.memory.steady
        key = steady.find(person) if person else ""
        self._end_sessions(["", person, *steady.ids(key)])
        self._observer.forget(key or person)

    def context(
        self, text: str = "", person: str = "", stamp_ns: int | None = None
    ) -> EmotionalContext:
        """The emotional context, without an answer; arguments as for `answer`."""
        words = printable(text[: self._config.max_words])
        with self._lock:
            session = self._sessions.get(self._session_key(person, stamp_ns))
            return self._context(session, words, person, stamp_ns)

    def answer(
        self,
        text: str,
        person: str = "",
        stamp_ns: int | None = None,
        say: Say | None = None,
    ) -> Answer:
        """Answer a person's words.

        Words that are empty, endless or not printable, and a back end that fails, are said in
        the answer's `failure`; none of them raises.

        Args:
            text: the words, whatever they hold.
            person: person, face or voice id; "" for the one attended to.
            stamp_ns: when they came, sensor time [ns]; None: at the newest step.
            say: called on this thread with the notice, then with each sentence, before the
                next one is there if the back end streams.  Each holds what holds for a whole
                answer; where one does not, the answer ends before it.
        """
        turn = self._begin(text, person, stamp_ns)
        if say is not None:
            return self._answer_aloud(turn, say)
        return self._answer_whole(turn)

    def _answer_whole(self, turn: _Turn) -> Answer:
        if not tokens(turn.utterance) and turn.found is None:
            return self._end(turn, "", failure="the words are empty")
        if self._back_end is None or not turn.messages:
            return self._end(turn, "", failure=turn.note)
        answer, failure = self._ask(self._back_end, turn)
        failure = "; ".join(part for part in (turn.note, failure) if part)
        if answer:
            return self._end(turn, answer, back_end=self._back_end.name, failure=failure)
        return self._end(turn, "", fallback=True, failure=failure)

    def _answer_aloud(self, turn: _Turn, say: Say) -> Answer:
        language = self._table.language

        def say_text(text: str) -> bool:
            return say(SpokenSentence(text, ssml(text, turn.choice.style, language)))

        if turn.notice and not say_text(turn.notice):
            return self._end(turn, "", failure=_INTERRUPTED, is_silent=True)
        if isinstance(self._back_end, StreamingBackend) and turn.messages:
            back_end = self._back_end
            text, failure = self._ask_aloud(back_end, turn, say_text)
            noted = "; ".join(part for part in (turn.note, failure) if part)
            if text or failure == _INTERRUPTED:
                name = back_end.name
                return self._end(turn, text, back_end=name, failure=noted, is_silent=not text)
            answer = self._end(turn, "", fallback=True, failure=noted)
        else:
            answer = self._answer_whole(turn)
        all(map(say_text, sentences_of(answer.text)))
        return answer

    def _ask_aloud(
        self, back_end: StreamingBackend, turn: _Turn, say: Callable[[str], bool]
    ) -> tuple[str, str]:
        """What was said of the back end's answer, and why it is not all, or ""."""
        sentences, said = SentenceStream(), ""
        whole: str | None = None
        try:
            with closing(back_end.stream(turn.messages)) as pieces:
                while whole is None:
                    try:
                        new = sentences.add(next(pieces))
                    except StopIteration as end:
                        whole = speech_of(str(end.value)).text
                        new = sentences.end(whole)
                    for sentence in new:
                        longer = f"{said} {sentence}".strip()
                        refusal = self._refusal(turn, longer)
                        if refusal:
                            return said, f"{back_end.name}: {refusal}"
                        if not say(sentence):
                            return said, _INTERRUPTED
                        said = longer
        except (DialogError, OSError, ValueError) as error:
            return said, printable(str(error)) or type(error).__name__
        if not said:
            return "", f"{back_end.name}: {self._refusal(turn, whole)}"
        if said != whole:
            return said, f"{back_end.name}: the end of the answer changed what came before it"
        return said, ""

    def cut(self, answer: Answer, said: str, *, notice_was_said: bool) -> None:
        """Remember of an answer only what was said of it, for it was interrupted.

        Args:
            answer: of this agent.
            said: the part of its text that was said; "" for none.
            notice_was_said: else it is given again.
        """
        with self._lock:
            for session in reversed(self._sessions.values()):
                if session.conversation.cut(answer.utterance, answer.text, said):
                    if answer.notice and not notice_was_said:
                        session.noticed = 0
                    return

    def _session_key(self, person: str, stamp_ns: int | None) -> str:
        """Whose conversation words belong to."""
        steady = self._observer.memory.steady
        key = steady.find(person)
        if not key:
            return printable(person[: self._config.max_words])
        if not person:
            # Whoever was attended to last may be gone: then nobody knows who speaks now.
            there = self._observer.engagement(key, stamp_ns)
            if there not in (Engagement.ENGAGED, Engagement.DISTRACTED):
                return ""
        return self._renamed(steady.ids(key)[1], key)

    def _renamed(self, face_id: str, key: str) -> str:
        """The key of a person's session.  One that began with the face, before the person was
        recognised, goes on under the person's id."""
        if face_id != key and face_id in self._sessions:
            session = self._sessions.pop(face_id)
            known = self._sessions.setdefault(key, session)
            if known is not session:
                known.join(session)
        return key

    def _session(self, person: str, stamp_ns: int | None) -> _Session:
        """The session that words belong to, begun if there is none."""
        now_ns = self._observer.moment(stamp_ns)
        self._forget_who_left(now_ns)
        key = self._session_key(person, stamp_ns)
        session = self._sessions.pop(key, None)
        if session is None:
            is_known = bool(key and self._observer.memory.steady.find(key))
            session = _Session(self._config, now_ns if is_known else None)
        self._sessions[key] = session
        if len(self._sessions) > _MOST_SESSIONS:
            self._end_sessions([next(iter(self._sessions))])
        return session

    def _forget_who_left(self, now_ns: int) -> None:
        away_ns = to_ns(self._config.away_s)
        self._end_sessions(
            [
                key
                for key, one in self._sessions.items()
                if one.conversation.is_old(now_ns) or one.is_left(now_ns, away_ns)
            ]
        )

    def _end_sessions(self, keys: Sequence[str]) -> None:
        for key in keys:
            session = self._sessions.pop(key, None)
            if session is not None:
                session.is_over = True

    def _may_use_emotion(self, session: _Session | None) -> bool:
        agreed = session is not None and session.consent is True
        return self._use_emotion and (not self._config.ask_consent or agreed)

    def _context(
        self, session: _Session | None, words: str, person: str, stamp_ns: int | None
    ) -> EmotionalContext:
        # 'Thanks' is polite; it does not say that all is well.
        polite = self._table.small_talk.find(words) is not None
        tone = Tone.NEUTRAL if polite else self._table.lexicon.tone(words)
        lines = () if session is None else session.conversation.lines()
        context = self._observer.context(person, stamp_ns, tone, lines)
        if not self._may_use_emotion(session):
            return EmotionalContext(context.stamp_ns, context.person, words=tone)
        return context

    def _begin(self, text: str, person: str, stamp_ns: int | None) -> _Turn:
        """Everything that the answer rests on, as it is now."""
        most = self._config.max_words
        words = printable(text[:most])
        note = f"the words were cut off at {most} characters" if len(text) > most else ""
        with self._lock:
            session = self._session(person, stamp_ns)
            conversation = session.conversation
            consent = self._hear_consent(session, words)
            context = self._context(session, words, person, stamp_ns)
            dwelling = conversation.concern
            meaning = self._meaning(text, dwelling, phrases_only=consent is not None)
            found, intent = meaning.concern, meaning.intent
            if conversation.turns_to_everyday(meaning.everyday):
                conversation.dwell("", 0, at_once=True)
                dwelling = ""
            if found is not None:
                self._stay(conversation, found, dwelling)
            choice = self._choice(words, context, found, intent, dwelling)
            session.turns += 1
            turn = _Turn(
                session=session,
                number=session.turns,
                utterance=words,
                person=printable(person[:most]) or context.person,
                context=context,
                choice=choice,
                moment=self._moment(context, person, found, dwelling),
                intent=intent,
                found=found,
                dwelling=dwelling,
                note=note,
                notice=self._notice(session, found),
                consent=consent,
            )
            mine = consent is not None or (found is not None and not found.concern.by_model)
            if self._back_end is None or mine or choice.strategy in (HAND_OVER, INFORM):
                return turn
            strategy = self._table.strategies[choice.strategy]
            prompt = system_prompt(
                self._config.role,
                context,
                strategy,
                choice,
                turn.moment.feeling,
                found.concern.guidance if found else "",
                self._table.prompt,
            )
            messages = (
                Message("system", prompt.text),
                *conversation.messages(words),
            )
            return replace(turn, secret=prompt.secret, messages=messages)

    def _meaning(self, text: str, dwelling: str, *, phrases_only: bool) -> Meaning:
        """What the words are about; nothing new where it cannot end what is dwelt on: who has
        taken too many pills is in danger, however well they say that they feel."""
        kind = self._table.concerns.kinds.get(dwelling)
        lasting = () if kind is None else kind.outlasts
        found = self._table.meaning(text, dwelling, phrases_only=phrases_only)
        concern, intent = found.concern, found.intent
        return Meaning(
            None if concern is None or concern.name in lasting else concern,
            None if intent is None or intent.name in lasting else intent,
            found.everyday and not lasting,
        )

    def _stay(self, conversation: Conversation, found: FoundConcern, dwelling: str) -> None:
        """Dwell on what was found, and mind what it asks for."""
        concern = found.concern
        turns = concern.lasts + 1
        if concern.avoids:
            conversation.avoid(concern.avoids, turns)
        kind = self._table.concerns.kinds.get(dwelling)
        is_firm = kind is not None and bool(kind.outlasts)
        if is_firm and not (concern.outlasts or concern.lifts):
            return
        name = found.name if concern.then else ""
        if name or concern.lifts:
            conversation.dwell(name, turns, at_once=concern.lifts or bool(concern.outlasts))

    def _notice(self, session: _Session, found: FoundConcern | None) -> str:
        """What is to be said of the sensing with this answer; never before words of danger."""
        if session.noticed or found is not None or not self._use_emotion:
            return ""
        session.noticed = session.turns
        question = self._table.consent.question if self._config.ask_consent else ""
        notice = self._config.notice
        if notice == STANDARD:
            notice = self._table.notice
        return " ".join(filter(None, (notice, question)))

    def _hear_consent(self, session: _Session, words: str) -> bool | None:
        """Take the answer to the question whether feelings may be used, where it was asked
        just before; None: these words are none."""
        if not (self._config.ask_consent and 0 < session.noticed == session.turns):
            return None
        said = self._table.consent.answer_in(words)
        if said is not None:
            session.consent = said
        return said

    def _choice(
        self,
        words: str,
        context: EmotionalContext,
        found: FoundConcern | None,
        intent: Intent | None,
        dwelling: str,
    ) -> Choice:
        table = self._table
        if found is not None:
            return table.respond(found.concern)
        if not tokens(words):
            return Choice(ASK, 0.0, table.strategies[ASK].style.scaled(0.0), "", 0, "")
        if table.about_robot.rules(words) is not None:
            about = table.about_robot
            return Choice(INFORM, 1.0, about.style, about.gesture, 0, "configured text")
        return table.follow(dwelling, intent) or table.choose(context.dialog_state)

    def _moment(
        self,
        context: EmotionalContext,
        person: str,
        found: FoundConcern | None,
        dwelling: str,
    ) -> Moment:
        """What is true now, for texts about the robot.

        Who has said in plain words how it is, is not told how they seem.
        """
        there = self._observer.engagement(person, context.stamp_ns)
        kind = found.concern if found else self._table.concerns.kinds.get(dwelling)
        before = self._table.concerns.kinds.get(dwelling)
        # Politeness does not change the mood that somebody has told of.
        stays = before is not None and not (found and found.concern.lifts)
        mood = (kind.mood if kind else "") or (before.mood if before and stays else "")
        return Moment(
            emotion=mood or context.label,
            sensed=there in (Engagement.ENGAGED, Engagement.DISTRACTED),
            feeling="" if kind else self._feeling(context),
            model="" if self._back_end is None else self._back_end.name,
            turns=self._config.max_turns,
            keep_s=self._config.keep_s,
            memory_s=self._memory_s,
            units=self._table.units,
        )

    def _feeling(self, context: EmotionalContext) -> str:
        if context.label == UNKNOWN or context.confidence < self._config.name_confidence:
            return ""
        return self._table.feelings.get(context.label, "")

    def _ask(self, back_end: Backend, turn: _Turn) -> tuple[str, str]:
        """The back end's answer or "", and why there is none."""
        try:
            answer = speech_of(back_end.complete(turn.messages)).text
        except (DialogError, OSError, ValueError) as error:
            return "", printable(str(error)) or type(error).__name__
        refusal = self._refusal(turn, answer)
        return ("", f"{back_end.name}: {refusal}") if refusal else (answer, "")

    def _refusal(self, turn: _Turn, answer: str) -> str:
        return self._table.guardrail.refusal(
            answer,
            may_name=turn.context.label if turn.moment.feeling else "",
            most=self._config.max_answer,
            secret=turn.secret,
        )

    def _offline(self, turn: _Turn) -> tuple[str, str]:
        """What is said without a back end, and why."""
        table, number = self._table, turn.number - 1
        conversation = turn.session.conversation
        recent = tuple(conversation.recent)
        texts: Sequence[str]

        before = table.concerns.kinds.get(turn.dwelling)
        reminder = before.reminder if before is not None and tokens(turn.utterance) else ()
        is_over = turn.found is not None and turn.found.concern.lifts
        is_else = not is_over and (turn.found is not None or turn.intent is not None)

        def say(texts: Sequence[str], number: int, recent: Sequence[str]) -> str:
            given = [
                f"{text} {more}"
                for text in conversation.allowed(texts)
                for more in (reminder if is_else and reminder else ("",))
            ]
            return self._responder.say([text.strip() for text in given], number, recent)

        if turn.found is not None:
            found, concern = turn.found, turn.found.concern
            reason = f"{found.name}: {found.reason}"
            if not concern.hand_over:
                is_hard = bool(concern.distressed) and turn.moment.emotion in _HARD
                texts = concern.distressed if is_hard else concern.texts
                return say(texts, number, recent), reason
            message = concern.message or table.crisis.message
            newest = recent[-RECENT:]
            again = concern.then if concern.message else table.crisis.again
            fresh = [text for text in again or table.crisis.again if text not in newest]
            # Said again rather than passed over with a quiet word.
            if message in newest and fresh:
                return self._responder.say(fresh, number, recent), reason
            return message, reason
        if not tokens(turn.utterance):
            kept = table.concerns.kinds[turn.dwelling].silence if turn.dwelling else ()
            return say(kept or table.unheard, number, recent), "no words"
        if turn.consent is not None:
            texts = table.consent.accepted if turn.consent else table.consent.refused
            return say(texts, number, recent), f"consent: {'yes' if turn.consent else 'no'}"
        if turn.choice.strategy == INFORM and turn.intent is not None:
            texts = turn.intent.texts(turn.moment)
            text = self._responder.inform(texts, number, recent)
            return text, f"question about the robot: {turn.intent.name}"
        if turn.intent is not None:
            texts = turn.intent.texts(turn.moment)
            return say(texts, number, recent), f"small talk or question: {turn.intent.name}"
        if table.foreign.found_in(turn.utterance):
            return say(table.foreign.texts, number, recent), "words of another language"
        if turn.dwelling:
            texts = table.concerns.kinds[turn.dwelling].then
            return say(texts, number, recent), f"after {turn.dwelling}"
        strategy = table.strategies[turn.choice.strategy]
        texts = strategy.texts(turn.context.words, turn.moment.feeling)
        return say(texts, number, recent), f"row {turn.choice.row} of the table"

    def _end(
        self,
        turn: _Turn,
        text: str,
        *,
        back_end: str = OFFLINE,
        fallback: bool = False,
        failure: str = "",
        is_silent: bool = False,
    ) -> Answer:
        """Make the answer and remember it; without a text the offline responder's, unless it
        is to be silent."""
        choice = turn.choice
        with self._lock:
            offline, reason = self._offline(turn)
            text = text or ("" if is_silent else offline)
            if turn.choice.strategy == INFORM and turn.intent and turn.intent.forget:
                turn.session.is_over = True
                if turn.person:
                    self._forget(turn.person)
                else:
                    # Nobody knows who asks: all that is known may be theirs.
                    self._end_sessions(list(self._sessions))
                    self._observer.clear()
            elif not turn.session.is_over:
                stamp_ns = turn.context.stamp_ns
                turn.session.conversation.add(stamp_ns, turn.utterance, text)
        spoken = f"{turn.notice} {text}" if turn.notice else text
        return Answer(
            utterance=turn.utterance,
            person=turn.person,
            text=text,
            ssml=ssml(spoken, choice.style, self._table.language),
            strategy=choice.strategy,
            intensity=choice.intensity,
            rate=choice.style.rate,
            pitch=choice.style.pitch,
            volume=choice.style.volume,
            gesture=choice.gesture,
            emotion=turn.context.label,
            confidence=turn.context.confidence,
            context=turn.context,
            back_end=back_end,
            fallback=fallback,
            failure=failure,
            concern=turn.found.name if turn.found else turn.dwelling,
            reason=reason,
            notice=turn.notice,
        )


_HARD: Final = ("angry", "disgust", "fear", "sad")
"""Moods in which nobody is met with cheer."""
_INTERRUPTED: Final = "interrupted: the person began to speak"
_NAMESPACE: Final = "http://www.w3.org/2001/10/synthesis"


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
