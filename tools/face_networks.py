"""Convert MediaPipe's face networks to ONNX, for models/: see models/face-networks.md.

    pip install tf2onnx tensorflow-cpu ai-edge-litert onnx onnxruntime   # for this tool only
    python tools/face_networks.py TASK WHEEL [OUT]

TASK is MediaPipe's face_landmarker.task, WHEEL the wheel of mediapipe 0.10.21.  OUT (models/)
gets the networks and their SHA-256 in its index.json.  For each, the largest difference between
LiteRT and ONNX Runtime over random images is printed, over the largest value there.

What changes on the way: weights that are stored sparse become dense; PReLU, which keeps ONNX
Runtime from its fast layout and makes a mesh three times slower, becomes two scalings and a
ReLU; images are taken as bytes.  Weights stay float16 in the file, as they are in MediaPipe's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import helper, numpy_helper
from onnx.compose import merge_models

_OPSET: Final = 17
_IR: Final = 8
"""Of ONNX 1.12; what is newer is refused by older releases of ONNX Runtime."""
_HALF_FROM: Final = 64
"""Smaller constants stay float32; they take no space."""


@dataclass(frozen=True)
class _Source:
    """One network in MediaPipe's files."""

    name: str
    """Of the file in models/."""
    member: str
    """Of the wheel, or of the task where it is there."""
    outputs: tuple[str, ...]
    """What is kept, by the names that avemo_ros gives them, in MediaPipe's order."""
    span: tuple[float, float] | None
    """Values that black and white become; None: the input is no image."""


_SOURCES: Final = (
    _Source("blazeface-short", "face_detector.tflite", ("boxes", "scores"), (-1, 1)),
    _Source(
        "blazeface-full",
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        ("boxes", "scores"),
        (-1, 1),
    ),
    _Source(
        "facemesh-468",
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        ("points", "presence"),
        (0, 1),
    ),
    _Source("facemesh-478", "face_landmarks_detector.tflite", ("points", "presence"), (0, 1)),
    _Source("face-blendshapes", "face_blendshapes.tflite", ("blendshapes",), None),
)


def main() -> None:
    """Convert all."""
    files = [ZipFile(path) for path in sys.argv[1:3]]
    out = Path(sys.argv[3] if len(sys.argv) > 3 else "models")
    digests = {}
    for source in _SOURCES:
        file = next(one for one in files if source.member in one.namelist())
        content = file.read(source.member)
        with tempfile.TemporaryDirectory() as folder:
            model = _converted(_dense(content), Path(folder))
        _without_prelu(model)
        model = _finished(model, source)
        path = out / f"{source.name}.onnx"
        onnx.save(model, path)
        digests[path.name] = sha256(path.read_bytes()).hexdigest()
        print(path, path.stat().st_size, "bytes,", _differ(content, path, source))
    index = out / "index.json"
    listed = json.loads(index.read_text()) if index.exists() else {}
    listed["networks"] = listed.get("networks", {}) | digests
    index.write_text(json.dumps(listed, indent=2) + "\n")


def _dense(content: bytes) -> bytes:
    """The network with dense weights in place of sparse ones (rows of CSR in float16)."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    renamed = {}
    for tensor in graph.tensors:
        if tensor.sparsity is None:
            continue
        assert tensor.type == schema.TensorType.FLOAT16
        rows = tensor.sparsity.dimMetadata[-1]
        starts, columns = rows.arraySegments.values, rows.arrayIndices.values
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float16)
        full = np.zeros((len(starts) - 1, tensor.shape[-1]), np.float16)
        for row, (start, stop) in enumerate(pairwise(starts)):
            full[row, columns[start:stop]] = values[start:stop]
        model.buffers[tensor.buffer].data = np.frombuffer(full.tobytes(), np.uint8)
        tensor.sparsity = None
    kept = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.DENSIFY:
            renamed[operator.outputs[0]] = operator.inputs[0]
        else:
            kept.append(operator)
    for operator in kept:
        operator.inputs = [renamed.get(one, one) for one in operator.inputs]
    graph.operators = kept
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _converted(content: bytes, folder: Path) -> Any:
    """By tf2onnx, which loads all of TensorFlow and so runs in a process of its own."""
    source, target = folder / "network.tflite", folder / "network.onnx"
    source.write_bytes(content)
    command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", str(source)]
    command += ["--output", str(target), "--opset", str(_OPSET)]
    subprocess.run(command, check=True, capture_output=True)
    return onnx.load(target)


def _without_prelu(model: Any) -> None:
    """max(x, 0) + a min(x, 0) as a x + (1 - a) max(x, 0), in convolutions of one pixel."""
    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    nodes = []

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (given, slope), (answer,) = node.input, node.output
        slopes = constants[slope].astype(np.float32).reshape(-1, 1, 1, 1)
        some = {"group": len(slopes), "kernel_shape": [1, 1]}
        nodes += [
            helper.make_node("Relu", [given], [f"{answer}/positive"]),
            helper.make_node(
                "Conv", [given, constant(f"{answer}/a", slopes)], [f"{answer}/all"], **some
            ),
            helper.make_node(
                "Conv",
                [f"{answer}/positive", constant(f"{answer}/b", 1 - slopes)],
                [f"{answer}/rest"],
                **some,
            ),
            helper.make_node("Add", [f"{answer}/rest", f"{answer}/all"], [answer]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _finished(model: Any, source: _Source) -> Any:
    """With bytes for an image, with our names, without what is not used, weights float16."""
    given = model.graph.input[0].name
    # The first is the number of images, which some files leave open.
    shape = [one.dim_value for one in model.graph.input[0].type.tensor_type.shape.dim]
    shape[0] = 1
    if source.span is not None:
        low, high = source.span
        before = helper.make_graph(
            [
                helper.make_node("Cast", ["image"], ["numbers"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
                helper.make_node("Add", ["scaled", "low"], ["pixels"]),
            ],
            "bytes",
            [helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, shape)],
            [helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
            [
                numpy_helper.from_array(np.float32((high - low) / 255), "scale"),
                numpy_helper.from_array(np.float32(low), "low"),
            ],
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        head = helper.make_model(before, opset_imports=opsets, ir_version=_IR)
        model.ir_version = _IR
        del model.opset_import[1:]
        model = merge_models(head, model, io_map=[("pixels", given)])
    kept = model.graph.output[: len(source.outputs)]
    names = {one.name: new for one, new in zip(kept, source.outputs, strict=True)}
    if source.span is None:
        names[given] = "points"
    nodes = _needed(model.graph.node, [one.name for one in kept])
    for node in nodes:
        node.input[:] = [names.get(one, one) for one in node.input]
        node.output[:] = [names.get(one, one) for one in node.output]
    used = {one for node in nodes for one in node.input}
    casts, constants = [], []
    for one in model.graph.initializer:
        if one.name not in used:
            continue
        value = numpy_helper.to_array(one)
        half = value.astype(np.float16) if value.dtype == np.float32 else value
        if half is not value and value.size >= _HALF_FROM and (half == value).all():
            constants.append(numpy_helper.from_array(half, f"{one.name}/half"))
            float32 = onnx.TensorProto.FLOAT
            casts.append(helper.make_node("Cast", [f"{one.name}/half"], [one.name], to=float32))
        else:
            constants.append(one)
    for value in (*model.graph.input, *kept):
        value.name = names.get(value.name, value.name)
    graph = helper.make_graph([*casts, *nodes], source.name, model.graph.input, kept, constants)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    made.producer_name = "avemo_ros tools/face_networks.py"
    about = {"source": Path(source.member).name, "license": "Apache-2.0, MediaPipe Authors"}
    helper.set_model_props(made, about)
    onnx.checker.check_model(made, full_check=True)
    return made


def _needed(nodes: Any, wanted: list[str]) -> list[Any]:
    """The nodes that the wanted values depend on, in their order."""
    needed, kept = set(wanted), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]


def _differ(content: bytes, path: Path, source: _Source) -> str:
    """How far ONNX Runtime is from LiteRT."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    farthest, largest = 0.0, 0.0
    for _ in range(20):
        # Smooth, as images are; points as those of a face of some hundred pixels.
        coarse = random.random((1, 8, 8, 3))
        image = np.kron(coarse, np.ones((1, given["shape"][1] // 8, given["shape"][2] // 8, 1)))
        pixels = np.asarray(np.round(image * 255), np.uint8)
        if source.span is None:
            raw = ours = random.normal(300, 60, given["shape"]).astype(np.float32)
        else:
            low, high = source.span
            raw, ours = (low + (high - low) / 255 * pixels).astype(np.float32), pixels
        interpreter.set_tensor(given["index"], raw)
        interpreter.invoke()
        answers = session.run(None, {session.get_inputs()[0].name: ours})
        for one, theirs in zip(answers, interpreter.get_output_details(), strict=False):
            wanted = interpreter.get_tensor(theirs["index"])
            farthest = max(farthest, float(np.abs(one.ravel() - wanted.ravel()).max()))
            largest = max(largest, float(np.abs(wanted).max()))
    return f"differs by at most {farthest:.2g} of {largest:.3g}"


if __name__ == "__main__":
    main()
