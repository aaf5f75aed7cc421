"""Networks for other runtimes, ONNX and TorchScript, and how fast they are there.

There is one file for each submodule of `exportable.py`.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from avemo_ros.audio.spectrogram import BINS
from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.labels import EMOTIONS
from avemo_ros.model.emotion_model import EmotionModel
from avemo_ros.model.network import EmotionNet, LiveModel
from avemo_ros.model.onnx_network import FORMAT, NO_DIGEST, OnnxNetwork, sealed
from avemo_ros.model.predictor import Predictor
from avemo_ros.model.preprocess import MAX_COLUMNS, MIN_COLUMNS
from avemo_ros.model.released import list_onnx, onnx_file, remedy, sha256
from avemo_ros.model.torch_network import bn_folded, to_bfloat16
from avemo_ros.onnx_session import open_session
from avemo_ros.sink.output_file import is_stream
from avemo_ros.untrusted import real
from avemo_ros.zoo.exportable import Submodule, as_tuple, folded_submodules, submodules_of
from avemo_ros.zoo.model_file import LoadedModel

FORMATS: Final = {"onnx": ".onnx", "torchscript": ".pt"}
"""Formats, and the ending of their files."""
TOLERANCE: Final = 1e-4
"""Most that an exported part's output may differ from ours."""
_SIZES: Final = ({"batch": 2, "frames": 3, "columns": 160},)
_OTHERS: Final = (
    {"batch": 1, "frames": 1, "columns": MIN_COLUMNS},
    {"batch": 3, "frames": 5, "columns": 301},
)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written and tried."""

    name: str
    path: Path
    difference: float
    """Largest difference of any output to ours, over inputs of several sizes."""


def export_beside(loaded: LoadedModel, weights: Path) -> list[Exported]:
    """Write the ONNX files of a live model where the robot looks for them: beside its weights.

    If the folder has an index that lists the model, it lists the files, too.

    Args:
        loaded: of these weights.
        weights: the .safetensors file.

    Raises:
        ConfigError: it is no live model, or a package that is needed is not installed.
        WeightsError: a file's answers differ from the network's.
    """
    if not isinstance(loaded.model, LiveModel):
        raise ConfigError("model", str(weights), "a live model with --beside")
    out = weights.with_suffix(FORMATS["onnx"])
    notes = source_notes(loaded, weights)
    written = export_model(loaded.model, "onnx", out, notes, force=True)
    list_onnx(weights)
    return written


def verify_beside(loaded: LoadedModel, weights: Path) -> float:
    """Hold the ONNX files beside the weights of a live model against its network.

    Args:
        loaded: of these weights.
        weights: the .safetensors file.

    Returns:
        Largest difference of any output.

    Raises:
        WeightsError: a file is missing, damaged, made from other weights, or answers
            differently.
    """
    OnnxNetwork(weights)
    worst = 0.0
    for submodule in folded_submodules(loaded.model):
        path = onnx_file(weights, submodule.name)
        gap = difference(submodule, runner(path, "onnx"))
        if not gap < TOLERANCE:
            raise WeightsError(
                f"ONNX file {path} gives results that differ by {gap:.2g}; allowed: below "
                f"{TOLERANCE:g}; {remedy(weights)}"
            )
        worst = max(worst, gap)
    return worst


def source_notes(loaded: LoadedModel, weights: Path) -> dict[str, str]:
    """What the ONNX files of a model tell of their origin, and how its logits are read."""
    reading: dict[str, str] = {}
    if not isinstance(loaded.model, LiveModel):
        reading = {
            "classes": json.dumps(loaded.model.classes),
            "temperature": repr(loaded.temperature),
        }
    return reading | {
        "format": FORMAT,
        "model_id": loaded.name,
        "emotions": json.dumps(EMOTIONS),
        "source_sha256": sha256(weights),
    }


def export_model(
    model: EmotionModel,
    form: str,
    out: Path,
    notes: Mapping[str, str] | None = None,
    *,
    force: bool = False,
) -> list[Exported]:
    """Write every part of a model, and hold the files against the network.

    Args:
        model: in any mode; not changed.
        form: 'onnx' or 'torchscript'.
        out: file to write; of a model with several parts NAME-PART.ENDING beside it.
        notes: metadata of ONNX files, see `source_notes`; to it come 'part', the name of the
            part, and 'digest', the SHA-256 of the file with 64 zeros in place of it.
        force: files that are there may be replaced.

    Returns:
        One entry for each file.

    Raises:
        ConfigError: the format is not known, the file's ending is another, a file is there, or
            a package that is needed is not installed.
        WeightsError: a file's answers differ from the network's.
    """
    if form not in FORMATS:
        raise ConfigError("format", form, " | ".join(FORMATS))
    if out.suffix != FORMATS[form]:
        raise ConfigError("out", str(out), f"a file that ends in {FORMATS[form]}")
    submodules = folded_submodules(model)
    named = [
        out.with_name(f"{out.stem}-{submodule.name}{out.suffix}") for submodule in submodules
    ]
    paths = [out] if len(submodules) == 1 else named
    for path in paths:
        if is_stream(path):
            raise ConfigError("out", str(path), "a file: it is read again to be checked")
        if path.exists() and not force:
            raise ConfigError("out", str(path), "a file that does not exist yet, or --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for submodule, path in zip(submodules, paths, strict=True):
        part = path.with_name(path.name + ".part")
        if form == "onnx":
            write_onnx(submodule, part, notes)
        else:
            write_torchscript(submodule, part)
        worst = difference(submodule, runner(part, form))
        if not worst < TOLERANCE:
            part.unlink()
            raise WeightsError(
                f"{form} of '{submodule.name}' gives results that differ by {worst:.2g}; "
                f"allowed: below {TOLERANCE:g}"
            )
        part.replace(real(path))
        written.append(Exported(submodule.name, path, worst))
    return written


def difference(submodule: Submodule, run: Callable[..., tuple[Tensor, ...]]) -> float:
    """Largest difference of outputs over inputs of several sizes."""
    worst = 0.0
    for seed, sizes in enumerate((*_SIZES, *_OTHERS)):
        given = submodule.example(sizes, seed)
        for ours, theirs in zip(submodule.answers(given), run(*given), strict=True):
            if ours.shape != theirs.shape:
                return float("inf")
            gap = (ours - theirs).abs().max().nan_to_num(nan=torch.inf)
            worst = max(worst, float(gap))
    return worst


def write_torchscript(submodule: Submodule, path: Path) -> None:
    """Write one part as TorchScript."""
    given = submodule.example(_SIZES[0])
    with warnings.catch_warnings():
        # torch.jit is no longer developed and says so; what it says of traced sizes is tested.
        warnings.simplefilter("ignore")
        with torch.inference_mode():
            traced = torch.jit.trace(submodule.module, given, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(torch.jit.freeze(traced), str(path))


def write_onnx(
    submodule: Submodule, path: Path, notes: Mapping[str, str] | None = None
) -> None:
    """Write one part as ONNX; `notes` as in `export_model`.

    Raises:
        ConfigError: a package that is needed is not installed.
    """
    _need("onnx", "onnxscript")
    dims = {
        "columns": torch.export.Dim("columns", min=MIN_COLUMNS, max=MAX_COLUMNS),
        "batch": torch.export.Dim("batch"),
        "frames": torch.export.Dim("frames"),
    }
    shapes = tuple(
        {axis: dims[part] for axis, part in enumerate(shape) if isinstance(part, str)}
        for shape in submodule.inputs.values()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            submodule.module,
            submodule.example(_SIZES[0]),
            dynamo=True,
            input_names=list(submodule.inputs),
            output_names=list(submodule.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    _halve(program.model.graph)
    # The exporter notes for every node where in the source it comes from, by paths.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*program.model.graph.inputs, *program.model.graph.initializers.values()):
        value.metadata_props.clear()
    program.model.graph.metadata_props.clear()
    program.model.metadata_props.clear()
    if notes:
        named = {**notes, "part": submodule.name, "digest": NO_DIGEST}
        program.model.metadata_props.update(named)
    program.save(str(path), external_data=False)
    if notes:
        path.write_bytes(sealed(path.read_bytes()))


_LEAST: Final = 1024
"""Smaller tensors are not worth a node."""


def _halve(graph: Any) -> None:
    """Store as float16 what loses nothing by it, as weights do that come from our own files.

    They are float32 again when the file is loaded: ONNX Runtime computes the casts once.

    Args:
        graph: an `onnxscript.ir.Graph`; changed in place.
    """
    from onnxscript import ir

    for name, value in list(graph.initializers.items()):
        whole = value.const_value.numpy()
        if whole.dtype != np.float32 or whole.size < _LEAST:
            continue
        with np.errstate(over="ignore"):
            half = whole.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), whole):
            continue
        stored = ir.Value(
            name=f"{name}_half",
            shape=value.shape,
            type=ir.TensorType(ir.DataType.FLOAT16),
            const_value=ir.tensor(half, name=f"{name}_half"),
        )
        cast = ir.node("Cast", [stored], {"to": ir.DataType.FLOAT})
        cast.outputs[0].shape, cast.outputs[0].type = value.shape, value.type
        ir.convenience.replace_all_uses_with(value, cast.outputs[0])
        del graph.initializers[name]
        graph.register_initializer(stored)
        graph.insert_before(graph[0], cast)


def runner(path: Path, form: str) -> Callable[..., tuple[Tensor, ...]]:
    """What runs a file of this format, on one thread."""
    if form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

        def scripted(*given: Tensor) -> tuple[Tensor, ...]:
            with torch.inference_mode():
                return as_tuple(module(*given))

        return scripted
    session = open_session(path)
    names = [one.name for one in session.get_inputs()]

    def ran(*given: Tensor) -> tuple[Tensor, ...]:
        fed = {name: one.numpy() for name, one in zip(names, given, strict=True)}
        return tuple(torch.from_numpy(np.asarray(one)) for one in session.run(None, fed))

    return ran


def _need(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(
            "format",
            "onnx",
            f"torchscript here: {', '.join(missing)} is not installed; "
            "pip install 'avemo_ros[train]'",
        )


_LIVE: Final = {"batch": 1, "frames": 30, "columns": 300}
"""Sizes of the live system: a window of 3 s."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Time of one part in one runtime, on one thread."""

    submodule: str
    runtime: str
    """PyTorch's 'float32' and 'bfloat16', 'torchscript' or 'onnxruntime'."""
    ms: float
    """Median of one call [ms of processor time]."""
    ratio: float
    """Median of its time divided by that of PyTorch in float32 in the same round."""


def benchmark(model: EmotionModel, folder: Path, rounds: int = 40) -> list[Speed]:
    """Time every part in every runtime, on one thread, in turns.

    bfloat16 is as the robot uses it; a part without convolutions has no such row.

    Args:
        model: not changed.
        folder: for files on the way.
        rounds: calls of each.

    Raises:
        ConfigError: a package that is needed is not installed.
    """
    ready = bn_folded(model)
    to_bfloat16(ready)
    with _one_thread():
        return [
            speed
            for submodule, lowered in zip(
                folded_submodules(model), submodules_of(ready), strict=True
            )
            for speed in _benchmark_submodule(submodule, lowered, folder, rounds)
        ]


def benchmark_robot(
    network: EmotionNet, rounds: int = 40, weights: Path | None = None
) -> list[Speed]:
    """Time the calls of the live estimator, on one thread, in turns.

    PyTorch in both precisions and, if given, the ONNX files.

    Args:
        network: of a live model; not changed.
        rounds: calls of each.
        weights: its file, with ONNX files beside it; None: PyTorch alone.
    """
    robots = {
        kind: Predictor.from_network(network, kind, ModelConfig(precision=kind))
        for kind in ("float32", "bfloat16")
    }
    if weights is not None:
        config = ModelConfig(weights=str(weights), runtime="onnxruntime")
        robots["onnxruntime"] = Predictor(config)
    chance = np.random.default_rng(0)
    crops = list(chance.integers(0, 256, (4, 96, 96), np.uint8))
    sound = chance.uniform(-90, -10, (_LIVE["columns"], BINS)).astype(np.float32)
    seen = chance.standard_normal((_LIVE["frames"], robots["float32"].face_width), np.float32)
    heard = robots["float32"].speech_evidence(sound)
    calls: dict[str, Callable[[Predictor], Any]] = {
        "embed 1 face": lambda robot: robot.embed_faces(crops[:1]),
        "embed 4 faces": lambda robot: robot.embed_faces(crops),
        "speech of 3 s": lambda robot: robot.speech_evidence(sound),
        "answer": lambda robot: robot.predict(seen, heard),
    }
    with _one_thread():
        return [
            speed
            for name, call in calls.items()
            for speed in _in_turns(
                name, {kind: partial(call, robot) for kind, robot in robots.items()}, rounds
            )
        ]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _benchmark_submodule(
    submodule: Submodule, lowered: Submodule, folder: Path, rounds: int
) -> list[Speed]:
    given = submodule.example(_LIVE)
    script, onnx = folder / "bench.pt", folder / "bench.onnx"
    write_torchscript(submodule, script)
    write_onnx(submodule, onnx)
    runs: dict[str, Callable[[], Any]] = {"float32": partial(submodule.answers, given)}
    # Images and spectrograms are what goes through convolutions.
    if any(len(shape) >= 4 for shape in submodule.inputs.values()):
        runs["bfloat16"] = partial(lowered.answers, given)
    runs["torchscript"] = partial(runner(script, "torchscript"), *given)
    runs["onnxruntime"] = partial(runner(onnx, "onnx"), *given)
    return _in_turns(submodule.name, runs, rounds)


def _in_turns(
    submodule: str, runs: Mapping[str, Callable[[], Any]], rounds: int
) -> list[Speed]:
    """Time calls; the first of them is what the others are held against."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(-5, rounds):
        # Each starts a round as often as the others: what runs first finds cold caches.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            # Of this thread, not of the clock: other programs shall not count.
            start = time.thread_time()
            runs[name]()
            if number >= 0:
                times[name].append(1e3 * (time.thread_time() - start))
    return [
        Speed(
            submodule,
            name,
            statistics.median(taken),
            statistics.median(
                one / first for one, first in zip(taken, times[names[0]], strict=True)
            ),
        )
        for name, taken in times.items()
    ]
