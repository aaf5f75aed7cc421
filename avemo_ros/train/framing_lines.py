"""What was measured of framings, in lines to read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from avemo_ros.train.framing_scores import Estimate

_GAINS: Final = ("accuracy_gain", "ua_gain")


def eyes_lines(found: dict[str, Any]) -> list[str]:
    """Of `eyes`: where pictures have eyes and box."""
    lines = [f"{found['all']['faces']} of {found['pictures']} pictures have a mesh"]
    for title in ("all", "yaw below 20 degrees"):
        part = found[title]
        lines.append(f"{title} ({part['faces']} faces): median, mean, standard deviation")
        lines += [
            f"  {name:14s}" + "".join(f"{value:9.4f}" for value in values)
            for name, values in part["columns"].items()
        ]
    return lines


def picture_lines(found: dict[str, Any]) -> list[str]:
    """Of `pictures`: a line for each framing."""
    lines = [
        f"{found['model']} on {found['faces']} of {found['pictures']} pictures of PublicTest "
        "(the others have no mesh); %, with 95 % intervals over pictures; gain: over the "
        "present framing, on the same pictures",
        f"{'framed by':24s}{'margin':>7s}{'down':>7s}{'outside':>9s}  "
        + " ".join(f"    {name:16s}" for name in ("WA", "UA", "WA gain", "UA gain")).rstrip(),
    ]
    for row in found["rows"]:
        figures = (
            _range(row["accuracy"]),
            _range(row["ua"]),
            _range(row["accuracy_gain"], signed=True),
            _range(row["ua_gain"], signed=True),
        )
        lines.append(f"{_way(row)}{100 * row['outside']:9.1f}  " + " ".join(figures))
    tilted = found["tilted"]
    if tilted["faces"]:
        gains = [_range(tilted[name], signed=True).strip() for name in _GAINS]
        lines.append(
            f"{tilted['faces']} faces tilted by more than 15 degrees: turning them upright "
            f"gains {gains[0]} in WA, {gains[1]} in UA"
        )
    better = [
        _way(row).strip()
        for row in found["rows"][2:]
        if any(row[name]["low"] > 0 for name in _GAINS)
    ]
    lines.append(f"better than the present framing: {'; '.join(better) or 'none'}")
    return lines


def clip_lines(found: dict[str, Any]) -> list[str]:
    """Of `clips`: a line for each framing."""
    labels = list(found["rows"][0]["of_label"])
    lines = [
        f"{found['model']} on {found['frames']} pictures of {found['clips']} clips, each "
        "picture alone; % (mean probability of the named emotion, pictures right)",
        f"{'framed by':24s}{'margin':>7s}{'down':>7s}{'prob.':>8s}{'right':>7s}"
        + "".join(f"{label:>12s}{'right':>7s}" for label in labels)
        + f"{'clips right':>13s}",
    ]
    for row in found["rows"]:
        parts = [row, *(row["of_label"][label] for label in labels)]
        cells = [
            f"{100 * part['probability']:{width}.1f}{100 * part['frames_right']:7.1f}"
            for part, width in zip(parts, [8, *[12] * len(labels)], strict=True)
        ]
        lines.append(f"{_way(row)}{''.join(cells)}{row['clips_right']:10d}/{found['clips']}")
    return lines


def _way(row: dict[str, Any]) -> str:
    margin = "" if row["margin"] is None else f"{row['margin']:.2f}"
    shift = f"{100 * row['shift']:+.0f}" if row["shift"] else ""
    return f"{row['by']:24s}{margin:>7s}{shift:>7s}"


def _range(value: dict[str, float] | Estimate, signed: bool = False) -> str:
    each = asdict(value) if isinstance(value, Estimate) else value
    sign = "+" if signed else ""
    number, low, high = (f"{100 * each[name]:{sign}.1f}" for name in ("value", "low", "high"))
    return f"{number:>6s} [{low:>5s},{high:>5s}]"
