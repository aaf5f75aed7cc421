"""MediaPipe's graphs without its ready-made solutions and tasks.

`import mediapipe` loads those, too, and with them matplotlib and more: a second and 65 MB for
what no robot uses.  So the package is entered here without running its `__init__`; solutions
and tasks are loaded when somebody in the process asks for them after all.
"""

# ruff: noqa: E402 - nothing of MediaPipe may be imported before it was entered

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any, Final

_LATE: Final = {"solutions": "mediapipe.python.solutions", "tasks": "mediapipe.tasks.python"}


def _enter() -> None:
    """Make the package known without having run it."""
    spec = importlib.util.find_spec("mediapipe")
    if spec is None:
        raise ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe")
    package = importlib.util.module_from_spec(spec)
    package.__dict__["__getattr__"] = _late
    sys.modules["mediapipe"] = package


def _late(name: str) -> Any:
    """What the package itself would offer under this name."""
    if name in _LATE:
        return importlib.import_module(_LATE[name])
    return getattr(importlib.import_module("mediapipe.python"), name)


# MediaPipe's C++ side reads these once.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "mediapipe" not in sys.modules:
    _enter()

import mediapipe
from google.protobuf import text_format

# These register the messages that our graphs name or give.
from mediapipe.calculators.core import split_vector_calculator_pb2  # noqa: F401
from mediapipe.calculators.tensor import (
    image_to_tensor_calculator_pb2,  # noqa: F401
    inference_calculator_pb2,  # noqa: F401
    tensor_converter_calculator_pb2,  # noqa: F401
    tensors_to_detections_calculator_pb2,  # noqa: F401
    tensors_to_floats_calculator_pb2,  # noqa: F401
)
from mediapipe.calculators.tflite import ssd_anchors_calculator_pb2  # noqa: F401
from mediapipe.calculators.util import non_max_suppression_calculator_pb2  # noqa: F401
from mediapipe.framework import calculator_pb2
from mediapipe.framework.formats import detection_pb2  # noqa: F401
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import resource_util

__all__ = [
    "calculator_pb2",
    "mediapipe",
    "packet_creator",
    "packet_getter",
    "resource_util",
    "text_format",
]
