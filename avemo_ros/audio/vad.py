"""Speech probability by Silero VAD: the ONNX model of its PyPI package, in ONNX Runtime.

https://github.com/snakers4/silero-vad, version 6.  The package itself is not imported: that
would load PyTorch.  The model runs on one thread, so the same sound gives the same figures
however many threads the process has.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from avemo_ros.errors import WeightsError

STEP: Final = 512
"""Samples from one probability to the next (32 ms at 16 kHz)."""
CONTEXT: Final = 64
"""Samples before the step that the network sees as well."""
_STATE: Final = (2, 1, 128)
_FILE: Final = "silero_vad_16k_op15.onnx"
"""The branch for 16 kHz of `silero_vad.onnx`: the same figures, in half the memory."""
_RATE: Final = np.array(16_000, np.int64)
_ERRORS_ONLY: Final = 3

Array = NDArray[np.float32]


class SpeechDetector:
    """Probability of speech for one step of sound after the other."""

    def __init__(self) -> None:
        """Load the network (once per process).

        Raises:
            WeightsError: the package silero-vad is not installed or not of a known kind.
        """
        self._session = _load()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state: Array = np.zeros(_STATE, np.float32)
        self._context: Array = np.zeros(CONTEXT, np.float32)

    def push(self, samples: Array) -> float:
        """Probability that there is speech in this step.

        Args:
            samples: (512,) 16 kHz mono, full scale -1 to 1, following the last step.
        """
        seen = np.concatenate((self._context, samples))[None]
        inputs = {"input": seen, "state": self._state, "sr": _RATE}
        probability, self._state = self._session.run(None, inputs)
        self._context = seen[0, -CONTEXT:].copy()
        return float(probability[0, 0])


@cache
def _load() -> Any:
    """The session; it keeps no state, so all detectors of a process share it."""
    # Not imported: `import silero_vad` loads PyTorch and sets its number of threads.
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            "the package 'silero-vad', which holds the speech detector's weights, is not "
            "installed; pip install --no-deps silero-vad"
        )
    path = Path(next(iter(spec.submodule_search_locations)), "data", _FILE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The graph is small and steps come every 32 ms: nothing is gained by waiting busily or by
    # keeping memory for the next step.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        session.run(
            None,
            {
                "input": np.zeros((1, CONTEXT + STEP), np.float32),
                "state": np.zeros(_STATE, np.float32),
                "sr": _RATE,
            },
        )
    # ONNX Runtime's exceptions have no common class.
    except Exception as error:
        raise WeightsError(
            f"the speech detector's weights {path.name} in the package 'silero-vad' cannot be "
            f"read ({error}); pip install --no-deps 'silero-vad>=6.2.3,<7'"
        ) from error
    return session
