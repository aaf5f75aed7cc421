"""Five minutes in a lobby: four people come, cross, turn away, interrupt one another, return.

    python tools/lobby_scene.py DATA [--scenes N] [--figure OUT.svg] [--show OUT.mp4]

DATA holds expw_faces.tar, clips/, ravdess/ and ravdess_landmarks68.npz (docs/data.md).  All
goes as images of 640x480 at 15 Hz and sound of 16 kHz through the whole engine:

- one person is the clips' actor: images and sound of the same takes;
- three are photographs of ExpW, whose lips and jaws are moved (`photo_puppet.py`) by the points
  of takes of RAVDESS, with the sound of the same takes, whose emotion is the photograph's; who
  turns away shows a head without a face;
- a fifth voice is of somebody who is never in view.

Pink noise is 20 dB below the speech.  A seed makes the scene: who the people are, what they say
and when; who is where and turns away when is written here, and moved by up to a second.

Printed are, with ids by place and the mouth that moves most as the speaker (before), and with
`identity.mode` visit and the engine's speaker (after):

- found: of the steps of the engine at which a person's face can be seen, those with its state;
- switches: how often a person got another face id than before;
- person ids, of the found: right by the best match of one id to each person, wrong, none;
- emotion, of the found: the person's, another one, or no label;
- speaker, of the seconds of which half is speech: the one who spoke most is the likeliest; of
  two who speak at once, both have 0.5 or more; whose face is not in view counts as unseen;
- engaged, of the steps at which a person is there: from 1 s after they turn to the robot until
  2 s after they turn away, as the engine defines it; who is not seen is not engaged;
- CPU: time of all threads over the length of the scene.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from crossing_scenes import (
    SIDE,
    Actor,
    Photograph,
    Seen,
    head_of_clip,
    images,
    matched,
    photographs,
    walk,
)
from crossing_scenes import Scene as Stage
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from photo_puppet import PhotoPuppet
from scipy.optimize import linear_sum_assignment
from speaker_scenes import (
    FPS,
    REPORTED,
    START_NS,
    Take,
    led_in,
    listen,
    motion_before,
    named_before,
    pink_noise,
    read_takes,
    spoken_columns,
)

from avemo_ros.audio.spectrogram import HOP_NS, SAMPLE_RATE, AudioBlock
from avemo_ros.config import IdentityConfig, PipelineConfig
from avemo_ros.labels import UNKNOWN
from avemo_ros.pipeline import Pipeline
from avemo_ros.sink.presentation import INKS, LIGHT
from avemo_ros.state.engagement import EngagementLevel
from avemo_ros.state.estimate import EmotionEstimate, EmotionStep
from avemo_ros.timing import NS_PER_S, to_ns

NAMES: Final = ("Abe", "Ben", "Cem", "Dee")
"""Of the people; Abe is the clips' actor."""
UNSEEN: Final = -1
RATE_HZ: Final = 15.0
_SIZE: Final = 0.34
_EMOTIONS: Final = {
    "01": "neutral",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
"""Of RAVDESS's names; calm is neutral."""
_NOISE_DB: Final = -20.0
_TURN_S: Final = 0.4
_ASIDE: Final = math.radians(36.0)
_ENGAGE_S, _DISENGAGE_S = 1.0, 2.0
"""As the engine's defaults."""

Array = NDArray[np.float32]
Span = tuple[float, float]
_WAYS: Final[tuple[tuple[tuple[float, float], ...], ...]] = (
    ((3, -0.2), (6, 0.18), (40, 0.18), (45, 0.40), (105, 0.40), (109, -0.2)),
    ((8, 1.2), (11, 0.40), (40, 0.40), (45, 0.18), (148, 0.18), (158, 0.82), (205, 0.82),
     (210, 0.60), (288, 0.60), (293, 1.2)),
    ((18, 1.2), (21, 0.62), (80, 0.62), (84, 0.86), (136, 0.86), (140, 1.2)),
    ((58, 1.2), (61, 0.86), (80, 0.86), (84, 0.62), (205, 0.62), (210, 0.84), (250, 0.84),
     (255, 1.2)),
)  # fmt: skip
"""Of each person time [s] and place across the image."""
_RETURNS: Final[tuple[tuple[tuple[float, float], ...], ...]] = (
    ((190, 1.2), (197, 0.36), (294, 0.36), (298, -0.2)),
    (),
    ((226, -0.2), (229, 0.14), (286, 0.14), (290, -0.2)),
    (),
)
_AWAY: Final[tuple[tuple[Span, ...], ...]] = (
    ((66, 73), (245, 251)),
    ((112, 119), (222, 229)),
    ((50, 56), (262, 269)),
    ((98, 107), (178, 186)),
)
"""When they turn away from the robot [s]."""
_ONLY_UNSEEN: Final[Span] = (160.0, 174.0)
"""While only somebody unseen speaks [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A film of somebody who speaks."""

    emotion: str
    pictures: list[NDArray[np.uint8]]
    """(SIDE, SIDE, 3), FPS a second."""
    sound: Array
    """(n,) 16 kHz mono."""
    active: NDArray[np.bool_]
    """(columns,) of 10 ms."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something said, or a mouth that moves to what is not heard."""

    begin_s: float
    seconds: float
    clip: int = -1
    """Of Abe."""
    opening: Array | None = None
    """Of the others: more than at rest, FPS a second."""


@dataclass
class Person:
    """One of the people."""

    name: str
    emotions: Callable[[float], str]
    """What is felt at a time [s]."""
    away: tuple[Span, ...]
    spans: tuple[Span, ...]
    """When the person is there."""
    turns: list[Turn] = field(default_factory=list)

    def is_there(self, t: float) -> bool:
        """At a time [s]."""
        return any(begin <= t <= end for begin, end in self.spans)

    def is_away(self, t: float) -> bool:
        """Whether the back of the head is seen."""
        return any(begin + _TURN_S <= t <= end - _TURN_S for begin, end in self.away)

    def is_engaged(self, t: float) -> bool:
        """By the engine's definition."""
        if not self.is_there(t):
            return False
        turned = [begin for begin, end in self.away if begin <= t <= end]
        if turned:
            return t <= turned[-1] + _DISENGAGE_S and self.is_engaged(turned[-1] - 0.01)
        starts = [*(begin for begin, _ in self.spans), *(end for _, end in self.away)]
        return t >= max(one for one in starts if one <= t) + _ENGAGE_S

    def yaw(self, t: float) -> float:
        """Of the head [rad]."""
        own = math.radians(4.0) * math.sin(0.6 * t + len(self.name))
        for number, (begin, end) in enumerate(self.away):
            if begin <= t <= end:
                share = min(t - begin, end - t) / _TURN_S
                return own + (-1) ** number * _ASIDE * min(1.0, max(0.0, share))
        return own


@dataclass(frozen=True, slots=True, eq=False)
class Lobby:
    """A scene with its truth."""

    people: list[Person]
    stage: Stage
    sound: Array
    spoken: NDArray[np.bool_]
    """(5, columns) of 10 ms: who speaks, the last one unseen."""


# --- who there is


def read_clips(data: Path) -> list[Clip]:
    """The films of the clips' actor."""
    found = []
    for path in sorted((data / "clips").glob("*.mp4")):
        parts: list[Array] = []
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        with av.open(str(path)) as film:
            pictures = [
                head_of_clip(one.to_ndarray(format="bgr24")) for one in film.decode(video=0)
            ]
        with av.open(str(path)) as film:
            for block in film.decode(audio=0):
                parts += [one.to_ndarray()[0] for one in resampler.resample(block)]
        sound = np.concatenate(parts).astype(np.float32)
        length = round(len(pictures) / FPS * 100)
        padded = np.zeros(160 * length, np.float32)
        padded[: len(sound)] = sound[: len(padded)]
        emotion = _EMOTIONS[path.name.split("-")[2]]
        found.append(Clip(emotion, pictures, padded, spoken_columns(padded)))
    return found


def _span(active: NDArray[np.bool_]) -> Span:
    """Around what is spoken [s]."""
    there = np.flatnonzero(active)
    return max(0.0, there[0] / 100 - 0.2), min(len(active) / 100, there[-1] / 100 + 0.3)


def _said(take: Take) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Mouth, sound and activity of a take without the silence around it."""
    begin, end = _span(take.active)
    opening = take.opening[round(begin * FPS) : round(end * FPS)]
    rest = float(np.percentile(take.opening, 5))
    c0, columns = round(begin * 100), round(len(opening) / FPS * 100)
    active = np.zeros(columns, bool)
    active[: len(take.active) - c0] = take.active[c0 : c0 + columns]
    sound = np.zeros(160 * columns, np.float32)
    heard = take.sound[160 * c0 : 160 * (c0 + columns)]
    sound[: len(heard)] = heard
    return led_in(0.0, np.maximum(0, opening - rest)), sound, active


class Cast:
    """Everybody there may be.

    Args:
        data: folder.
    """

    def __init__(self, data: Path) -> None:
        self.clips = read_clips(data)
        self.takes = read_takes(data, REPORTED)
        self.photographs = [
            one for one in photographs(data, 120) if abs(one.yaw) < math.radians(8)
        ]

    def draw(self, random: np.random.Generator) -> list[tuple[Photograph, int]]:
        """Three photographs of three emotions, and each one's voice."""
        voices = random.permutation(list(self.takes))
        chosen: list[tuple[Photograph, int]] = []
        for one in random.permutation(len(self.photographs)):
            photograph = self.photographs[int(one)]
            if photograph.label not in {other.label for other, _ in chosen}:
                chosen.append((photograph, int(voices[len(chosen)])))
            if len(chosen) == len(NAMES) - 1:
                break
        return chosen

    def takes_of(self, voice: int, emotion: str) -> list[Take]:
        """What a voice can say with an emotion."""
        return [one for one in self.takes[voice] if _EMOTIONS[one.name[6:8]] == emotion]


# --- what happens


def make_lobby(cast: Cast, seed: int, seconds: float) -> Lobby:
    """A scene.

    Args:
        cast: everybody there may be.
        seed: makes the scene.
        seconds: it ends there, 300 at most.
    """
    random = np.random.default_rng(seed)
    chosen = cast.draw(random)
    unseen = next(v for v in cast.takes if v not in {voice for _, voice in chosen})
    people, ways = _people(chosen, random)
    columns = round(100 * seconds)
    sound = np.zeros(160 * columns, np.float32)
    spoken = np.zeros((len(NAMES) + 1, columns), bool)

    def say(who: int, at_s: float) -> float:
        """Returns when it ends."""
        at = round(100 * at_s)
        if who == 0:
            wanted = people[0].emotions(at_s)
            able = [k for k, one in enumerate(cast.clips) if one.emotion == wanted]
            number = able[random.integers(len(able))]
            clip = cast.clips[number]
            begin_s, end_s = _span(clip.active)
            shift = at - round(100 * begin_s)
            people[0].turns.append(Turn(shift / 100, len(clip.active) / 100, clip=number))
            heard, active, at = clip.sound, clip.active, shift
            end = at_s + end_s - begin_s
        else:
            voice = unseen if who == UNSEEN else chosen[who - 1][1]
            felt = "neutral" if who == UNSEEN else chosen[who - 1][0].label
            takes = cast.takes_of(voice, felt)
            opening, heard, active = _said(takes[random.integers(len(takes))])
            if who != UNSEEN:
                turn = Turn(at / 100, len(opening) / FPS, opening=opening)
                people[who].turns.append(turn)
            end = at_s + len(active) / 100
        first, last = max(0, at), min(columns, at + len(active))
        spoken[who, first:last] |= active[first - at : last - at]
        sound[160 * first : 160 * last] += heard[160 * (first - at) : 160 * (last - at)]
        return end

    t, before = 12.0, UNSEEN
    while t < seconds - 8:
        if _ONLY_UNSEEN[0] - 4 <= t <= _ONLY_UNSEEN[1]:
            t = max(t, _ONLY_UNSEEN[0])
            t = say(UNSEEN, t) + float(random.uniform(0.2, 0.8))
            before = UNSEEN
            continue
        able = [
            k for k, one in enumerate(people) if one.is_there(t - 1) and one.is_there(t + 6)
        ]
        # The films show no head from behind that speaks.
        able = [k for k in able if k or not any(a - 6 < t < b for a, b in people[0].away)]
        able = [k for k in able if not people[k].turns or _over(people[k].turns[-1]) <= t]
        others = [k for k in able if k != before] or able
        who = UNSEEN if not others or random.random() < 0.12 else int(random.choice(others))
        end = say(who, t)
        if random.random() < 0.5:
            # Somebody chews or mutters meanwhile.
            idle = [k for k in others if k not in (0, who)]
            if idle and random.random() < 0.4:
                k = int(random.choice(idle))
                opening = _said(_any_take(cast, chosen[k - 1], random))[0]
                people[k].turns.append(Turn(t, len(opening) / FPS, opening=opening))
        before = who
        kind = random.random()
        if kind < 0.25:
            t += float(random.uniform(0.3, 0.7)) * (end - t)
        elif kind < 0.35:
            t = end + 3.0
        else:
            t = end + float(random.uniform(0.2, 1.2))
    level = np.sqrt(np.mean(sound[np.repeat(spoken.any(axis=0), 160)] ** 2))
    sound += pink_noise(len(sound), random) * level * 10 ** (_NOISE_DB / 20)
    pictures = [_film(cast.clips, people[0])]
    for person, (photograph, _) in zip(people[1:], chosen, strict=True):
        puppet = PhotoPuppet(photograph.picture, photograph.mesh)
        pictures.append(_puppet(puppet, person, photograph.picture))
    actors = [
        Actor(
            picture,
            way,
            float(random.random()),
            _SIZE * float(random.uniform(0.9, 1.1)),
            float(random.uniform(0, 9)),
        )
        for picture, way in zip(pictures, ways, strict=True)
    ]
    return Lobby(people, Stage("lobby", actors, seconds), sound, spoken)


def _over(turn: Turn) -> float:
    return turn.begin_s + turn.seconds


def _any_take(cast: Cast, one: tuple[Photograph, int], random: np.random.Generator) -> Take:
    takes = cast.takes_of(one[1], one[0].label)
    return takes[random.integers(len(takes))]


def _people(
    chosen: Sequence[tuple[Photograph, int]], random: np.random.Generator
) -> tuple[list[Person], list[Callable[[float], Any]]]:
    people, ways = [], []
    for number, name in enumerate(NAMES):
        late = float(random.uniform(-1, 1))
        y = float(random.uniform(0.44, 0.56))
        parts = [part for part in (_WAYS[number], _RETURNS[number]) if part]
        paths = [walk(*((t + late, x, y) for t, x in part)) for part in parts]
        # At the rim less than a half is seen.
        spans = tuple((part[1][0] + late, part[-2][0] + late) for part in parts)
        away = tuple(
            (begin + float(random.uniform(-1, 1)), end + float(random.uniform(-1, 1)))
            for begin, end in _AWAY[number]
        )
        back_s = spans[-1][0] - 10
        label = chosen[number - 1][0].label if number else ""
        emotions = _constant(label) if number else _changes(back_s)
        people.append(Person(name, emotions, away, spans))
        ways.append(_first(paths))
    return people, ways


def _constant(label: str) -> Callable[[float], str]:
    return lambda _: label


def _changes(back_s: float) -> Callable[[float], str]:
    return lambda t: "neutral" if t < back_s else "surprise"


def _first(paths: Sequence[Callable[[float], Any]]) -> Callable[[float], Any]:
    return lambda t: next((at for one in paths if (at := one(t)) is not None), None)


# --- how they look


def _back(picture: NDArray[np.uint8]) -> Array:
    """A head from behind: hair all over."""
    top = picture[SIDE // 16 : SIDE // 6, SIDE // 3 : -SIDE // 3].astype(np.float32)
    colour = np.median(top.reshape(-1, 3), axis=0)
    rough = np.random.default_rng(0).normal(0, 25, (SIDE // 4, SIDE // 4)).astype(np.float32)
    grain = cv2.resize(rough, (SIDE, SIDE))[..., None]
    return np.clip(0.7 * colour + grain, 0, 255).astype(np.float32)


def _puppet(
    puppet: PhotoPuppet, person: Person, picture: NDArray[np.uint8]
) -> Callable[[float], Array]:
    back = _back(picture)

    def show(t: float) -> Array:
        if person.is_away(t):
            return back
        more = 0.0
        for turn in person.turns:
            at = round((t - turn.begin_s) * FPS)
            if turn.opening is not None and 0 <= at < len(turn.opening):
                more = max(more, float(turn.opening[at]))
        return puppet.show(person.yaw(t), puppet.resting + more)

    return show


def _film(clips: Sequence[Clip], person: Person) -> Callable[[float], Array]:
    back = _back(clips[0].pictures[0])

    def show(t: float) -> Array:
        if person.is_away(t):
            return back
        for turn in person.turns:
            at = round((t - turn.begin_s) * FPS)
            pictures = clips[turn.clip].pictures
            if 0 <= at < len(pictures):
                return pictures[at].astype(np.float32)
        emotion = person.emotions(t)
        rest = next(one for one in clips if one.emotion == emotion)
        # Before the first word, there and back.
        most = max(2, round(_span(rest.active)[0] * FPS))
        at = round(t * FPS) % (2 * most - 2)
        return rest.pictures[min(at, 2 * most - 2 - at)].astype(np.float32)

    return show


# --- what comes out


@dataclass
class Moment:
    """One step of the engine beside the truth."""

    t: float
    step: EmotionStep
    faces: dict[int, str]
    """Of each person that can be seen, the face id; missing: not found."""
    seen: set[int]


@dataclass
class Run:
    """What the engine said."""

    moments: list[Moment]
    mouths: dict[str, list[tuple[float, float]]]
    """By face id: time [s], opening."""
    cpu_s: float


def run(lobby: Lobby, frames: Sequence[Seen], identity: str) -> Run:
    """Through the whole engine."""
    moments: list[Moment] = []
    mouths: dict[str, list[tuple[float, float]]] = defaultdict(list)
    truth: dict[int, tuple[dict[int, str], set[int]]] = {}
    items: list[tuple[int, Any]] = [
        (START_NS + at * NS_PER_S // SAMPLE_RATE, lobby.sound[at : at + 1600, None])
        for at in range(0, len(lobby.sound), 1600)
    ]
    items = [(stamp + to_ns(0.1), (stamp, block)) for stamp, block in items]
    items += [(START_NS + one[0], one) for one in frames]
    items.sort(key=lambda pair: pair[0])
    config = PipelineConfig(identity=IdentityConfig(mode=identity))
    spent_s = 0.0
    with closing(Pipeline(config)) as pipeline:
        for arrival_ns, item in items:
            if len(item) == 2:
                block = AudioBlock(item[0], SAMPLE_RATE, item[1])
                began_s = time.process_time()
                steps = pipeline.push_audio(block, arrival_ns)
                spent_s += time.process_time() - began_s
            else:
                image = cv2.imdecode(item[1], cv2.IMREAD_COLOR)
                began_s = time.process_time()
                steps = pipeline.push_frame(arrival_ns, image, arrival_ns)
                spent_s += time.process_time() - began_s
                tracks = pipeline.tracks
                assert tracks is not None
                truth[arrival_ns] = matched(tracks, item[2]), set(item[2])
                for face in tracks.faces:
                    mouths[face.face_id].append(
                        ((arrival_ns - START_NS) / NS_PER_S, face.mouth_opening)
                    )
            for step in steps:
                if step.frame_ns in truth:
                    t = (step.stamp_ns - START_NS) / NS_PER_S
                    moments.append(Moment(t, step, *truth[step.frame_ns]))
    return Run(moments, mouths, spent_s)


def _is_seen(person: Person, number: int, moment: Moment) -> bool:
    return number in moment.seen and not person.is_away(moment.t)


@dataclass
class Tally:
    """What was right."""

    visible: int = 0
    found: int = 0
    switches: int = 0
    persons: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    by_person: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    engaged: Counter[bool] = field(default_factory=Counter)
    speakers: Counter[tuple[str, bool]] = field(default_factory=Counter)
    cpu_s: float = 0.0
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Count that too."""
        for name in vars(self):
            if name == "by_person":
                for key, counted in other.by_person.items():
                    self.by_person[key] += counted
            else:
                setattr(self, name, getattr(self, name) + getattr(other, name))


def tally(lobby: Lobby, done: Run, chunks: Sequence[Any], before: bool) -> Tally:
    """Count what was right.

    Args:
        lobby: the truth.
        done: what the engine said.
        chunks: of the sound, for the speaker as it was told before.
        before: count that one.
    """
    found = Tally(cpu_s=done.cpu_s, seconds=lobby.stage.seconds)
    last: dict[int, str] = {}
    names: Counter[tuple[int, str]] = Counter()
    for moment in done.moments:
        estimates = {one.face_id: one for one in moment.step.estimates if one.face_id}
        for number, person in enumerate(lobby.people):
            visible = _is_seen(person, number, moment)
            one = estimates.get(moment.faces.get(number, ""))
            if person.is_there(moment.t):
                level = EngagementLevel.UNKNOWN if one is None else one.engagement
                told = level in (EngagementLevel.ENGAGED, EngagementLevel.DISENGAGING)
                found.engaged[told == person.is_engaged(moment.t)] += 1
            if not visible:
                continue
            found.visible += 1
            if one is None:
                continue
            found.found += 1
            found.switches += last.get(number, one.face_id) != one.face_id
            last[number] = one.face_id
            names[number, one.person_id] += 1
            truth = person.emotions(moment.t)
            answer = (
                "none" if one.label == UNKNOWN else "right" if one.label == truth else "wrong"
            )
            found.emotions[answer] += 1
            found.by_person[f"{person.name} ({truth})"][answer] += 1
    found.persons = _named(names, found.found)
    found.speakers = _speakers(lobby, done, chunks, before)
    return found


def _named(names: Counter[tuple[int, str]], all_found: int) -> Counter[str]:
    known = sorted({name for _, name in names if name})
    unknown = sum(count for (_, name), count in names.items() if not name)
    right = 0
    if known:
        table = np.array([[names[k, name] for name in known] for k in range(len(NAMES))])
        right = int(table[linear_sum_assignment(-table)].sum())
    return Counter(right=right, none=unknown, wrong=all_found - right - unknown)


def seconds_of(lobby: Lobby) -> Iterator[tuple[int, frozenset[int]]]:
    """Seconds of which half is speech, and who speaks for most of that."""
    for second in range(3, round(lobby.stage.seconds)):
        part = lobby.spoken[:, 100 * second : 100 * (second + 1)]
        heard = part[:, part.any(axis=0)]
        if heard.shape[1] >= 50:
            sets = Counter(
                frozenset(int(k) if k < len(NAMES) else UNSEEN for k in np.flatnonzero(one))
                for one in heard.T
            )
            yield second, sets.most_common(1)[0][0]


def _speakers(
    lobby: Lobby, done: Run, chunks: Sequence[Any], before: bool
) -> Counter[tuple[str, bool]]:
    counted: Counter[tuple[str, bool]] = Counter()
    ends = np.array([moment.t for moment in done.moments])
    speech = np.concatenate([chunk.speech for chunk in chunks])
    column_ns = chunks[0].stamp_ns + HOP_NS * np.arange(len(speech))
    for second, who in seconds_of(lobby):
        moment = done.moments[max(0, int(np.searchsorted(ends, second + 1.0, "right")) - 1)]
        hidden = {k for k in who if k >= 0 and not _is_seen(lobby.people[k], k, moment)}
        truth = frozenset(UNSEEN if k in hidden else k for k in who)
        kind = "both" if len(truth) > 1 else "unseen" if UNSEEN in truth else "one"
        scores = {
            one.face_id: one.speaking_score or 0.0
            for one in moment.step.estimates
            if one.face_id
        }
        unseen = moment.step.unseen_score or 0.0
        ids = {face_id: number for number, face_id in moment.faces.items()}
        if before:
            now_ns = START_NS + (second + 1) * NS_PER_S
            heard = (column_ns > now_ns - to_ns(3.1)) & (column_ns <= now_ns - to_ns(0.1))
            motions = []
            for face_id in scores:
                window = [
                    (START_NS + round(t * NS_PER_S), opening)
                    for t, opening in done.mouths[face_id]
                    if second - 2 < t <= second + 1
                ]
                stamps = np.array([one[0] for one in window], np.int64)
                openings = np.array([one[1] for one in window], np.float32)
                motions.append(motion_before(stamps, openings, column_ns[heard], speech[heard]))
            place = named_before(motions) if motions else -1
            named = {ids.get(list(scores)[place], -2) if place >= 0 else UNSEEN}
        elif len(truth) > 1:
            named = {ids.get(key, -2) for key, score in scores.items() if score >= 0.5}
            if unseen >= 0.5:
                named.add(UNSEEN)
        else:
            best = max(scores, key=lambda key: scores[key], default="")
            named = {ids.get(best, -2) if best and scores[best] > unseen else UNSEEN}
        counted[kind, named == truth] += 1
    return counted


# --- what is shown


def _share(counter: Counter[Any], key: Any) -> str:
    whole = sum(counter.values())
    return f"{100 * counter[key] / whole:.0f} %" if whole else ""


def report(totals: dict[str, Tally]) -> str:
    """A table in Markdown."""
    rows: list[tuple[str, Callable[[Tally], str]]] = [
        ("found", lambda one: f"{100 * one.found / one.visible:.0f} %"),
        ("switches", lambda one: str(one.switches)),
    ]
    answers = ("right", "wrong", "none")
    rows += [
        (f"person ids {key}", lambda one, key=key: _share(one.persons, key)) for key in answers
    ]
    rows += [
        (f"emotion {key}", lambda one, key=key: _share(one.emotions, key)) for key in answers
    ]
    kinds = {"one in view": "one", "two at once": "both", "unseen": "unseen", "all": ""}
    rows += [
        (f"speaker right, {name}", lambda one, key=kind: _right(one, key))
        for name, kind in kinds.items()
    ]
    rows.append(("engaged right", lambda one: _share(one.engaged, True)))
    rows.append(("CPU", lambda one: f"{100 * one.cpu_s / one.seconds:.0f} % of a core"))
    lines = [f"| | {' | '.join(totals)} |", "| --- |" + " --- |" * len(totals)]
    lines += [
        f"| {name} | {' | '.join(value(one) for one in totals.values())} |"
        for name, value in rows
    ]
    return "\n".join(lines)


def _right(one: Tally, kind: str) -> str:
    chosen = {key: n for key, n in one.speakers.items() if not kind or key[0] == kind}
    whole = sum(chosen.values())
    right = sum(n for key, n in chosen.items() if key[1])
    return f"{100 * right / whole:.0f} % of {whole} s" if whole else ""


def draw(lobby: Lobby, done: Run, out: Path) -> None:
    """The time line of a scene: truth above, what the engine said below, for each person."""
    with rc_context({"svg.hashsalt": "avemo", "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(11.0, 5.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw_people(axes, lobby, done)
        axes.set_xlim(0, lobby.stage.seconds)
        axes.set_xlabel("s")
        axes.spines[["top", "right", "left"]].set_visible(False)
        used = {"unknown"} | {
            one.label for m in done.moments for one in m.step.estimates if one.face_id
        }
        for label in [*sorted(used - {"unknown"}), "unknown"]:
            axes.bar([0], [0], color=INKS[label].light, label=label)
        figure.legend(loc="outside lower center", ncols=8, frameon=False)
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def _draw_people(axes: Any, lobby: Lobby, done: Run) -> None:
    lanes: list[tuple[str, float, list[tuple[float, str]]]] = []
    for number, person in enumerate(lobby.people):
        seen = [m for m in done.moments if _is_seen(person, number, m)]
        told = [
            (m, one) for m in seen if (one := _told(m, m.faces.get(number, ""))) is not None
        ]
        feels = [(m.t, INKS[person.emotions(m.t)].light) for m in seen]
        top = -number * 5.0
        lanes += [
            (f"{person.name} feels", top, feels),
            ("told", top - 1, [(m.t, INKS[one.label].light) for m, one in told]),
            ("speaks", top - 2, _spoken(lobby.spoken[number])),
            ("heard", top - 3, [
                (m.t, LIGHT["mark"]) for m, one in told
                if (one.speaking_score or 0.0) > max(0.5, m.step.unseen_score or 0.0)
            ]),
        ]  # fmt: skip
    bottom = -len(lobby.people) * 5.0
    heard = [(m.t, LIGHT["mark"]) for m in done.moments if _is_unseen_named(m.step)]
    lanes += [
        ("unseen speaks", bottom, _spoken(lobby.spoken[UNSEEN])),
        ("heard", bottom - 1, heard),
    ]
    for _, lane, marks in lanes:
        _strip(axes, lane, marks)
    axes.set_yticks([lane for _, lane, _ in lanes], [name for name, _, _ in lanes])
    axes.tick_params(length=0)


def _told(moment: Moment, face_id: str) -> EmotionEstimate | None:
    return next(
        (one for one in moment.step.estimates if face_id and one.face_id == face_id), None
    )


def _is_unseen_named(step: EmotionStep) -> bool:
    scores = [one.speaking_score or 0.0 for one in step.estimates if one.face_id]
    return (step.unseen_score or 0.0) > max([0.5, *scores])


def _spoken(spoken: NDArray[np.bool_]) -> list[tuple[float, str]]:
    return [(at / 100, LIGHT["soft"]) for at in np.flatnonzero(spoken)]


def _strip(axes: Any, lane: float, marks: Sequence[tuple[float, str]]) -> None:
    """A bar for each stretch of one colour."""
    bars: list[tuple[float, float, str]] = []
    for t, colour in marks:
        if bars and bars[-1][2] == colour and t - bars[-1][1] < 0.3:
            bars[-1] = (bars[-1][0], t, colour)
        else:
            bars.append((t, t, colour))
    spans = [(begin - 0.05, end - begin + 0.1) for begin, end, _ in bars]
    axes.broken_barh(spans, (lane - 0.4, 0.8), color=[one[2] for one in bars], lw=0)


def main() -> None:
    """Carry out the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--scenes", type=int, default=1, help="one a seed, from 0 on")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--figure", type=Path, help="time line of the first scene")
    parser.add_argument("--show", type=Path, help="video of the first scene, without sound")
    given = parser.parse_args()
    cast = Cast(given.data)
    totals: dict[str, Tally] = defaultdict(Tally)
    for seed in range(given.scenes):
        lobby = make_lobby(cast, seed, given.seconds)
        frames = list(images(lobby.stage, RATE_HZ, np.random.default_rng(seed)))
        if given.show and seed == 0:
            film = cv2.VideoWriter(
                str(given.show), cv2.VideoWriter_fourcc(*"mp4v"), RATE_HZ, (640, 480)
            )
            for _, packed, _ in frames:
                film.write(cv2.imdecode(packed, cv2.IMREAD_COLOR))
            film.release()
        chunks = listen(lobby.sound, PipelineConfig())
        for mode, name in (("none", "before"), ("visit", "after")):
            done = run(lobby, frames, mode)
            totals[name].add(tally(lobby, done, chunks, before=mode == "none"))
        if given.figure and seed == 0:
            draw(lobby, done, given.figure)
        print(f"scene {seed} done", flush=True)
    print(report(totals))
    for name, one in totals.items():
        for person, counted in sorted(one.by_person.items()):
            shares = ", ".join(f"{_share(counted, key)} {key}" for key in counted)
            print(f"{name}: {person}: {shares}")


if __name__ == "__main__":
    main()
