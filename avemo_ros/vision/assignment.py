"""Who goes with whom at the least cost: the rectangular assignment problem.

The shortest augmenting paths of Crouse 2016 ("On implementing 2D rectangular assignment
algorithms"), step by step as in SciPy's `linear_sum_assignment`, so that ties fall alike.
SciPy itself takes half a second and 35 MB to load, for a handful of faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of row and column with the least sum of costs.

    Args:
        costs: of every row and column, finite; all rows are of one length.

    Returns:
        As many pairs as there are of what there is less of, by row.
    """
    if not costs or not costs[0]:
        return []
    if len(costs[0]) < len(costs):
        turned = assign(list(zip(*costs, strict=True)))
        return sorted((row, column) for column, row in turned)
    rows, columns = len(costs), len(costs[0])
    of_rows, of_columns = [0.0] * rows, [0.0] * columns  # the dual variables
    column_of, row_of = [-1] * rows, [-1] * columns
    for new in range(rows):
        reached = [math.inf] * columns
        came_from = [-1] * columns
        # From the last to the first: equal costs give the diagonal.
        left = list(range(columns - 1, -1, -1))
        visited: list[int] = []
        row, least, end = new, 0.0, -1
        while end < 0:
            lowest, place = math.inf, -1
            for index, column in enumerate(left):
                cost = least + costs[row][column] - of_rows[row] - of_columns[column]
                if cost < reached[column]:
                    reached[column], came_from[column] = cost, row
                free = row_of[column] < 0
                if reached[column] < lowest or (reached[column] == lowest and free):
                    lowest, place = reached[column], index
            least, chosen = lowest, left[place]
            left[place] = left[-1]
            left.pop()
            visited.append(chosen)
            row = row_of[chosen]
            end = chosen if row < 0 else -1
        of_rows[new] += least
        for column in visited:
            slack = least - reached[column]
            if row_of[column] >= 0:
                of_rows[row_of[column]] += slack
            of_columns[column] -= slack
        while end >= 0:
            row = came_from[end]
            row_of[end] = row
            column_of[row], end = end, column_of[row]
    return list(enumerate(column_of))
