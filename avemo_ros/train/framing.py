"""Measures how a face has to be framed for the face network, for `vision/alignment.py`.

    python -m avemo_ros.train.framing eyes --root fer2013
    python -m avemo_ros.train.framing pictures --root fer2013 --model NAME --json pictures.json
    python -m avemo_ros.train.framing clips --root clips --model NAME --json clips.json

`eyes` tells how FER2013's training pictures frame their faces: that is what the alignment aims
at.  `pictures` cuts the faces of PublicTest anew, by the alignment and in other ways, and tells
what a model makes of each.  `clips` does the same with films that went through the live path;
they are for measuring, nothing is chosen by them.  See docs/framing.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from avemo_ros.errors import AvemoError
from avemo_ros.train.framing_clips import clips
from avemo_ros.train.framing_judge import Judge
from avemo_ros.train.framing_lines import clip_lines, eyes_lines, picture_lines
from avemo_ros.train.framing_pictures import eyes, pictures


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure how a face has to be framed.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    helps = {
        "eyes": "how FER2013's training pictures frame a face",
        "pictures": "accuracy on FER2013's PublicTest, framed in several ways",
        "clips": "the same on films with RAVDESS names, through the live path",
    }
    for kind, text in helps.items():
        command = kinds.add_parser(kind, help=text, description=text)
        command.add_argument("--root", type=Path, required=True, help="folder of the data")
        command.add_argument("--json", type=Path, help="write the figures to this file")
        if kind != "clips":
            every = 7 if kind == "eyes" else 1
            command.add_argument(
                "--every", type=int, default=every, help="use each n-th picture"
            )
        if kind != "eyes":
            command.add_argument(
                "--model", default="", help="name, file or run folder; default: the robot's"
            )
        if kind == "pictures":
            command.add_argument("--cache", type=Path, help="file (.npz) that keeps the meshes")
    given = parser.parse_args(arguments)
    try:
        if given.kind == "eyes":
            found = eyes(given.root, given.every)
            lines = eyes_lines(found)
        elif given.kind == "pictures":
            found = pictures(given.root, given.every, Judge(given.model), given.cache)
            lines = picture_lines(found)
        else:
            found = clips(given.root, Judge(given.model))
            lines = clip_lines(found)
    except AvemoError as error:
        print(f"framing: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    if given.json is not None:
        part = given.json.with_name(f"{given.json.name}.part")
        part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        part.replace(given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
