"""Networks for other runtimes: ONNX and TorchScript, part by part, and how fast each is.

A model is exported as the parts that a program calls one by one, so that embeddings of faces
and the vector of a window of speech can be used again:

- a live model: `face` (pictures to embeddings), `speech` (spectrogram to vector and
  log-probabilities), `face-answer` (embeddings to log-probabilities) and `fusion` (vector and
  embeddings to log-probabilities and the face's share);
- a fusion: `audio` and `visual` (input to vector, log-probabilities and segments, if the fusion
  has them) and `fusion` (both of these, and which is there, to logits);
- a model of one modality: one part, input to logits.

Input is what `preprocess.py` makes.  Log-probabilities of a live model are calibrated; logits
of others are to be divided by the temperature of the model file.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from avemo_ros.audio.chunk import BINS
from avemo_ros.config import ModelConfig
from avemo_ros.errors import ConfigError, WeightsError
from avemo_ros.model.batch import EmotionModel
from avemo_ros.model.branch import collapse
from avemo_ros.model.folding import folded, to_bfloat16
from avemo_ros.model.fused import Evidence, FusedModel
from avemo_ros.model.live import LiveModel
from avemo_ros.model.network import EmotionNet
from avemo_ros.model.predictor import Predictor
from avemo_ros.model.preprocess import MAX_COLUMNS, MIN_COLUMNS
from avemo_ros.model.unimodal import Encoded, Unimodal
from avemo_ros.model.units_mlp import UNITS

FORMATS: Final = {"onnx": ".onnx", "torchscript": ".pt"}
"""Formats, and the ending of their files."""
TOLERANCE: Final = 1e-4
"""Most that an exported part's output may differ from ours."""
_SIZES: Final = ({"batch": 2, "frames": 3, "columns": 160},)
_OTHERS: Final = (
    {"batch": 1, "frames": 1, "columns": MIN_COLUMNS},
    {"batch": 3, "frames": 5, "columns": 301},
)
_LIVE: Final = {"batch": 1, "frames": 30, "columns": 300}
"""Sizes of the live system: a window of 3 s."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a model that is a file of its own."""

    name: str
    module: nn.Module
    """Tensors to tensors, ready for inference."""
    inputs: Mapping[str, tuple[int | str, ...]]
    """Shape of each input; a word is a size that may change."""
    outputs: tuple[str, ...]
    bools: frozenset[str] = field(default_factory=frozenset)
    """Inputs of true and false."""

    def example(self, sizes: Mapping[str, int], seed: int = 0) -> tuple[Tensor, ...]:
        """Random input of these sizes."""
        chance = torch.Generator().manual_seed(seed)
        made = []
        for name, shape in self.inputs.items():
            whole = [sizes[part] if isinstance(part, str) else part for part in shape]
            if name in self.bools:
                made.append(torch.rand(whole, generator=chance) > 0.3)
            else:
                made.append(torch.randn(whole, generator=chance))
        return tuple(made)

    def answers(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the network itself makes of input."""
        with torch.inference_mode():
            return _several(self.module(*given))


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written and tried."""

    name: str
    path: Path
    difference: float
    """Largest difference of any output to ours, over inputs of several sizes."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Time of one part in one runtime, on one thread."""

    piece: str
    runtime: str
    """PyTorch's 'float32' and 'bfloat16', 'torchscript' or 'onnxruntime'."""
    ms: float
    """Median of one call [ms of processor time]."""
    ratio: float
    """Median of its time divided by that of PyTorch in float32 in the same round."""


def pieces(model: EmotionModel) -> tuple[Piece, ...]:
    """The parts of a model that are exported; batch norm is folded into convolutions."""
    return _pieces(folded(model))


def _pieces(ready: EmotionModel) -> tuple[Piece, ...]:
    if isinstance(ready, LiveModel):
        made = _live_pieces(ready.network)
    elif isinstance(ready, FusedModel):
        made = _fused_pieces(ready)
    else:
        assert isinstance(ready, Unimodal)
        shapes = {_INPUT[ready.part]: _shape(ready)}
        made = (Piece(ready.part, _Alone(ready), shapes, ("logits",)),)
    for piece in made:
        piece.module.eval()
    return made


def export_model(model: EmotionModel, form: str, out: Path) -> list[Exported]:
    """Write every part of a model, and hold the files against the network.

    Args:
        model: in any mode; not changed.
        form: 'onnx' or 'torchscript'.
        out: file to write; of a model with several parts NAME-PART.ENDING beside it.

    Returns:
        One entry for each file.

    Raises:
        ConfigError: the format is not known, the file's ending is another, or a package that is
            needed is not installed.
        WeightsError: a file's answers differ from the network's.
    """
    if form not in FORMATS:
        raise ConfigError("format", form, " | ".join(FORMATS))
    if out.suffix != FORMATS[form]:
        raise ConfigError("out", str(out), f"a file that ends in {FORMATS[form]}")
    made = pieces(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for piece in made:
        path = out if len(made) == 1 else out.with_name(f"{out.stem}-{piece.name}{out.suffix}")
        part = path.with_name(path.name + ".part")
        _write_onnx(piece, part) if form == "onnx" else _write_torchscript(piece, part)
        worst = difference(piece, _runner(part, form))
        if not worst < TOLERANCE:
            part.unlink()
            raise WeightsError(
                f"{form} of '{piece.name}' answers differently by {worst:.2g}; allowed: below "
                f"{TOLERANCE:g}"
            )
        part.replace(path)
        written.append(Exported(piece.name, path, worst))
    return written


def difference(piece: Piece, run: Callable[..., tuple[Tensor, ...]]) -> float:
    """Largest difference of outputs over inputs of several sizes."""
    worst = 0.0
    for seed, sizes in enumerate((*_SIZES, *_OTHERS)):
        given = piece.example(sizes, seed)
        for ours, theirs in zip(piece.answers(given), run(*given), strict=True):
            if ours.shape != theirs.shape:
                return float("inf")
            gap = (ours - theirs).abs().max().nan_to_num(nan=torch.inf)
            worst = max(worst, float(gap))
    return worst


def bench(model: EmotionModel, folder: Path, rounds: int = 40) -> list[Speed]:
    """Time every part in every runtime, on one thread, in turns.

    bfloat16 is as the robot uses it; a part without convolutions has no such row.

    Args:
        model: not changed.
        folder: for files on the way.
        rounds: calls of each.

    Raises:
        ConfigError: a package that is needed is not installed.
    """
    ready = folded(model)
    to_bfloat16(ready)
    with _one_thread():
        return [
            speed
            for piece, lowered in zip(pieces(model), _pieces(ready), strict=True)
            for speed in _bench_piece(piece, lowered, folder, rounds)
        ]


def bench_robot(network: EmotionNet, rounds: int = 40) -> list[Speed]:
    """Time the calls of the live estimator in both precisions, on one thread, in turns.

    Args:
        network: of a live model; not changed.
        rounds: calls of each.
    """
    kinds = ("float32", "bfloat16")
    robots = {
        kind: Predictor.from_network(network, kind, ModelConfig(precision=kind))
        for kind in kinds
    }
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
                name, {kind: partial(call, robots[kind]) for kind in kinds}, rounds
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


def _bench_piece(piece: Piece, lowered: Piece, folder: Path, rounds: int) -> list[Speed]:
    given = piece.example(_LIVE)
    script, onnx = folder / "bench.pt", folder / "bench.onnx"
    _write_torchscript(piece, script)
    _write_onnx(piece, onnx)
    runs: dict[str, Callable[[], Any]] = {"float32": partial(piece.answers, given)}
    # Pictures and spectrograms are what goes through convolutions.
    if any(len(shape) >= 4 for shape in piece.inputs.values()):
        runs["bfloat16"] = partial(lowered.answers, given)
    runs["torchscript"] = partial(_runner(script, "torchscript"), *given)
    runs["onnxruntime"] = partial(_runner(onnx, "onnx"), *given)
    return _in_turns(piece.name, runs, rounds)


def _in_turns(piece: str, runs: Mapping[str, Callable[[], Any]], rounds: int) -> list[Speed]:
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
            piece,
            name,
            statistics.median(taken),
            statistics.median(
                one / first for one, first in zip(taken, times[names[0]], strict=True)
            ),
        )
        for name, taken in times.items()
    ]


def _write_torchscript(piece: Piece, path: Path) -> None:
    given = piece.example(_SIZES[0])
    with warnings.catch_warnings():
        # torch.jit is no longer developed and says so; what it says of traced sizes is tested.
        warnings.simplefilter("ignore")
        with torch.inference_mode():
            traced = torch.jit.trace(piece.module, given, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(torch.jit.freeze(traced), str(path))


def _write_onnx(piece: Piece, path: Path) -> None:
    _need("onnx", "onnxscript")
    dims = {
        "columns": torch.export.Dim("columns", min=MIN_COLUMNS, max=MAX_COLUMNS),
        "batch": torch.export.Dim("batch"),
        "frames": torch.export.Dim("frames"),
    }
    shapes = tuple(
        {axis: dims[part] for axis, part in enumerate(shape) if isinstance(part, str)}
        for shape in piece.inputs.values()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            piece.module,
            piece.example(_SIZES[0]),
            dynamo=True,
            input_names=list(piece.inputs),
            output_names=list(piece.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)


def _runner(path: Path, form: str) -> Callable[..., tuple[Tensor, ...]]:
    """Runs a file on one thread."""
    if form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

        def scripted(*given: Tensor) -> tuple[Tensor, ...]:
            with torch.inference_mode():
                return _several(module(*given))

        return scripted
    _need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
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


def _several(outputs: Tensor | Iterable[Tensor]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


class _Alone(nn.Module):
    """A model of one modality: input to logits."""

    def __init__(self, part: Unimodal) -> None:
        super().__init__()
        self.part = part

    def forward(self, given: Tensor) -> Tensor:
        return self.part.classify(self.part.read(given)[0])


class _Half(nn.Module):
    """One part of a fusion: input to vector, log-probabilities and segments."""

    def __init__(self, part: Unimodal, classes: int, segments: int) -> None:
        super().__init__()
        self.part = part
        self.collapses = len(part.classes) != classes
        self.segments = segments

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        vector, parts = self.part.read(given, self.segments)
        logits = self.part.classify(vector)
        log = torch.log_softmax(collapse(logits) if self.collapses else logits, 1)
        return (vector, log) if parts is None else (vector, log, parts)


class _Join(nn.Module):
    """What joins the parts of a fusion."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(
        self,
        audio: Tensor,
        visual: Tensor,
        audio_log: Tensor,
        visual_log: Tensor,
        there: Tensor,
        audio_segments: Tensor | None = None,
        visual_segments: Tensor | None = None,
    ) -> Tensor:
        said, seen = there[:, :1], there[:, 1:]
        evidence = Evidence(
            Encoded(audio * said, there[:, 0], audio_segments),
            Encoded(visual * seen, there[:, 1], visual_segments),
            audio_log * said,
            visual_log * seen,
        )
        logits: Tensor = self.fusion(evidence).logits * (said | seen)
        return logits


class _LiveSpeech(nn.Module):
    """Spectrogram to vector and log-probabilities."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        vector = self.network.listen(spectrogram)
        return vector, self.network.speech_log(vector)


class _LiveFace(nn.Module):
    """Embeddings to log-probabilities."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.network.face_log(self.network.face.pool(embeddings)[0])


class _LiveFusion(nn.Module):
    """Vector of speech and embeddings to log-probabilities and the face's share."""

    def __init__(self, network: EmotionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, speech: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.fuse(speech, self.network.face.pool(embeddings)[0])


def _live_pieces(network: EmotionNet) -> tuple[Piece, ...]:
    cnn = network.face.cnn
    assert isinstance(cnn, nn.Module)
    embeddings = ("batch", "frames", network.face.cnn.width)
    spectrogram = ("batch", 1, "columns", BINS)
    log = "log_probabilities"
    return (
        Piece("face", cnn, {"pictures": ("batch", 1, cnn.side, cnn.side)}, ("embeddings",)),
        Piece(
            "speech", _LiveSpeech(network), {"spectrogram": spectrogram}, ("speech_vector", log)
        ),
        Piece("face-answer", _LiveFace(network), {"embeddings": embeddings}, (log,)),
        Piece(
            "fusion",
            _LiveFusion(network),
            {"speech_vector": ("batch", network.heard_width), "embeddings": embeddings},
            (log, "face_share"),
        ),
    )


def _fused_pieces(model: FusedModel) -> tuple[Piece, ...]:
    made = []
    sides: dict[str, tuple[int | str, ...]] = {}
    for name, part in (("audio", model.audio), ("visual", model.visual)):
        outputs = [f"{name}_vector", f"{name}_log"]
        if model.segments:
            outputs.append(f"{name}_segments")
            sides[f"{name}_segments"] = ("batch", model.segments, part.segment_width)
        half = _Half(part, len(model.classes), model.segments)
        made.append(Piece(name, half, {_INPUT[part.part]: _shape(part)}, tuple(outputs)))
    classes = len(model.classes)
    inputs: dict[str, tuple[int | str, ...]] = {
        "audio_vector": ("batch", model.audio.width),
        "visual_vector": ("batch", model.visual.width),
        "audio_log": ("batch", classes),
        "visual_log": ("batch", classes),
        "there": ("batch", 2),
        **sides,
    }
    made.append(Piece("fusion", _Join(model.fusion), inputs, ("logits",), frozenset({"there"})))
    return tuple(made)


_INPUT: Final = {"face": "faces", "audio": "spectrogram", "au": "units"}


def _shape(part: Unimodal) -> tuple[int | str, ...]:
    shapes: dict[str, tuple[int | str, ...]] = {
        "face": ("batch", "frames", 1, part.face_side, part.face_side),
        "audio": ("batch", 1, "columns", BINS),
        "au": ("batch", UNITS),
    }
    return shapes[part.part]
