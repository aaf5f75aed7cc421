"""Options of commands that read bags: which topic is which, and how sound is to be read."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Final

from avemo_ros.audio.pcm import decode_pcm
from avemo_ros.bag.sound import SoundFormat
from avemo_ros.bag.topics import NOT_USED, Topics
from avemo_ros.errors import AudioFormatError, ConfigError

_NAMES: Final = tuple(field.name for field in fields(Topics))


def add_topic_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--topic` and `--sound-format`."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="WHAT=NAME",
        help=f"which topic is which, where that cannot be told by types and usual names; "
        f"WHAT is one of {', '.join(_NAMES)}; the name {NOT_USED} leaves it out",
    )
    parser.add_argument(
        "--sound-format",
        metavar="RATE,CHANNELS,FORMAT",
        help="how to read sound beside which no audio_info was recorded, e.g. 16000,1,S16LE",
    )


def read_topics(args: argparse.Namespace) -> Topics:
    """The topics that were named.

    Raises:
        ConfigError: an option is not WHAT=NAME, or WHAT is unknown or given twice.
    """
    named: dict[str, str] = {}
    for text in args.topic:
        what, equals, name = text.partition("=")
        if not equals or not name or what not in _NAMES:
            raise ConfigError("--topic", text, f"WHAT=NAME with WHAT of {', '.join(_NAMES)}")
        if what in named:
            raise ConfigError("--topic", text, f"{what} once")
        named[what] = name
    return Topics(**named)


def read_sound_format(args: argparse.Namespace) -> SoundFormat | None:
    """The format that was given; None without.

    Raises:
        ConfigError: it is not RATE,CHANNELS,FORMAT, or sound cannot be like that.
    """
    text: Any = args.sound_format
    if text is None:
        return None
    parts = text.split(",")
    try:
        form = SoundFormat(int(parts[0]), int(parts[1]), parts[2])
        form.check()
        decode_pcm(b"", form.sample_format, form.channels)
    except AudioFormatError as error:
        raise ConfigError("--sound-format", text, f"what can be read ({error})") from error
    except (ValueError, IndexError) as error:
        raise ConfigError(
            "--sound-format", text, "RATE,CHANNELS,FORMAT such as 16000,1,S16LE"
        ) from error
    return form
