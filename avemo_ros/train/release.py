"""Put trained parts together; `python -m avemo_ros.train.release --help`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from avemo_ros.model.network import EmotionNet
from avemo_ros.model.weights import list_in_index, load_weights, save_weights
from avemo_ros.train.loop import averaged_weights

DATA_NOTE = (
    "Trained on FER2013 (research use), RAVDESS and nEMO (CC BY-NC-SA 4.0), EmoDB and URDU "
    "(research use): for non-commercial use."
)


def assemble(face: Path, speech: Path, fusion: Path | None) -> EmotionNet:
    """The network from checkpoints of face and speech and the outcome of the fusion.

    Args:
        face: checkpoint of `train.face`.
        speech: checkpoint of `train.speech`.
        fusion: `fusion.pt` of `train.fusion`; None leaves the fusion at the plain sum of
            log-probabilities and the temperatures at 1.
    """
    network = EmotionNet()
    network.face.load_state_dict(averaged_weights(face))
    network.speech.load_state_dict(averaged_weights(speech))
    if fusion is not None:
        parts = torch.load(fusion, weights_only=True)
        network.face.attention.load_state_dict(parts["attention"])
        network.fusion.load_state_dict(parts["fusion"])
        for name, value in parts["temperatures"].items():
            getattr(network, f"{name}_temperature").fill_(value)
    return network.eval()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face", type=Path, required=True, help="checkpoint of the face run")
    parser.add_argument(
        "--speech", type=Path, required=True, help="checkpoint, final speech run"
    )
    parser.add_argument("--fusion", type=Path, help="fusion.pt of the fusion run")
    parser.add_argument("--name", required=True, help="model id, e.g. avemo-0.1")
    parser.add_argument("--models", type=Path, default=Path("models"))
    given = parser.parse_args()
    network = assemble(given.face, given.speech, given.fusion)
    path = given.models / f"{given.name}.safetensors"
    save_weights(network, path, given.name, {"data": DATA_NOTE})
    list_in_index(path, given.name, default=True)
    load_weights(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
