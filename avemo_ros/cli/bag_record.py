"""`avemo bag record`, `mark` and `play`, and `avemo mcp`: the commands that run a node in this
process."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from avemo_ros.bag.image_packing import QUALITY
from avemo_ros.bag.partial_bag import COMPRESSIONS, STORAGES
from avemo_ros.errors import AvemoError, ConfigError


class RosMissingError(AvemoError):
    """A command needs ROS and the messages of this package, and they are not there."""


def run_node(name: str, namespace: str = "", **parameters: bool | int | float | str) -> int:
    """Run a node with these parameters until it has finished; returns its exit status.

    Args:
        name: of its module below `avemo_ros.nodes`.
        namespace: of the node; "" for none.
        parameters: values by name.

    Raises:
        RosMissingError: ROS, or the package's messages, are not there.
    """
    if find_spec("rclpy") is None or find_spec("avemo_ros.msg") is None:
        raise RosMissingError(
            "this needs ROS 2 and the messages of this package: source "
            "/opt/ros/jazzy/setup.bash and the workspace's install/setup.bash; in a checkout "
            "after `make setup`: . tools/env.sh"
        )
    arguments = ["--ros-args", *(["-r", f"__ns:=/{namespace.strip('/')}"] if namespace else [])]
    for parameter, value in parameters.items():
        # JSON is YAML, and keeps a text "0" apart from a number.
        arguments += ["-p", f"{parameter}:={json.dumps(value)}"]
    # Only here: ROS is not there where the rest of the command line runs.
    module = import_module(f"avemo_ros.nodes.{name}")
    return int(module.main(arguments))


# `avemo bag record`: ROS topics as a bag, raw or as features only.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Without --raw, --features, --states or --topics, the command records --raw\n"
        "--states.\n"
        "\n"
        "--raw records what camera and microphone publish: images, audio, audio_info and\n"
        "robot_speaking.  Images of image_raw are packed as JPEG (image_raw/compressed in the\n"
        "bag), as a 720p camera would fill 300 GB an hour without; --uncompressed keeps them\n"
        "as they are, --compressed records the JPEG images that the camera publishes itself.\n"
        "study_mark is always recorded (avemo bag mark).\n"
        "--features records face_tracks and spectrogram instead: small grey face crops with\n"
        "landmarks, and spectrograms of speech.  They can be evaluated like raw recordings.\n"
        "Both kinds are personal data; protect them accordingly.\n"
        "\n"
        "Stop the recording with Ctrl-C; OUT.partial then becomes OUT.  If a recording was\n"
        "killed, its OUT.partial can still be checked, evaluated and played.\n"
        "\n"
        "exit status: 0 recorded; 1 the recording could not start or continue, no message\n"
        "arrived, or a value is not allowed; 2 ROS is missing or the usage is wrong; 130\n"
        "interrupted before it started"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="OUT", help=("folder of the new bag")
    )
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--raw", action="store_true", help="record images and audio")
    content.add_argument(
        "--features", action="store_true", help=("record only faces and spectrograms")
    )
    parser.add_argument("--states", action="store_true", help="also record emotion_states")
    parser.add_argument(
        "--topics", nargs="+", default=[], metavar="TOPIC", help="also record these topics"
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument(
        "--compressed",
        action="store_true",
        help="with --raw: record the camera's JPEG images from image_raw/compressed",
    )
    images.add_argument(
        "--uncompressed",
        action="store_true",
        help="with --raw: do not pack images as JPEG; 80 MB a second at 720p and 30 Hz",
    )
    parser.add_argument(
        "--storage", choices=STORAGES, default=STORAGES[0], help="default: %(default)s"
    )
    parser.add_argument(
        "--compression", choices=COMPRESSIONS, default=COMPRESSIONS[0], help="default: none"
    )
    parser.add_argument(
        "--split-s",
        type=float,
        default=0.0,
        metavar="N",
        help="start a new file after N seconds (default: 0, a single file)",
    )
    parser.add_argument(
        "--use-sim-time",
        action="store_true",
        help=("take the time from /clock, e.g. while a bag is played"),
    )


def run(args: argparse.Namespace) -> int:
    """Record; returns the exit status of the node.

    Raises:
        ConfigError: options do not go together.
        RosMissingError: ROS is not there.
    """
    nothing = not (args.raw or args.features or args.states or args.topics)
    content = "features" if args.features else "raw" if args.raw or nothing else "nothing"
    for option in ("compressed", "uncompressed"):
        if getattr(args, option) and content != "raw":
            # Silence would leave the user with a bag without images.
            why = "remove it: --features records no images" if args.features else "add --raw"
            raise ConfigError(f"--{option}", "given", f"only with --raw; {why}")
    as_they_come = args.compressed or args.uncompressed or content != "raw"
    return run_node(
        "bag_recorder",
        record_out=str(args.out),
        record_content=content,
        record_compressed=args.compressed,
        record_jpeg_quality=0 if as_they_come else QUALITY,
        record_states=args.states or nothing,
        record_topics=" ".join(args.topics),
        record_storage=args.storage,
        record_compression=args.compression,
        record_split_s=args.split_s,
        use_sim_time=args.use_sim_time,
    )


# `avemo bag mark`: a phase, a condition or an event, while a bag is recorded.


def add_mark_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "TEXT is 'phase: NAME' or 'condition: NAME', which holds until the next one or the\n"
        "end of the recording ('phase:' ends it), or any other text, which marks an event.\n"
        "Without TEXT, every line that is typed is a mark.\n"
        "\n"
        "exit status: 0 marked; 1 nobody records; 2 ROS is missing or the usage is wrong"
    )
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what to mark")
    parser.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="S",
        help="wait at most S seconds for a recorder (default: 10)",
    )


def run_mark(args: argparse.Namespace) -> int:
    """Mark; returns the exit status.

    Raises:
        RosMissingError: ROS is not there.
    """
    return run_node("study_mark", mark_text=" ".join(args.text), wait_for_recorder_s=args.wait)


# `avemo bag play`: a bag on ROS topics, with /clock, rate, loop and start offset.


def add_play_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Start the nodes that listen with use_sim_time, e.g.\n"
        "  ros2 launch avemo_ros emotion.launch.py use_sim_time:=true\n"
        "or start player and nodes together:\n"
        "  ros2 launch avemo_ros replay.launch.py bag:=BAG\n"
        "\n"
        "If a running node publishes the same results as the bag (emotion_states,\n"
        "face_tracks, ...), the recorded ones are not played, so that nobody receives both.\n"
        "Topics that you name with --topics are always played.\n"
        "\n"
        "exit status: 0 played, or stopped with Ctrl-C; 1 the bag cannot be played, or not\n"
        "to its end, or a value is not allowed; 2 ROS is missing or the usage is wrong; 130\n"
        "interrupted before it started"
    )
    parser.add_argument(
        "bag", type=Path, metavar="BAG", help=("folder of a bag, or one of its files")
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=1.0,
        metavar="R",
        help=("playback speed as a multiple of real time (default: 1)"),
    )
    parser.add_argument(
        "--loop", action="store_true", help="play repeatedly; stamps and /clock keep rising"
    )
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="skip the first S seconds"
    )
    parser.add_argument(
        "--clock",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="publish the recorded time on /clock (default: yes)",
    )
    parser.add_argument(
        "--topics", nargs="+", default=[], metavar="TOPIC", help=("play only these topics")
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="S",
        help="wait at most S seconds for subscribers (default: 10)",
    )


def run_play(args: argparse.Namespace) -> int:
    """Play; returns the exit status of the node.

    Raises:
        RosMissingError: ROS is not there.
    """
    return run_node(
        "bag_player",
        bag=str(args.bag),
        play_rate=args.rate,
        loop=args.loop,
        play_start_s=args.start,
        play_clock=args.clock,
        play_topics=" ".join(args.topics),
        wait_for_subscribers_s=args.wait,
    )


# `avemo mcp`: what the topics say of people, for LLM agents.


def add_mcp_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "An agent's client starts this command and talks to it on standard input and output:\n"
        '  {"mcpServers": {"avemo": {"command": "avemo", "args": ["mcp"]}}}\n'
        "Its tools only read: is_sensing_on, who_is_there, how_do_they_feel and\n"
        "wait_until_upset. They never give words, images or sound.\n"
        "\n"
        "exit status: 0 the client has ended it; 2 ROS or the package mcp is missing, or the\n"
        "usage is wrong; 130 interrupted"
    )
    parser.add_argument(
        "--namespace",
        default="",
        metavar="NS",
        help="namespace of the emotion nodes (default: none)",
    )


def run_mcp(args: argparse.Namespace) -> int:
    """Serve until the client has enough; returns the exit status.

    Raises:
        RosMissingError: ROS is not there.
    """
    return run_node("mcp_server", namespace=args.namespace)
