"""Options of commands that read bags: which topic is which, and how sound is to be read."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any, Final

from avemo_ros.audio.pcm import decode_pcm
from avemo_ros.bag.message_content import AudioFormat
from avemo_ros.bag.topics import FIELDS, NOT_USED, Topics
from avemo_ros.errors import AudioFormatError, ConfigError

_FIELDS: Final = ", ".join(FIELDS)


def add_topic_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--topic` and `--sound-format`."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="WHAT=NAME",
        help="set the topic for WHAT, if it is not found by its type and usual name; WHAT is "
        f"one of {_FIELDS}; use the name {NOT_USED} to leave it out",
    )
    parser.add_argument(
        "--sound-format",
        metavar="RATE,CHANNELS,FORMAT",
        help="format of audio that was recorded without audio_info, e.g. 16000,1,S16LE",
    )


def read_topics(args: argparse.Namespace) -> Topics:
    """The topics that were named, and the format of sound that was given.

    Raises:
        ConfigError: an option is not WHAT=NAME, WHAT is unknown or given twice, or sound cannot
            have that format.
    """
    named: dict[str, Any] = {}
    for text in args.topic:
        what, equals, name = text.partition("=")
        if not equals or not name or what not in FIELDS:
            raise ConfigError("--topic", text, f"WHAT=NAME, where WHAT is one of {_FIELDS}")
        if what in named:
            raise ConfigError("--topic", text, f"{what} once")
        named[what] = name
    topics = Topics(**named)
    if args.sound_format is None:
        return topics
    return replace(topics, sound_format=_sound_format(args.sound_format))


def _sound_format(text: str) -> AudioFormat:
    parts = text.split(",")
    try:
        form = AudioFormat(int(parts[0]), int(parts[1]), parts[2])
        form.check()
        decode_pcm(b"", form.sample_format, form.channels)
    except AudioFormatError as error:
        raise ConfigError(
            "--sound-format", text, f"a format that can be read ({error})"
        ) from error
    except (ValueError, IndexError) as error:
        allowed = "RATE,CHANNELS,FORMAT such as 16000,1,S16LE"
        raise ConfigError("--sound-format", text, allowed) from error
    return form
