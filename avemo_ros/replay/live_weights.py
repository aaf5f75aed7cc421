"""The file of a model, once it is clear that it can be replayed with."""

from __future__ import annotations

from pathlib import Path

from avemo_ros.errors import WeightsError
from avemo_ros.model.own_model import files_of, is_own
from avemo_ros.model.released import LIVE, find_weights, models_dir, read_index
from avemo_ros.model.weights import load_weights


def live_weights(name: str) -> Path:
    """Path of the weights of a live model; said once, and not by every bag.

    Args:
        name: a path that ends in .safetensors, a released model, or "" for the default.  Of a
            model of your own it is the file of its class, or its (first) ONNX file.

    Raises:
        WeightsError: there is no such model, it is damaged, or it is not a live one; names
            the released ones that are.
    """
    if is_own(name):
        return files_of(name)[0]
    if name and not name.endswith(".safetensors"):
        models = read_index(models_dir())["models"]
        # The first release names no task.
        tasks = {known: entry.get("task", LIVE) for known, entry in models.items()}
        if tasks.get(name) != LIVE:
            wrong = (
                f"model '{name}' is of {tasks[name]} alone and cannot be replayed with"
                if name in tasks
                else f"no released model is called '{name}'"
            )
            live = ", ".join(sorted(known for known, task in tasks.items() if task == LIVE))
            raise WeightsError(f"{wrong}; live models are: {live}")
    path = find_weights(name)
    load_weights(path)
    return path
