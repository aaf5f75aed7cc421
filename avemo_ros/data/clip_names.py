"""Names of the bags made from clips, and which bag was made from which clip."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from avemo_ros.bag.folder import read_custom_data
from avemo_ros.bag.names import METADATA
from avemo_ros.data.corpus_files import OWN_SOUND, OWN_VIDEO
from avemo_ros.data.dataset import Item

MARK: Final = "avemo_clip"
"""Under this name metadata.yaml tells of which clip a bag was made."""
_SUFFIXES: Final = "|".join(re.escape(suffix) for suffix in OWN_SOUND + OWN_VIDEO)


def mark_of(item: Item) -> str:
    """Tells a clip from all others, also where their bags would have one name.

    A digest, as a table may name files by paths that are nobody else's business.
    """
    identity = "\n".join(map(str, (item.dataset, item.key, item.start_s, item.end_s)))
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def marks_in(folder: Path) -> dict[Path, str]:
    """The bags in a folder with the marks of their clips; "" for other bags, and for those
    made before there were marks."""
    if not folder.is_dir():
        return {}
    return {
        path: read_custom_data(path).get(MARK, "")
        for path in sorted(folder.iterdir())
        if path.suffix != ".partial" and (path / METADATA).is_file()
    }


def names_of(items: Sequence[Item]) -> list[str]:
    """A name for the bag of each clip, each another.

    Of one's own clips the file's name without suffix, with folders before it only where
    several files have that name; of a data set what its loader calls the clip.
    """
    if any(item.dataset != "clips" for item in items):
        return names_by_key(items)
    short = _short_names(list(dict.fromkeys(_file_of(item) for item in items)))
    return _numbered([f"{short[_file_of(item)]}{_piece_of(item)}" for item in items])


def names_by_key(items: Sequence[Item]) -> list[str]:
    """Names from the whole keys, as all bags of clips were named before there were marks."""
    keys = (
        re.sub(rf"({_SUFFIXES})(?=@|$)", "", item.key, flags=re.IGNORECASE) for item in items
    )
    return _numbered(list(keys))


def _file_of(item: Item) -> str:
    return item.key.removesuffix(_piece_of(item))


def _piece_of(item: Item) -> str:
    """'@2.1' of a piece of a file that begins at 2.1 s."""
    if item.start_s is None and item.end_s is None:
        return ""
    return item.key[item.key.rindex("@") :]


def _short_names(files: Sequence[str]) -> dict[str, str]:
    """Of each file the shortest name that no other one has."""
    names: dict[str, str] = {}
    left = list(files)
    for name_of in _ways(max(len(_parts(file)) for file in files)):
        often = Counter(_plain(name_of(file)).lower() for file in left)
        names |= {file: name_of(file) for file in left}
        left = [file for file in left if often[_plain(names[file]).lower()] > 1]
    return names


def _ways(most: int) -> list[Callable[[str], str]]:
    """Shorter names first: one folder more each time, and in the end the suffix, too."""

    def way(count: int) -> Callable[[str], str]:
        return lambda file: "_".join(_parts(file)[-count:])

    return [*map(way, range(1, most + 1)), lambda file: file.replace(".", "_")]


def _parts(file: str) -> tuple[str, ...]:
    return PurePosixPath(file.replace("\\", "/")).with_suffix("").parts


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "clip"


def _numbered(names: Sequence[str]) -> list[str]:
    """Names of folders; where two are alike, also in capitals, the later one gets a number."""
    made: list[str] = []
    taken: set[str] = set()
    for plain in map(_plain, names):
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        made.append(name)
    return made
