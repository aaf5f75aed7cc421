"""`avemo bag play`: a bag on ROS topics, with /clock, rate, loop and start offset."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_ros.cli.node import run_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> int:
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
