"""The assignment of faces, held against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from avemo_ros.vision.tracker import assign


def of_scipy(costs: np.ndarray) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(costs)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize("rows", range(1, 7))
@pytest.mark.parametrize("columns", range(1, 7))
def test_it_pairs_as_scipy_does(rows: int, columns: int) -> None:
    generator = np.random.default_rng(10 * rows + columns)
    for _ in range(50):
        costs = generator.uniform(-1, 2, (rows, columns))
        assert assign(costs.tolist()) == of_scipy(costs)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (6, 6)])
def test_ties_fall_as_scipy_s_do(shape: tuple[int, int]) -> None:
    # Few different values, as those of faces that do not go together are all alike.
    generator = np.random.default_rng(0)
    for _ in range(200):
        costs = generator.choice([0.0, 0.5, 1e3], shape)
        assert assign(costs.tolist()) == of_scipy(costs)


def test_of_nothing_there_are_no_pairs() -> None:
    assert assign([]) == []
    assert assign([[], []]) == []
