"""CREMA-D: 91 actors say twelve sentences with six emotions; filmed, in English.

Cao et al., IEEE Transactions on Affective Computing 5(4), 2014.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avemo_ros.data.corpus_files import SOUND, VIDEO, files_below, read_table, tables_below
from avemo_ros.data.dataset import DataSet, Item, Listing, ListingBuilder, Published, label_of
from avemo_ros.errors import DataError
from avemo_ros.labels import SPEECH_CLASSES

_EMOTIONS: Final = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_LETTERS: Final = {code[0]: word for code, word in _EMOTIONS.items()}
_SENTENCES: Final = "IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI"
# A copy with the level X instead of XX is going round.
_NAME: Final = re.compile(
    rf"(1\d{{3}})_({_SENTENCES})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)", re.IGNORECASE
)
_ACTORS: Final = tuple(str(number) for number in range(1001, 1092))

_FILM, _WAV, _MP3 = "film", "wav", "mp3"
_TAKEN_FROM: Final = {
    "av": (_FILM, _WAV, _MP3),
    "audio": (_WAV, _MP3, _FILM),
    "video": (_FILM,),
}
"""For each modality the kinds of file that have it, the best first."""

_BAD: Final = {
    "1076_MTI_NEU_XX": (_FILM, _MP3),  # very short, without sound
    "1076_MTI_SAD_XX": (_FILM, _WAV, _MP3),  # an error image, without sound
    "1064_TIE_SAD_XX": (_FILM, _MP3),  # no duration
    "1064_IEO_DIS_MD": (_FILM, _MP3),  # a minute with all emotions
}
"""Files that the authors' own notes call bad, by kind."""

_VOICE, _FACE, _BOTH = "1", "2", "3"
"""What the raters had, as the first digit of a row of the votes."""
_SUMMARY_COLUMNS: Final = {_VOICE: "voicevote", _FACE: "facevote", _BOTH: "multimodalvote"}


_DECADES: Final = {2: "20 to 29", 3: "30 to 39", 4: "40 to 49"}
_OLDER: Final = "50 and over"
"""Few actors are over 60."""


@dataclass(frozen=True, slots=True)
class _Actor:
    """What the table of actors says of one; '' where it does not."""

    sex: str = ""
    groups: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Ratings:
    """Votes by (mode, clip), and the letters of the most frequent answers, several in a tie."""

    votes: Mapping[tuple[str, str], tuple[float, ...]]
    answers: Mapping[tuple[str, str], str]


def read(root: Path, *, labels: str = "intended", modality: str = "av") -> Listing:
    """CREMA-D; one item a clip, whichever of its files are there.

    Args:
        root: the folder; its folders and tables may be at any depth below.
        labels: 'intended', what the actor was asked for; or 'perceived', the most frequent
            answer of those who rated the same (voice for an item without images, face for
            one without sound, else both).  Ties are left out.
        modality: 'av' takes the film, else the sound; 'audio' the wav, else mp3 or film;
            'video' the film.

    Raises:
        DataError: a table cannot be read, or there is none for 'perceived'.
    """
    found = ListingBuilder("cremad")
    tables = tables_below(root)
    ratings = _ratings(tables)
    if labels == "perceived" and not ratings.answers:
        raise DataError(
            f"no processedResults/tabulatedVotes.csv or summaryTable.csv in {root}: "
            "labels 'perceived' need one of them"
        )
    actors = _actors(tables)
    clips, broken = _clips(root, modality, found)
    for key, files in (*clips.items(), *broken.items()):
        kind = next(kind for kind in _TAKEN_FROM[modality] if kind in files)
        has_face = kind == _FILM and modality != "audio"
        has_voice = modality != "video"
        mode = _BOTH if has_face and has_voice else _FACE if has_face else _VOICE
        word = _EMOTIONS[key.split("_")[2]]
        if labels == "perceived":
            answer = ratings.answers.get((mode, key), "")
            if len(answer) != 1:
                found.leave_out(
                    files[kind],
                    "the raters do not agree: a tie" if answer else "without ratings",
                    by_design=bool(answer),
                )
                continue
            word = _LETTERS[answer]
        label = label_of(word)
        assert label is not None
        item = Item(
            dataset="cremad",
            key=key,
            path=files[kind],
            label=label,
            subject=f"cremad-{key[:4]}",
            raw_label=word,
            sex=actors.get(key[:4], _Actor()).sex,
            groups=actors.get(key[:4], _Actor()).groups,
            has_face=has_face,
            has_voice=has_voice,
            votes=ratings.votes.get((mode, key)),
        )
        if key in clips:
            found.add(item)
        else:
            found.lose(item)
    return found.listing()


def _clips(
    root: Path, modality: str, found: ListingBuilder
) -> tuple[dict[str, dict[str, Path]], dict[str, dict[str, Path]]]:
    """For each clip the files that can be used, by kind; the same for those that have only
    broken ones."""
    clips: dict[str, dict[str, Path]] = {}
    broken: dict[str, dict[str, Path]] = {}
    for path in files_below(root, SOUND + VIDEO):
        fields = _NAME.fullmatch(path.stem)
        if fields is None or fields.group(1) not in _ACTORS:
            found.leave_out(path, "not a name of CREMA-D")
            continue
        actor, sentence, emotion, level = (field.upper() for field in fields.groups())
        key = f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"
        suffix = path.suffix.lower()
        kind = _FILM if suffix in VIDEO else _MP3 if suffix == ".mp3" else _WAV
        if kind not in _TAKEN_FROM[modality]:
            continue
        files = clips.get(key, {})
        if kind in _BAD.get(key, ()):
            found.leave_out(path, "bad, according to its authors' notes", by_design=True)
        elif kind in files:
            found.leave_out(path, "a copy of another recording", by_design=True)
        elif found.usable(path):
            clips.setdefault(key, {})[kind] = path
        else:
            broken.setdefault(key, {}).setdefault(kind, path)
    return clips, {key: files for key, files in broken.items() if key not in clips}


def _ratings(tables: Mapping[str, Path]) -> _Ratings:
    votes: dict[tuple[str, str], tuple[float, ...]] = {}
    answers: dict[tuple[str, str], str] = {}
    if (table := tables.get("tabulatedvotes.csv")) is not None:
        for _, row in read_table(table, ("", "a", "d", "f", "h", "n", "s", "filename")):
            mode, clip = row[""][:1], row["filename"]
            try:
                counts = {letter: int(row[letter.lower()]) for letter in _LETTERS}
            except ValueError as error:
                raise DataError(f"{table}, {clip}: votes are numbers ({error})") from error
            by_label = {label_of(_LETTERS[letter]): n for letter, n in counts.items()}
            votes[mode, clip] = tuple(float(by_label.get(c, 0)) for c in SPEECH_CLASSES)
            most = max(counts.values())
            answers[mode, clip] = "".join(c for c, n in counts.items() if n == most and most)
    elif (table := tables.get("summarytable.csv")) is not None:
        for _, row in read_table(table, ("filename", *_SUMMARY_COLUMNS.values())):
            for mode, column in _SUMMARY_COLUMNS.items():
                letters = row[column].replace(":", "")
                if not set(letters) <= set(_LETTERS):
                    raise DataError(
                        f"{table}, {row['filename']}: {column} is {row[column]!r}; allowed: "
                        f"{', '.join(_LETTERS)}, ties with ':'"
                    )
                answers[mode, row["filename"]] = letters
    return _Ratings(votes, answers)


def _actors(tables: Mapping[str, Path]) -> dict[str, _Actor]:
    table = tables.get("videodemographics.csv")
    if table is None:
        return {}
    actors = {}
    for _, row in read_table(table, ("actorid", "sex")):
        sex = row["sex"].lower()
        race = row.get("race", "")
        named = {
            "age": _age_group(table, row["actorid"], row.get("age", "")),
            "race": "" if race.lower() == "unknown" else race,
        }
        actors[row["actorid"]] = _Actor(
            sex if sex in ("male", "female") else "",
            tuple((kind, name) for kind, name in named.items() if name),
        )
    return actors


def _age_group(table: Path, actor: str, age: str) -> str:
    if not age:
        return ""
    try:
        decade = int(age) // 10
    except ValueError as error:
        raise DataError(f"{table}, actor {actor}: the age is a number, not {age!r}") from error
    return _DECADES.get(decade, _OLDER if decade >= 5 else "")


def _published(*, labels: str = "intended", modality: str = "av") -> Published:
    # Counted in the authors' repository: names for 'intended', tables for 'perceived'; the
    # files that they call bad are taken off.
    if labels == "perceived":
        counts = _PERCEIVED[modality]
        return Published(classes={"": counts}, n_subjects=len(_ACTORS))
    classes = {label_of(word) or "": 1271 for word in _EMOTIONS.values()}
    classes["neutral"] = 1087
    subjects = {f"cremad-{actor}": _RECORDED.get(actor, 82) for actor in _ACTORS}
    for clip, kinds in _BAD.items():
        if set(_TAKEN_FROM[modality]) <= set(kinds):
            actor, _, code, _ = clip.split("_")
            classes[label_of(_EMOTIONS[code]) or ""] -= 1
            subjects[f"cremad-{actor}"] -= 1
    return Published(classes={"": classes}, subjects=subjects)


def _perceived(*counts: int) -> dict[str, int]:
    order = ("angry", "disgust", "fear", "happy", "neutral", "sad")
    return dict(zip(order, counts, strict=True))


_RECORDED: Final = {"1002": 81, "1008": 76, "1009": 76, "1019": 76, "1076": 81}
"""Clips of the actors who have not 82."""
_PERCEIVED: Final = {
    "av": _perceived(1019, 1139, 1084, 1219, 1973, 587),
    "audio": _perceived(986, 547, 645, 353, 3896, 370),
    "video": _perceived(968, 1057, 822, 1266, 2075, 780),
}

CREMAD: Final = DataSet(
    name="cremad",
    title="CREMA-D",
    contents="faces and voices",
    words=tuple(_EMOTIONS.values()),
    licence="ODbL 1.0",
    layout="""\
VideoFlash/<name>.flv, AudioWAV/<name>.wav, AudioMP3/<name>.mp3   (one of them will do)
  name: actor 1001 to 1091, sentence, ANG DIS FEA HAP NEU SAD, level LO MD HI XX, joined by _
VideoDemographics.csv                  for sex, age and race
processedResults/tabulatedVotes.csv    (or summaryTable.csv) for labels=perceived""",
    read=read,
    options={"labels": ("intended", "perceived"), "modality": tuple(_TAKEN_FROM)},
    published=_published,
)
