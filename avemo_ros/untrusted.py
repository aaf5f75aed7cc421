"""What comes from outside: its text is made safe to show, and its size and shape have bounds.

Bags, labels, weights, results and settings are files that others send.  Text of theirs reaches
a terminal only through `shown`: errors of this package go through it, and so do `say` and the
log of the command.  Pages escape by themselves (`report/rendering.py`).  What is larger than
the limits here is refused before it costs any work.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import unicodedata
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import Any, Final, TextIO

# --- files
MAX_TEXT_BYTES: Final = 64 << 20
"""Of a file of settings, labels, results or notes: a label is about a hundred bytes."""
MAX_YAML_NODES: Final = 1_000_000
"""Values of a YAML text once its aliases are written out."""

MAX_WORDS: Final = 10_000
"""Characters of what one annotation of a document says."""

# --- bags
MAX_UNPACKED: Final = 512 << 20
"""Bytes of a message, or of a chunk of messages: the largest image has 384 MiB."""
MAX_CHUNK_RECORDS: Final = 1_000_000
"""Of a chunk; usual chunks of 4 MB have at most a tenth of that."""
MAX_FILE_RATIO: Final = 1000
"""Of a bag's file that is packed as a whole: unpacked against packed size."""
MAX_FILE_FREELY: Final = 1 << 30
"""Bytes that such a file may unpack to in any case."""
MAX_CHANNELS: Final = 10_000
"""Topics of a bag; large robots have some hundreds."""
MAX_DEFINITION: Final = 1 << 20
"""Characters of the definition of a message type, with all those within it."""
MAX_ARRAY: Final = 100_000
"""Length of a fixed array in a definition."""
MAX_NESTING: Final = 8
"""Brackets within brackets in a definition."""
MAX_SILENCE_S: Final = 20.0
"""That a database may search for its next row."""

# --- images
MAX_PIXELS: Final = 64_000_000
"""Height times width of one image."""
MAX_ROW_BYTES: Final = 3 * MAX_PIXELS
"""Of all rows of a PNG before they are packed: the largest image in colour with 8 bits."""
MAX_PNG_CHUNKS: Final = 50_000
"""Of one PNG; the usual ones hold 8 kB."""
MAX_SCANS: Final = 100
"""Scans of one JPEG; each may run over all of its pixels again, however few bytes it has."""
MAX_SCANNED: Final = 10 * MAX_PIXELS
"""Pixels times scans of a progressive JPEG: the usual ten scans of the largest image."""
MAX_STRAY: Final = 16
"""Bytes that a camera may leave before a marker of a JPEG; damage leaves more."""
MAX_RESTARTS: Final = 10_000
"""Restart markers of a JPEG with stray bytes, each part of which is decoded by itself, too."""
PIXELS_PER_JPEG_BYTE: Final = 2048
"""A JPEG has at least one bit for each block of 64 pixels of its largest component, which has
at least a quarter of the pixels."""

# --- face tracks
MAX_FACES: Final = 64
"""Of one image."""
MIN_CROP_SIDE: Final = 8
MAX_CROP_SIDE: Final = 256
"""Side of an aligned face [pixels]; this package's own are of 96."""
MAX_ID_LENGTH: Final = 64
"""Characters of an id."""
MAX_BOX: Final = 10.0
"""Position and size of a box in images: a face at the rim may reach outside, but not far."""
MAX_DISTANCE: Final = 1e6
"""Of a face from the camera [m]."""
MAX_OPENING: Final = 1000.0
"""Gap between the lips over the distance of the eyes; a wide open mouth has about 1, and a face
seen from the side more."""

# --- spectrogram
MAX_COLUMNS: Final = 1000
"""Of one chunk: 10 s."""
LEVELS_DB: Final = (-200.0, 100.0)
"""Levels against full scale [dB]; usual are -100 to about 0."""


# --- text
_STEERS: Final = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""They break lines, or turn the direction of what follows."""


def shown(text: str) -> str:
    r"""Text whose signs cannot steer a terminal, or fail to be printed.

    Control characters, signs that turn the direction of text and lone surrogates are written as
    Python writes them, e.g. '\x1b'; new lines and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign in "\n\t" or not _is_unsafe(sign) else repr(sign)[1:-1] for sign in text
    )


def _is_unsafe(sign: str) -> bool:
    return sign in _STEERS or unicodedata.category(sign) in ("Cc", "Cs")


def say(
    *parts: object, file: TextIO | None = None, end: str = "\n", flush: bool = False
) -> None:
    """As `print`, for people: what is `shown` of it."""
    text = " ".join(map(str, parts))
    print(shown(text), file=sys.stdout if file is None else file, end=end, flush=flush)


def parse_json(text: str | bytes) -> Any:
    """What JSON holds.

    Raises:
        ValueError: it is not valid, or nested more deeply than anything that is read here.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_bytes(path: Path, most: int = MAX_TEXT_BYTES) -> bytes:
    """What is in a file of moderate size.

    Args:
        path: of the file.
        most: of bytes.

    Raises:
        OSError: it cannot be read, has more bytes, or is a pipe that somebody has named, which
            may never end; `strerror` says so.
    """
    refuse_pipe(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(EFBIG, f"it has more than {most >> 20} MiB", str(path))
    return content


def read_text(path: Path, most: int = MAX_TEXT_BYTES) -> str:
    """The text of a file in UTF-8; arguments and errors as of `read_bytes`.

    Raises:
        UnicodeDecodeError: it is no UTF-8; a ValueError.
    """
    text = read_bytes(path, most).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def real(path: Path) -> Path:
    """The absolute path, links followed; one that goes round in links stays as it is, and
    cannot be opened."""
    return Path(os.path.realpath(path))


def refuse_pipe(path: Path) -> None:
    """Refuse to open what may never answer.

    Raises:
        OSError: it is a named pipe or a socket, or cannot be looked at.
    """
    kind = os.stat(path).st_mode  # noqa: PTH116  (of a link loop pathlib's says less)
    of_shell = path.is_relative_to("/dev") or path.is_relative_to("/proc")
    if (stat.S_ISFIFO(kind) and not of_shell) or stat.S_ISSOCK(kind):
        raise OSError(EINVAL, "it is a pipe, not a file", str(path))
