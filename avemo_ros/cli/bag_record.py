"""`avemo bag record`: ROS topics as a bag, raw or as features only."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_ros.bag.partial_bag import COMPRESSIONS, STORAGES
from avemo_ros.cli.node import run_node
from avemo_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Without --raw, --features, --states or --topics, the command records --raw\n"
        "--states.\n"
        "\n"
        "--raw records what camera and microphone publish: image_raw (image_raw/compressed\n"
        "with\n"
        "--compressed), audio, audio_info and robot_speaking.\n"
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
    parser.add_argument(
        "--compressed",
        action="store_true",
        help="with --raw: record JPEG images from image_raw/compressed instead of image_raw",
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
    if args.compressed and content != "raw":
        # Silence would leave the user with a bag without images.
        why = "remove it: --features records no images" if args.features else "add --raw"
        raise ConfigError("--compressed", "given", f"only with --raw; {why}")
    return run_node(
        "bag_recorder",
        record_out=str(args.out),
        record_content=content,
        record_compressed=args.compressed,
        record_states=args.states or nothing,
        record_topics=" ".join(args.topics),
        record_storage=args.storage,
        record_compression=args.compression,
        record_split_s=args.split_s,
        use_sim_time=args.use_sim_time,
    )
