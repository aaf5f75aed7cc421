"""Pools of items to draw from, and how much each item counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avemo_ros.data.item import Item


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Items that can be drawn."""

    members: NDArray[np.int64]
    weights: NDArray[np.float64]
    """Chance of each, relative to the other ones."""

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        members: NDArray[np.int64],
        shares: dict[str, float],
        balanced: bool,
    ) -> Pool:
        """Data sets by their shares; within one all items, or all classes, alike."""
        sets = np.array([items[i].dataset for i in members])
        labels = np.array([items[i].class_index for i in members])
        weights = np.zeros(len(members))
        for name in sorted(set(sets.tolist())):
            of_set = sets == name
            share = shares.get(name, 1.0)
            if not balanced:
                weights[of_set] = share / of_set.sum()
                continue
            present = np.unique(labels[of_set])
            for label in present:
                rows = of_set & (labels == label)
                weights[rows] = share / len(present) / rows.sum()
        return cls(members, weights)

    def draw(self, count: int, common: torch.Generator) -> NDArray[np.int64]:
        """Indices of items: each once before any comes again where all are alike frequent."""
        if np.allclose(self.weights, self.weights[0]):
            rounds = math.ceil(count / len(self.members))
            order = [torch.randperm(len(self.members), generator=common) for _ in range(rounds)]
            picked = torch.cat(order)[:count]
        else:
            weights = torch.from_numpy(self.weights)
            picked = torch.multinomial(weights, count, replacement=True, generator=common)
        members: NDArray[np.int64] = self.members[picked.numpy()]
        return members


def class_weights(items: Sequence[Item], pool: Pool) -> NDArray[np.float64]:
    """(N,) weights in the loss by which the classes of a set count alike, 1 on average."""
    result = np.ones(len(items))
    groups: dict[tuple[str, int], list[int]] = {}
    for member in pool.members.tolist():
        item = items[member]
        groups.setdefault((item.dataset, item.class_index), []).append(member)
    for name in {name for name, _ in groups}:
        sizes = {label: len(rows) for (of, label), rows in groups.items() if of == name}
        total = sum(sizes.values())
        for label, size in sizes.items():
            result[groups[name, label]] = total / (len(sizes) * size)
    return result
