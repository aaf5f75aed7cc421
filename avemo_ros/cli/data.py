"""`avemo data`: which data sets can be read, and whether a copy of one is whole."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Final

from avemo_ros.cli.outputs import add_force, check_outputs, write_json
from avemo_ros.cli.subcommands import LateParser
from avemo_ros.data.corpus_check import as_json, check, report
from avemo_ros.data.dataset import DataSet, label_of
from avemo_ros.data.registry import DATASETS, find_dataset
from avemo_ros.labels import SPEECH_CLASSES, WORDS
from avemo_ros.settings import read_options

DONE: Final = 0
DIFFERS: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=LateParser
    )
    text = "list the data sets with classes, licence and expected layout"
    listing = actions.add_parser("list", help=text, description=_sentence(text))
    listing.add_argument("names", nargs="*", metavar="NAME", help="only these")
    listing.set_defaults(run_action=run_list)

    text = "compare your copy of a data set with the published counts, and find broken files"
    checking = actions.add_parser(
        "check",
        help=text,
        description=_sentence(text),
        epilog=(
            "exit status: 0 as published, 1 different or with broken files, 2 cannot be read"
        ),
    )
    checking.add_argument(
        "name",
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}, or module:NAME of your own (docs/extending.md)",
    )
    checking.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
    checking.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the loader, e.g. labels=perceived (see `avemo data list`)",
    )
    checking.add_argument(
        "--all", action="store_true", help=("list every file, not only a few of each group")
    )
    checking.add_argument(
        "--json", type=Path, metavar="OUT", help=("also write the result to this file")
    )
    add_force(checking)
    checking.set_defaults(run_action=run_check)

    text = "extract faces and spectrograms from a data set and cache them on disk"
    prepare = actions.add_parser("prepare", help=text, description=_sentence(text))
    prepare.declare = _declare_prepare


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was named; returns the exit status."""
    return int(args.run_action(args))


def run_list(args: argparse.Namespace) -> int:
    """Print what is known of each data set, and what their labels count as.

    Raises:
        ConfigError: no data set of that name.
    """
    datasets = [find_dataset(name) for name in args.names] or list(DATASETS.values())
    print("\n\n".join(_describe(dataset) for dataset in datasets))
    if not args.names:
        print("\nWords for the classes (also in clips.csv):")
        for label in SPEECH_CLASSES:
            words = ", ".join(word for word, counts_as in WORDS.items() if counts_as == label)
            print(f"  {label:9} {words}")
        print(f"  left out  {', '.join(word for word in WORDS if WORDS[word] is None)}")
        print(
            "Models of voice and landmarks have the class calm; the robot counts it as neutral."
        )
    return DONE


def run_check(args: argparse.Namespace) -> int:
    """Print the comparison; returns 1 if the copy is not as published.

    Raises:
        ConfigError: no such data set or option.
        DataError: the copy cannot be read.
        OutputError: the result cannot be written.
    """
    check_outputs([args.json], force=args.force)
    checked = check(find_dataset(args.name), args.root, **read_options(args.option))
    print(report(checked, everything=args.all))
    if args.json is not None:
        write_json(args.json, as_json(checked))
    return DONE if checked.as_published else DIFFERS


def _declare_prepare(parser: argparse.ArgumentParser) -> None:
    prepare = import_module("avemo_ros.cli.data_prepare")
    prepare.add_arguments(parser)
    parser.set_defaults(run_action=prepare.run)


def _describe(dataset: DataSet) -> str:
    published = dataset.published()
    whole = "not known"
    if published is not None:
        subjects = len(published.subjects) if published.subjects else published.n_subjects
        people = f" of {subjects} people" if subjects else ""
        whole = f"{published.total} items{people}"
    renamed = [
        f"{word} = {label}"
        for word in dataset.words
        if (label := label_of(word)) is not None and label != word.lower()
    ]
    options = [f"{name}={'|'.join(values)}" for name, values in dataset.options.items()]
    lines = [
        f"{dataset.name}: {dataset.title}",
        f"  has       {dataset.contents}; whole: {whole}",
        f"  classes   {', '.join(dataset.classes)}",
        f"  its words {', '.join(renamed)}" if renamed else "",
        f"  left out  {', '.join(dataset.left_out)}" if dataset.left_out else "",
        f"  licence   {dataset.licence}",
        f"  options   {'  '.join(options)} (the first is the default)" if options else "",
        *(
            f"  {'layout' if number == 0 else '':9} {line}"
            for number, line in enumerate(dataset.layout.splitlines())
        ),
    ]
    return "\n".join(filter(None, lines))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
