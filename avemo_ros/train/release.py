r"""Put a trained model among the released ones.

    python -m avemo_ros.train.release runs/live/final --name avemo-1.0 --default --data "..."

Writes `models/NAME.safetensors`, of a live model its ONNX files, too, and lists them in
`models/index.json`.  The members of an ensemble are released before:

    python -m avemo_ros.train.release runs/ensemble/final --name avemo-both-1.0 \
        --members avemo-speech-1.0 avemo-landmarks-1.0

The card `models/NAME.md` is written by hand, from the figures of `avemo evaluate`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.model.network import LiveModel
from avemo_ros.model.released import LIVE, list_in_index
from avemo_ros.zoo.classical import copy_classical, is_classical, open_classifier
from avemo_ros.zoo.model_export import export_beside
from avemo_ros.zoo.model_file import find_model, load_model, save_model

LARGEST: Final = 30_000_000
"""Bytes that a released file may have: face network and three layers of Whisper take 28 MB."""
_NOTES: Final = ("config", "pairing", "trained_on")
DATA_NOTE: Final = (
    "FER2013, EmoDB and URDU are for research use, RAVDESS and nEMO are CC BY-NC-SA 4.0: for "
    "non-commercial use."
)


def release(
    run: str,
    name: str,
    models: Path,
    *,
    default: bool = False,
    temperature: float = 0.0,
    data: str = DATA_NOTE,
    members: Sequence[str] = (),
) -> Path:
    """Copy a model into the folder of released ones and list it there.

    Of a live model the ONNX files are made, too, which the robot runs.

    Args:
        run: run folder or model file.
        name: of the released model, with version.
        models: folder of the released models.
        default: make it the default of its task ('live', or the modality that it reads).
        temperature: of the calibration, fitted on out-of-fold answers; 0 keeps the file's.
        data: on what it was trained and under which licences.
        members: of an ensemble: the released names of its members, in their order.

    Returns:
        The written file.

    Raises:
        ConfigError: there is a model of that name, it is too large, a package for ONNX is not
            installed, or an option does not go with this kind of model.
        WeightsError: it is missing or damaged.
    """
    source = find_model(run)
    path = models / f"{name}.safetensors"
    if path.exists():
        raise ConfigError("--name", name, "a new name: released models are not replaced")
    if is_classical(source):
        if temperature:
            raise ConfigError("--temperature", temperature, "no value: this is no network")
        copy_classical(source, path, name, members, {"data": data})
        try:
            task = open_classifier(path).modality
        except AvemoError:
            path.unlink()
            raise
        list_in_index(path, name, default=default, task=task)
        return path
    if members:
        raise ConfigError("--members", list(members), "nothing: this is no ensemble")
    loaded = load_model(source)
    live = isinstance(loaded.model, LiveModel)
    if live and temperature:
        raise ConfigError(
            "--temperature", temperature, "no value: a live model has three of its own"
        )
    notes = {key: loaded.about[key] for key in _NOTES if key in loaded.about}
    save_model(
        loaded.model,
        loaded.spec,
        path,
        name,
        {**notes, "data": data},
        1.0 if live else temperature or loaded.temperature,
    )
    size = path.stat().st_size
    if size > LARGEST:
        path.unlink()
        raise ConfigError(
            "RUN", run, f"at most {LARGEST / 1e6:.0f} MB; it has {size / 1e6:.1f}"
        )
    task = LIVE if live else loaded.model.modality
    list_in_index(path, name, default=default, task=task)
    written = load_model(path)
    if live:
        export_beside(written, path)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", metavar="RUN", help="run folder or model file")
    parser.add_argument("--name", required=True, help="name of the model, e.g. avemo-1.0")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--default", action="store_true", help="make it the default")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help=("temperature of the calibration")
    )
    parser.add_argument(
        "--members", nargs="+", default=[], metavar="NAME", help="of an ensemble, as released"
    )
    parser.add_argument("--data", default=DATA_NOTE, help="data and licences")
    given = parser.parse_args(arguments)
    try:
        path = release(
            given.run,
            given.name,
            given.models,
            default=given.default,
            temperature=given.temperature,
            data=given.data,
            members=given.members,
        )
    except AvemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    entry = json.loads((given.models / "index.json").read_text())["models"][given.name]
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, task {entry['task']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
