"""Who speaks: scenes of real people side by side, the model of `state/speaker.py`, the table.

    python tools/speaker_scenes.py train DATA [OUT]
    python tools/speaker_scenes.py table DATA [SCENES_OF_EACH_KIND]

DATA holds `ravdess_landmarks68.npz` (68 points of every video frame) and `ravdess/`, the sound
of the same takes.  A scene has one or two faces.  A face shows how the mouth of an actor moves
in real takes, or rests between the words; the sound is that of the takes that are heard, and
goes through the engine's own audio stage.  A mouth that moves and does not speak plays a take
whose sound is left out.

The model is trained on the actors of three folds, and the table is of the fourth.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray
from safetensors.numpy import save_file

from avemo_ros.audio.spectrogram import HOP_NS, SAMPLE_RATE, AudioBlock, SpectrogramChunk
from avemo_ros.config import PipelineConfig
from avemo_ros.engine.audio_stage import AudioStage
from avemo_ros.engine.emotion_stage import EmotionStage
from avemo_ros.engine.feature_extractor import InputIssues
from avemo_ros.model.active_speaker import (
    AROUND,
    BANDS,
    FLOOR_S,
    FRAMES,
    INPUTS,
    NOW,
    RATE_HZ,
    WEIGHTS,
    ActiveSpeakerNetwork,
    bands,
    heard_columns,
    mouth_frames,
    noise_floor,
    sound_inputs,
)
from avemo_ros.model.predictor import Prediction
from avemo_ros.state.estimate import EmotionStep
from avemo_ros.timing import NS_PER_S, to_ns
from avemo_ros.vision.face import Box, FaceTrack, FrameTracks

TRAINED: Final = (2, 5, 14, 15, 16, 3, 6, 7, 13, 18, 10, 11, 12, 19, 20)
REPORTED: Final = (8, 17, 21, 23, 24)
FPS: Final = 29.97
_UPPER_LIP, _LOWER_LIP = 62, 66
_EYES: Final = ((36, 39), (42, 45))
_ACTIVE_DB: Final = 30.0
"""Sound so far below a take's loudest 10 ms is no longer speech [dB]."""
_JOIN: Final = 30
"""Pauses of fewer columns of 10 ms are within speech."""
_LENGTH_S: Final = 24.0
START_NS: Final = 1_000 * NS_PER_S
NOBODY, BOTH = -1, -2
"""Beside the number of a face: somebody unseen; everyone in view."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Take:
    """One utterance of an actor."""

    actor: int
    name: str
    opening: Array
    """(frames,) of the mouth [distances of the eyes], FPS a second."""
    sound: Array
    """(n,) 16 kHz mono."""
    active: NDArray[np.bool_]
    """(columns,) of 10 ms: the actor speaks."""

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first to the last word [s]."""
        there = np.flatnonzero(self.active)
        return there[0] / 100, (there[-1] + 1) / 100


def read_takes(data: Path, actors: Sequence[int]) -> dict[int, list[Take]]:
    """All takes of some actors."""
    stored = np.load(data / "ravdess_landmarks68.npz")
    start, step = stored["start"], stored["step"]
    found: dict[int, list[Take]] = {actor: [] for actor in actors}
    for number, clip in enumerate(stored["clip"]):
        actor = int(clip[-2:])
        if actor not in found:
            continue
        points = step[:, :, start[number] : start[number + 1]].cumsum(axis=2).astype(np.float64)
        left, right = ((points[a] + points[b]) / 2 for a, b in _EYES)
        gap = np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP], axis=0)
        opening = gap / np.linalg.norm(right - left, axis=0)
        path = data / "ravdess" / f"Actor_{actor:02d}" / f"03-{clip[3:]}.flac"
        sound, _ = soundfile.read(path, dtype="float32")
        found[actor].append(
            Take(actor, str(clip), opening.astype(np.float32), sound, spoken_columns(sound))
        )
    return found


def spoken_columns(sound: Array) -> NDArray[np.bool_]:
    """(columns,) of 10 ms: whether somebody speaks in a recording without noise."""
    steps = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    power = np.convolve(np.mean(steps**2, axis=1), np.ones(3) / 3, "same")
    loud = power > power.max() * 10 ** (-_ACTIVE_DB / 10)
    there = np.flatnonzero(loud)
    for before, after in itertools.pairwise(there):
        if after - before <= _JOIN:
            loud[before:after] = True
    return loud


@dataclass(frozen=True, slots=True)
class Scene:
    """Faces, sound and truth of some seconds."""

    kind: str
    frames: tuple[Array, ...]
    """Of each face the opening of the mouth, FPS a second; NaN where it is hidden."""
    sound: Array
    spoken: NDArray[np.int8]
    """(columns,) of 10 ms: who speaks: number of a face, NOBODY, BOTH; -9: it is quiet."""


KINDS: Final = (
    "other still",
    "other moves",
    "one covered",
    "alone",
    "both speak",
    "unseen, both still",
    "unseen, one moves",
    "alone, unseen, still",
    "alone, unseen, moves",
)
ONE_SPEAKER: Final = KINDS[:4]
QUIET: Final = -9


class _Player:
    """Plays one actor's mouth and sound."""

    def __init__(self, takes: Sequence[Take], rng: np.random.Generator) -> None:
        self._takes, self._rng = takes, rng
        rests = []
        for take in takes:
            first, last = take.span_s
            rests += [take.opening[: int((first - 0.25) * FPS)]]
            rests += [take.opening[int((last + 0.45) * FPS) :]]
        self._rests = [one for one in rests if len(one) >= 10]

    def still(self, length_s: float) -> Array:
        """A mouth at rest: before the first word of a take or after the last one."""
        rest = self._rests[self._rng.integers(len(self._rests))]
        there_and_back = np.concatenate((rest, rest[::-1]))
        return np.resize(there_and_back, round(length_s * FPS))

    def turn(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Mouth, sound and activity of one to three takes."""
        parts = [self._take() for _ in range(self._rng.integers(1, 4))]
        return (
            np.concatenate([one[0] for one in parts]),
            np.concatenate([one[1] for one in parts]),
            np.concatenate([one[2] for one in parts]),
        )

    def _take(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        take = self._takes[self._rng.integers(len(self._takes))]
        first, last = take.span_s
        before, after = self._rng.uniform(0.1, 0.4, 2)
        begin = max(0.0, first - before)
        frames = round((min(len(take.opening) / FPS, last + after) - begin) * FPS)
        at = round(begin * FPS)
        opening = take.opening[at : at + frames]
        columns = round(len(opening) / FPS * 100)
        c0 = round(at / FPS * 100)
        active = np.zeros(columns, bool)
        part = take.active[c0 : c0 + columns]
        active[: len(part)] = part
        sound = np.zeros(columns * 160, np.float32)
        heard = take.sound[c0 * 160 : (c0 + columns) * 160]
        sound[: len(heard)] = heard
        return opening, sound, active

    def moving(self, length_s: float) -> Array:
        """A mouth that moves, from anywhere in a turn."""
        wanted, parts, count = round(length_s * FPS), [], 0
        while count < wanted:
            opening = self._take()[0]
            parts.append(
                opening[self._rng.integers(len(opening) // 2) :] if not parts else opening
            )
            count += len(parts[-1])
        return np.concatenate(parts)[:wanted] if parts else np.zeros(0, np.float32)


def draw_cast(
    takes: Mapping[int, Sequence[Take]], rng: np.random.Generator
) -> list[Sequence[Take]]:
    """The takes of three actors: of the two faces, and of the voice that is not in view."""
    return [takes[actor] for actor in rng.permutation(list(takes))[:3]]


def make_scene(
    kind: str,
    cast: Sequence[Sequence[Take]],
    rng: np.random.Generator,
    length_s: float = _LENGTH_S,
) -> Scene:
    """A scene of some kind; see `draw_cast`."""
    players = [_Player(one, rng) for one in cast]
    outside = players[2]
    alone = kind.startswith("alone")
    count = 1 if alone else 2
    covered = int(rng.integers(2)) if kind == "one covered" else None
    mouths: list[list[Array]] = [[] for _ in range(count)]
    sounds: list[Array] = []
    spoken: list[NDArray[np.int8]] = []
    columns, frames = 0, 0

    def put(shown: Sequence[Array], heard: Array, who: NDArray[np.int8]) -> None:
        nonlocal columns, frames
        for mouth, part in zip(mouths, shown, strict=True):
            mouth.append(led_in(mouth[-1][-1], part) if mouth else part)
        sounds.append(heard)
        spoken.append(who)
        columns += len(who)
        frames += len(shown[0])

    speaker = int(rng.integers(count))
    while columns < length_s * 100:
        pause_s = rng.uniform(0.2, 1.2)
        # The two grids are kept together.
        rest = round(pause_s * FPS)
        end = round((frames + rest) / FPS * 100)
        who = np.full(end - columns, QUIET, np.int8)
        moves = kind in ("other moves", "unseen, one moves", "alone, unseen, moves")
        still = [players[k].still(rest / FPS) for k in range(count)]
        if moves and rng.random() < 0.5:
            which = int(rng.integers(count))
            still[which] = players[which].moving(rest / FPS)
        put(still, np.zeros(160 * len(who), np.float32), who)
        speaker = int(rng.integers(count)) if rng.random() < 0.3 else (speaker + 1) % count
        if kind == "both speak":
            turns = [player.turn() for player in players[:2]]
            length = min(len(turn[0]) for turn in turns)
            end = round((frames + length) / FPS * 100)
            n = end - columns
            sound = sum(_fit(turn[1], 160 * n) for turn in turns)
            active = [_fit(turn[2], n) for turn in turns]
            who = np.full(n, QUIET, np.int8)
            who[active[0]] = 0
            who[active[1]] = 1
            who[active[0] & active[1]] = BOTH
            put([turn[0][:length] for turn in turns], np.asarray(sound, np.float32), who)
            continue
        unseen = "unseen" in kind
        opening, sound, active = (outside if unseen else players[speaker]).turn()
        end = round((frames + len(opening)) / FPS * 100)
        n = end - columns
        who = np.where(_fit(active, n), NOBODY if unseen else speaker, QUIET).astype(np.int8)
        length_turn = len(opening) / FPS
        shown = [players[k].still(length_turn) for k in range(count)]
        if unseen and moves:
            which = int(rng.integers(count))
            shown[which] = players[which].moving(length_turn)
        elif not unseen:
            shown[speaker] = opening
            if moves:
                which = 1 - speaker
                shown[which] = players[which].moving(length_turn)
        put(shown, _fit(sound, 160 * n), who)
    whole = [np.concatenate(mouth) for mouth in mouths]
    if covered is not None:
        whole[covered] = np.full_like(whole[covered], np.nan)
    return Scene(kind, tuple(whole), np.concatenate(sounds), np.concatenate(spoken))


def led_in(before: float, part: Array) -> Array:
    """The part, which begins where the mouth was before and is itself after 0.2 s."""
    led = part.copy()
    led[:6] += (before - part[:1]) * np.linspace(1, 0, 6, dtype=np.float32)[: len(part)]
    return np.maximum(led, 0)


def _fit(values: Any, length: int) -> Any:
    result = np.zeros(length, values.dtype)
    result[: min(length, len(values))] = values[:length]
    return result


def pink_noise(length: int, rng: np.random.Generator) -> Array:
    """(length,) of standard deviation 1, 3 dB less an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)
    return (noise / noise.std()).astype(np.float32)


def noisy(scene: Scene, snr_db: float, rng: np.random.Generator) -> Array:
    """The sound with noise so far below the speech [dB]."""
    spoken = np.repeat(scene.spoken != QUIET, 160)
    level = np.sqrt(np.mean(scene.sound[: len(spoken)][spoken] ** 2))
    noise = pink_noise(len(scene.sound), rng) * level * 10 ** (-snr_db / 20)
    return np.asarray(scene.sound + noise, np.float32)


def listen(sound: Array, config: PipelineConfig) -> list[Any]:
    """The spectrogram chunks of (n,) sound that begins at START_NS."""
    stage = AudioStage(config.audio, config.input, InputIssues().of("sound"))
    chunks = []
    for at in range(0, len(sound), 1600):
        block = AudioBlock(
            START_NS + at * NS_PER_S // SAMPLE_RATE, SAMPLE_RATE, sound[at : at + 1600, None]
        )
        chunks += stage.push(block, START_NS + (at + 1600) * NS_PER_S // SAMPLE_RATE)
    return chunks + stage.flush()


# --- training

RATES: Final = (30.0, 15.0, 10.0, 5.0)
_STEPS: Final = 1500
_BATCH: Final = 128
_SNRS: Final = (None, None, 20.0, 10.0, 5.0, 0.0)
HOP_FRAMES: Final = FRAMES + AROUND


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scene as the network meets it, frame by frame."""

    kind: str
    levels: Array
    speech: Array
    start_ns: int
    floors: Array
    """(frames, BANDS): what is known of the noise when a window ends there."""
    mouths: dict[float, list[Array]]
    """By the rate of the camera, of each face: (frames,)."""
    who: NDArray[np.int8]
    """(frames,)"""


def frame_ns(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Time of frames of the network's rate from the scene's beginning [ns]."""
    return START_NS + np.round(frames * (NS_PER_S / RATE_HZ)).astype(np.int64)


def prepare(scene: Scene, rng: np.random.Generator) -> Prepared:
    """With noise chosen at random."""
    snr_db = _SNRS[rng.integers(len(_SNRS))]
    sound = scene.sound if snr_db is None else noisy(scene, snr_db, rng)
    chunks = listen(sound, PipelineConfig())
    levels = bands(np.concatenate([chunk.power_db for chunk in chunks]))
    start_ns, length_s = chunks[0].stamp_ns, len(scene.spoken) / 100
    frames = int((length_s - 0.2) * RATE_HZ)
    times = frame_ns(np.arange(frames))
    newest = ((times + to_ns(0.1) - start_ns) // HOP_NS + 1).clip(1)
    keep = round(FLOOR_S * 100)
    floors = np.stack([noise_floor(levels[max(0, n - keep) : n]) for n in newest])
    mouths = {
        rate: [_watched(mouth, rate, times, rng) for mouth in scene.frames] for rate in RATES
    }
    who = scene.spoken[((times - START_NS) // HOP_NS).clip(0, len(scene.spoken) - 1)]
    speech = np.concatenate([chunk.speech for chunk in chunks])
    return Prepared(scene.kind, levels, speech, start_ns, floors, mouths, who)


def _watched(
    mouth: Array, rate: float, times: NDArray[np.int64], rng: np.random.Generator
) -> Array:
    stamps_s, openings = seen_at(mouth, rate, rng.uniform(0, 1 / rate))
    noise = rng.normal(0, rng.uniform(0.001, 0.008), len(openings))
    stamps = START_NS + np.round(stamps_s * NS_PER_S).astype(np.int64)
    return mouth_frames(np.maximum(0, openings + noise), stamps, times)


def seen_at(
    mouth: Array, rate: float, first_s: float = 0.0
) -> tuple[NDArray[np.float64], Array]:
    """Times [s] and openings of a mouth that a camera sees at a rate [Hz]."""
    stamps_s = np.arange(first_s, (len(mouth) - 1) / FPS, 1 / rate)
    return stamps_s, mouth[np.round(stamps_s * FPS).astype(int)]


class Sampler:
    """Makes batches: windows of a real sound with the mouth that makes it, with others, or
    with others alone."""

    def __init__(self, scenes: Sequence[Prepared], rng: np.random.Generator) -> None:
        self._scenes, self._rng = scenes, rng
        self._alone: list[tuple[int, int, int]] = []
        self._both: list[tuple[int, int, int]] = []
        self._still: list[tuple[int, int, int]] = []
        for number, one in enumerate(scenes):
            for end in range(HOP_FRAMES, len(one.who) - AROUND):
                who = int(one.who[end])
                if who == BOTH:
                    self._both.append((number, 0, end))
                elif who >= 0 and one.kind != "both speak":
                    self._alone.append((number, who, end))
                for face in range(len(one.mouths[RATES[0]])):
                    near = one.who[end - FRAMES : end + AROUND]
                    if one.kind == "other still" and not (near == face).any():
                        self._still.append((number, face, end))

    def batch(self, size: int) -> tuple[NDArray[Any], ...]:
        """Sound (size, FRAMES, INPUTS), speech (size, FRAMES), mouths (size, 2, ...), whether
        each face is there and is seen (size, 2), and who speaks: a face, 2: somebody unseen,
        3: both (size,)."""
        sounds, speeches, mouths, there, seen, who = [], [], [], [], [], []
        for _ in range(size):
            rate = RATES[self._rng.integers(len(RATES))]
            kind = self._rng.random()
            own = self._one(self._both if kind > 0.94 else self._alone)
            sound, speech = self._sound(*own)
            right = self._mouth(own, rate)
            if kind < 0.58:
                place = int(self._rng.integers(2))
                shown = [right, self._other(own, rate)]
                shown, answer = (shown[::-1] if place else shown), place
            elif kind < 0.82:
                shown, answer = [right], 0
            elif kind < 0.88:
                shown, answer = [self._other(own, rate), self._other(own, rate)], 2
            elif kind < 0.94:
                shown, answer = [self._other(own, rate)], 2
            else:
                shown, answer = [right, self._mouth((own[0], 1, own[2]), rate)], 3
            hidden = self._rng.random() < 0.1
            covered = int(self._rng.integers(len(shown))) if hidden else -1
            there.append([True, len(shown) > 1])
            seen.append([covered != 0, covered != 1])
            shown = [*shown, np.zeros_like(right)][:2]
            sounds.append(sound)
            speeches.append(speech)
            mouths.append(np.stack(shown) * self._rng.uniform(0.7, 1.4))
            who.append(answer)
        made = (np.stack(sounds), np.stack(speeches), np.stack(mouths).astype(np.float32))
        return (*made, np.array(there), np.array(seen), np.array(who))

    def _one(self, places: list[tuple[int, int, int]]) -> tuple[int, int, int]:
        return places[self._rng.integers(len(places))]

    def _sound(self, number: int, _: int, end: int) -> tuple[Array, Array]:
        one = self._scenes[number]
        times = frame_ns(np.arange(end - FRAMES + 1, end + 1))
        times += round(self._rng.uniform(-0.04, 0.04) * NS_PER_S)
        columns = heard_columns(times, one.start_ns, len(one.speech))
        speech = one.speech[columns]
        gain = self._rng.normal(0, 3, BANDS).astype(np.float32)
        if self._rng.random() < 0.05:
            # Sound that tells nothing, as when music plays: then how mouths move has to do.
            gain -= 100
        inputs = sound_inputs(one.levels[columns] + gain, one.floors[end], speech)
        return inputs, speech[:, NOW]

    def _mouth(self, place: tuple[int, int, int], rate: float) -> Array:
        number, face, end = place
        mouth = self._scenes[number].mouths[rate][face]
        return mouth[end - FRAMES - AROUND + 1 : end + AROUND + 1]

    def _other(self, own: tuple[int, int, int], rate: float) -> Array:
        """A mouth that does not make this sound."""
        number, face, end = own
        scene, kind = self._scenes[number], self._rng.random()
        if kind < 0.4 and len(scene.mouths[rate]) > 1:
            return self._mouth((number, 1 - face, end), rate)
        if kind < 0.7:
            return self._mouth(self._one(self._still), rate)
        if kind < 0.9:
            return self._mouth(self._one(self._alone), rate)
        # The speaker's own, at another time.
        ends = np.arange(HOP_FRAMES, len(scene.who) - AROUND)
        return self._mouth(
            (number, face, int(self._rng.choice(ends[abs(ends - end) > 8]))), rate
        )


def train(scenes: Sequence[Prepared], rng: np.random.Generator) -> dict[str, Array]:
    """The weights of `ActiveSpeakerNetwork`."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = {
        "hear1": torch.nn.Linear(INPUTS, 24),
        "hear2": torch.nn.Linear(24, 6),
        "watch": torch.nn.Linear(2 * AROUND + 1, 6),
        "judge1": torch.nn.Linear(18 + 12, 16),
        "judge2": torch.nn.Linear(16, 1),
    }
    net = torch.nn.ModuleDict(made)
    numbers = torch.nn.ParameterDict(
        {
            "past_s": torch.nn.Parameter(torch.tensor([0.3, 1.0, 3.0]).log()),
            "unseen": torch.nn.Parameter(torch.tensor(0.0)),
            "hidden": torch.nn.Parameter(torch.tensor(-1.0)),
            "overlap": torch.nn.Parameter(torch.tensor(2.0)),
        }
    )
    age_s = torch.arange(FRAMES - 1, -1, -1) / RATE_HZ

    def match(inputs: Any, speech: Any, mouths: Any) -> Any:
        """As `ActiveSpeakerNetwork.match`, for (n, faces) at once."""
        past = torch.softmax(-age_s / numbers["past_s"].exp()[:, None], dim=1)
        heard = made["hear2"](torch.relu(made["hear1"](inputs)))
        moved = (mouths - mouths.mean(dim=2, keepdim=True)) / 0.08
        shape = made["watch"](moved.unfold(2, 2 * AROUND + 1, 1))
        sound = (heard - heard.mean(dim=1, keepdim=True))[:, None]
        shape = shape - shape.mean(dim=2, keepdim=True)
        power = (past @ sound**2 + 0.02) * (past @ shape**2 + 0.02)
        synchrony = (past @ (sound * shape)) / power.sqrt()
        steps = moved.diff(dim=2)[..., AROUND - 1 : AROUND - 1 + FRAMES].abs()
        speech = speech[:, None]
        spoken = speech @ past.T
        motion = (steps @ past.T + 0.05).log() + 2
        speaking = ((steps * speech) @ past.T / (spoken + 0.05) + 0.05).log() + 2
        more = speech - speech.mean(dim=2, keepdim=True)
        opened = (moved[..., AROUND : AROUND + FRAMES] * more) @ past.T
        parts = (synchrony.flatten(2), motion, speaking, opened, spoken.expand_as(motion))
        return made["judge2"](torch.tanh(made["judge1"](torch.cat(parts, 2))))[..., 0]

    chosen = [*net.parameters(), *numbers.parameters()]
    optimiser = torch.optim.AdamW(chosen, 4e-3, weight_decay=3e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=_STEPS)
    sampler, losses = Sampler(scenes, rng), []
    for step in range(_STEPS):
        inputs, speech, mouths, there, seen, who = map(torch.tensor, sampler.batch(_BATCH))
        kept = torch.rand_like(inputs) > 0.1
        odds = torch.where(seen, match(inputs * kept, speech, mouths), numbers["hidden"])
        both = torch.where(there.all(dim=1), odds.sum(dim=1) - numbers["overlap"], -1e9)
        odds = torch.where(there, odds, -1e9)
        unseen = numbers["unseen"].expand(len(odds), 1)
        loss = functional.cross_entropy(torch.cat((odds, unseen, both[:, None]), 1), who)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()
        losses.append(loss.item())
        if step % 250 == 249:
            print(f"step {step + 1}: loss {np.mean(losses[-250:]):.3f}", flush=True)
    stored = {name: one.detach().numpy() for name, one in net.state_dict().items()}
    stored |= {name: one.detach().numpy() for name, one in numbers.items()}
    stored["past_s"] = np.exp(stored["past_s"])
    stored = {name: np.ascontiguousarray(one, np.float32) for name, one in stored.items()}
    network = ActiveSpeakerNetwork(stored)
    with torch.no_grad():
        asked = match(inputs, speech, mouths)[:, 0].numpy()
    heard = network.hear(inputs.numpy())
    told = network.match(heard, speech.numpy(), mouths[:, 0].numpy())
    np.testing.assert_allclose(told, asked, atol=2e-3)
    return stored


_KINDS_TRAINED: Final = ("other still", "alone", "other moves", "both speak")
_SCENES_OF_KIND: Final = 40


def training_scenes(data: Path, rng: np.random.Generator) -> list[Prepared]:
    """Scenes of the actors that the network is trained on; the sampler makes the others of
    them."""
    takes, made = read_takes(data, TRAINED), []
    for number in range(_SCENES_OF_KIND):
        made += [
            prepare(make_scene(kind, draw_cast(takes, rng), rng), rng)
            for kind in _KINDS_TRAINED
        ]
        if number % 5 == 4:
            print(f"{len(made)} scenes", flush=True)
    return made


# --- the table

_SEED: Final = 12
_OF_KIND: Final = 6
_NOISES: Final = (None, 10.0, 0.0)
_SHOWN_RATES: Final = (30.0, 15.0, 5.0)
_FIRST_S: Final = 3
"""Seconds before are not counted: the windows fill."""
_WINDOW_NS: Final = to_ns(3.0)
_LAG_NS: Final = to_ns(0.1)


class _Blind:
    """Stands in for the emotion network: it is no part of who speaks."""

    model_id = "none"
    reads_landmarks = False

    def embed_faces(self, crops: Sequence[Any]) -> Array:
        return np.zeros((len(crops), 1), np.float32)

    def speech_evidence(self, power_db: Any) -> Any:  # noqa: ARG002
        return 0.0

    def predict(self, faces: Any, speech: Any, landmarks: Any = None) -> Prediction:  # noqa: ARG002
        return Prediction((1 / 7,) * 7, 1.0 if speech is None else 0.0, 1.0, None)


def reported_scenes(
    data: Path, count: int = _OF_KIND
) -> Iterator[tuple[Scene, float | None, list[SpectrogramChunk]]]:
    """Scenes of the actors that nothing was trained on, each clean and in noise; the first
    `count` of each kind."""
    takes, rng = read_takes(data, REPORTED), np.random.default_rng(_SEED)
    for kind, number in itertools.product(KINDS, range(_OF_KIND)):
        scene = make_scene(kind, draw_cast(takes, rng), rng)
        for snr_db in _NOISES:
            sound = scene.sound if snr_db is None else noisy(scene, snr_db, rng)
            if number < count:
                yield scene, snr_db, listen(sound, PipelineConfig())


def seconds_of(scene: Scene) -> Iterator[tuple[int, int]]:
    """Seconds of which at least half is speech, and who speaks most of that."""
    for second in range(_FIRST_S, len(scene.spoken) // 100):
        part = scene.spoken[100 * second : 100 * (second + 1)]
        part = part[part != QUIET]
        if len(part) >= 50:
            values, counts = np.unique(part, return_counts=True)
            yield second, int(values[counts.argmax()])


def answers(
    scene: Scene, chunks: Sequence[SpectrogramChunk], rate: float, late_s: float = 0.0
) -> list[tuple[bool, bool]]:
    """For each of `seconds_of`, whether the engine is right at its end, and whether the rule
    before it would be.

    Args:
        scene: faces and truth.
        chunks: its sound.
        rate: of the camera [Hz].
        late_s: the images are stamped so much too early [s].
    """
    stage = EmotionStage(PipelineConfig(), _Blind())  # type: ignore[arg-type]
    stamps_s, _ = seen_at(scene.frames[0], rate)
    seen = [seen_at(mouth, rate)[1] for mouth in scene.frames]
    stamps = START_NS + np.round((stamps_s - late_s) * NS_PER_S).astype(np.int64)
    images = [
        (
            int(stamp),
            FrameTracks(
                int(stamp),
                640,
                480,
                tuple(_face(k, float(openings[number])) for k, openings in enumerate(seen)),
            ),
        )
        for number, stamp in enumerate(stamps)
    ]
    items = sorted([*images, *((one.end_ns, one) for one in chunks)], key=lambda pair: pair[0])
    steps = []
    for arrival_ns, item in items:
        if isinstance(item, FrameTracks):
            steps += stage.push_tracks(item, arrival_ns)
        else:
            steps += stage.push_speech(item, arrival_ns)
    ends = np.array([step.stamp_ns for step in steps])
    speech = np.concatenate([chunk.speech for chunk in chunks])
    column_ns = chunks[0].stamp_ns + HOP_NS * np.arange(len(speech))
    found = []
    for second, who in seconds_of(scene):
        now_ns = START_NS + (second + 1) * NS_PER_S - round(late_s * NS_PER_S)
        step = steps[max(0, int(np.searchsorted(ends, now_ns, side="right")) - 1)]
        within = (stamps > now_ns - _WINDOW_NS) & (stamps <= now_ns)
        heard = (column_ns > now_ns - _LAG_NS - _WINDOW_NS) & (column_ns <= now_ns - _LAG_NS)
        motions = [
            motion_before(stamps[within], openings[within], column_ns[heard], speech[heard])
            for openings in seen
        ]
        found.append((_is_right(step, who), named_before(motions) == who))
    return found


def _face(number: int, opening: float) -> FaceTrack:
    crop = np.zeros((96, 96), np.uint8)
    box = Box(0.1 + 0.5 * number, 0.3, 0.25 - 0.01 * number, 0.33)
    return FaceTrack(f"f{number}", box, 1.0, None, None, 1.0, opening, crop)


def _is_right(step: EmotionStep, who: int) -> bool:
    scores = {one.face_id: one.speaking_score or 0.0 for one in step.estimates if one.face_id}
    unseen = step.unseen_score or 0.0
    if who == BOTH:
        return min(scores.values()) > unseen and min(scores.values()) >= 0.5
    likeliest = max(scores, key=lambda face_id: scores[face_id])
    named = int(likeliest[1:]) if scores[likeliest] > unseen else NOBODY
    return named == who


def motion_before(
    stamps: NDArray[np.int64], openings: Array, columns: NDArray[np.int64], speech: Array
) -> float | None:
    """As avemo_ros 0.5: the deviation of the opening over the newest 1.5 s with speech."""
    if len(speech) == 0:
        return None
    places = np.searchsorted(columns, stamps)
    inside = places < len(speech)
    heard = inside & (speech[np.where(inside, places, 0)] >= 0.5)
    if not heard.any():
        return None
    recent = openings[heard & (stamps > stamps[heard][-1] - to_ns(1.5))]
    seen = recent[~np.isnan(recent)]
    return float(np.std(seen)) if len(seen) >= max(5, len(recent) / 2) else None


def named_before(motions: Sequence[float | None]) -> int:
    """As avemo_ros 0.5: the busiest mouth, if it leads the next by a factor of 1.3."""
    if len(motions) == 1:
        return 0 if motions[0] is None or motions[0] >= 0.015 else NOBODY
    moving = sorted(((m, k) for k, m in enumerate(motions) if m is not None), reverse=True)
    if not moving or moving[0][0] < 0.015:
        return NOBODY
    if len(moving) > 1 and moving[0][0] < 1.3 * moving[1][0]:
        return NOBODY
    return moving[0][1]


def table(scenes: Iterable[tuple[Scene, float | None, list[SpectrogramChunk]]]) -> None:
    """Print it: share of right seconds [%], and that of the rule before in brackets."""
    right: dict[tuple[str, float, float | None], list[list[tuple[bool, bool]]]] = {}
    late: dict[float, list[tuple[bool, bool]]] = {0.15: [], -0.15: []}
    for scene, snr_db, chunks in scenes:
        for rate in _SHOWN_RATES:
            key = (scene.kind, rate, snr_db)
            right.setdefault(key, []).append(answers(scene, chunks, rate))
        if snr_db is None and scene.kind in ONE_SPEAKER:
            for late_s, found in late.items():
                found += answers(scene, chunks, 15.0, late_s)
        print(f"{scene.kind}, {snr_db}", file=sys.stderr, flush=True)
    columns = [(rate, snr_db) for rate in _SHOWN_RATES for snr_db in _NOISES]
    names = [f"{r:g} Hz, {'clean' if s is None else f'{s:g} dB'}" for r, s in columns]
    print("| scene | seconds | " + " | ".join(names) + " |")
    print("| --- " * (len(columns) + 2) + "|")
    rows = [(kind, (kind,)) for kind in KINDS]
    rows[4:4] = [("**one speaker in view, all four**", ONE_SPEAKER)]
    rows.append(("**somebody unseen, all four**", KINDS[5:]))
    for name, kinds in rows:
        cells = [
            [one for kind in kinds for found in right[(kind, *column)] for one in found]
            for column in columns
        ]
        print(f"| {name} | {len(cells[0])} | " + " | ".join(map(_share, cells)) + " |")
    for late_s, found in late.items():
        print(f"one speaker in view, 15 Hz, clean, images {late_s:+g} s early: {_share(found)}")
    rng = np.random.default_rng(0)
    scores: list[float] = []
    groups = [found for kind in ONE_SPEAKER for found in right[kind, 15.0, None]]
    for _ in range(1000):
        drawn = [groups[k] for k in rng.integers(len(groups), size=len(groups))]
        scores.append(np.mean([one[0] for found in drawn for one in found]))
    low, high = 100 * np.percentile(scores, (2.5, 97.5))
    print(f"one speaker in view, 15 Hz, clean, 95 % over scenes: {low:.0f} to {high:.0f}")


def _share(found: Sequence[tuple[bool, bool]]) -> str:
    now, before = (100 * np.mean([one[k] for one in found]) for k in (0, 1))
    return f"{now:.0f} ({before:.0f})"


def main() -> None:
    """Train, or print the table."""
    command, data = sys.argv[1], Path(sys.argv[2])
    if command == "table":
        table(reported_scenes(data, *map(int, sys.argv[3:])))
        return
    rng = np.random.default_rng(0)
    out = Path(sys.argv[3] if len(sys.argv) > 3 else WEIGHTS)
    notes = {"data": "RAVDESS, sound and 68 points", "license": "CC BY-NC-SA 4.0"}
    save_file(train(training_scenes(data, rng), rng), out, notes)


if __name__ == "__main__":
    main()
