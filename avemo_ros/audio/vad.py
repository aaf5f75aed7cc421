"""Speech probability by Silero VAD, from the network weights in its PyPI package.

The 16 kHz network (https://github.com/snakers4/silero-vad, version 6) is small: a DFT written
as a convolution, four convolutions and an LSTM cell.  It runs here in NumPy: that needs no
PyTorch in the process that listens, does not depend on how many threads PyTorch has, and the
same sound gives the same figures.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from avemo_ros.audio.frames import frames
from avemo_ros.errors import WeightsError

STEP: Final = 512
"""Samples from one probability to the next (32 ms at 16 kHz)."""
CONTEXT: Final = 64
"""Samples before the step that the network sees as well."""
_PAD: Final = 64
_DFT: Final = 256
_DFT_HOP: Final = 128
_UNITS: Final = 128
_STRIDES: Final = (1, 2, 2, 1)
_FILE: Final = "silero_vad_16k.safetensors"

Array = NDArray[np.float32]


class _Network(NamedTuple):
    basis: Array
    """(256, 258), real and imaginary parts of 129 bins."""
    convolutions: tuple[tuple[Array, Array], ...]
    """(3 * inputs, outputs) and (outputs,)."""
    gates: Array
    """(inputs + units, 4 * units)."""
    gate_bias: Array
    last: Array
    last_bias: np.float32


class SpeechDetector:
    """Probability of speech for one step of sound after the other."""

    def __init__(self) -> None:
        """Load the network (once per process).

        Raises:
            WeightsError: the package silero-vad is not installed or not of a known kind.
        """
        self._network = _load()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._hidden: Array = np.zeros(_UNITS, np.float32)
        self._cell: Array = np.zeros(_UNITS, np.float32)
        self._context: Array = np.zeros(CONTEXT, np.float32)

    def push(self, samples: Array) -> float:
        """Probability that there is speech in this step.

        Args:
            samples: (512,) 16 kHz mono, full scale -1 to 1, following the last step.
        """
        network = self._network
        seen = np.concatenate((self._context, samples, samples[-2 : -2 - _PAD : -1]))
        self._context = samples[-CONTEXT:].copy()
        # Overlapping rows must be copied, else NumPy multiplies them without BLAS.
        spectrum = np.ascontiguousarray(frames(seen, _DFT, _DFT_HOP)) @ network.basis
        half = spectrum.shape[1] // 2
        layer = np.sqrt(spectrum[:, :half] ** 2 + spectrum[:, half:] ** 2)
        for (kernel, bias), stride in zip(network.convolutions, _STRIDES, strict=True):
            layer = np.maximum(_convolve(layer, kernel, stride) + bias, 0.0)
        gates = np.concatenate((layer[0], self._hidden)) @ network.gates + network.gate_bias
        let_in, keep, candidate, let_out = gates.reshape(4, _UNITS)
        self._cell = _sigmoid(keep) * self._cell + _sigmoid(let_in) * np.tanh(candidate)
        self._hidden = _sigmoid(let_out) * np.tanh(self._cell)
        logit = np.maximum(self._hidden, 0.0) @ network.last + network.last_bias
        return float(_sigmoid(logit))


def _convolve(layer: Array, kernel: Array, stride: int) -> Array:
    """Convolution over time, width 3, one zero on each side: (time, inputs) to outputs."""
    time, inputs = layer.shape
    padded = np.zeros((time + 2, inputs), np.float32)
    padded[1:-1] = layer
    steps = (time - 1) // stride + 1
    picked = [padded[k : k + stride * (steps - 1) + 1 : stride] for k in range(3)]
    return np.asarray(np.concatenate(picked, axis=1) @ kernel, np.float32)


def _sigmoid(value: Array) -> Array:
    # By tanh, which cannot overflow.
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * value), np.float32)


@cache
def _load() -> _Network:
    # Not imported: `import silero_vad` loads PyTorch and sets its number of threads.
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            "the package 'silero-vad', which holds the speech detector's weights, is not "
            "installed; pip install --no-deps silero-vad"
        )
    path = Path(next(iter(spec.submodule_search_locations)), "data", _FILE)
    try:
        tensors = load_file(path)
        convolutions = tuple(
            (_flat_kernel(tensors[f"conv{k}.weight"]), tensors[f"conv{k}.bias"])
            for k in (1, 2, 3, 4)
        )
        gates = [tensors["lstm_cell.weight_ih"], tensors["lstm_cell.weight_hh"]]
        return _Network(
            np.ascontiguousarray(tensors["stft_conv.weight"][:, 0, :].T),
            convolutions,
            np.ascontiguousarray(np.concatenate(gates, axis=1).T),
            tensors["lstm_cell.bias_ih"] + tensors["lstm_cell.bias_hh"],
            tensors["final_conv.weight"].reshape(-1),
            tensors["final_conv.bias"][0],
        )
    except Exception as error:
        raise WeightsError(
            f"the speech detector's weights {path.name} in the package 'silero-vad' cannot be "
            f"read ({error}); pip install --no-deps 'silero-vad>=6.2.3,<7'"
        ) from error


def _flat_kernel(weight: Array) -> Array:
    """(outputs, inputs, 3) as a matrix for `_convolve`."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight)))
