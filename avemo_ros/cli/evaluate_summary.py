"""What `avemo evaluate` says on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def summary(result: Mapping[str, Any]) -> list[str]:
    """The figures in a few lines."""
    split = f", {result['split']}" if result["split"] else ""
    lines = [
        f"{result['model']['name']} on {result['title']}{split}: {result['items']} items, "
        f"{result['subjects']} subject{'' if result['subjects'] == 1 else 's'}, "
        f"{len(result['classes'])} classes; 95 % intervals over {result['intervals_over']}"
    ]
    lines += [f"note: {note}" for note in result["notes"]]
    lacking = {
        "face": result["missing"]["no_face"],
        "sound": result["missing"]["no_voice"],
        "readable file": result["missing"]["unreadable"],
    }
    if any(lacking.values()):
        counts = ", ".join(f"{part} {len(keys)}" for part, keys in lacking.items() if keys)
        lines.append(f"{'missing':10} {counts}")
    if result["missing"]["damaged"]:
        lines.append(f"{'damaged':10} {len(result['missing']['damaged'])}, read in part")
    for name, key in (("accuracy", "accuracy"), ("UA", "ua"), ("macro F1", "macro_f1")):
        low, high = result["intervals"][key]
        lines.append(
            f"{name:10} {_percent(result[key])} %  [{_percent(low)}, {_percent(high)}]"
        )
    scaled = result["ece_scaled"]
    after = "" if scaled is None else f"  ({_percent(scaled).strip()} % after scaling)"
    lines.append(f"{'ECE':10} {_percent(result['ece'])} %{after}")
    scaled = result["nll_scaled"]
    after = "" if scaled is None else f"    ({scaled:.3f} after scaling)"
    lines.append(f"{'NLL':10} {result['nll']:5.3f}{after}")
    if result.get("ms_per_item") is not None:
        lines.append(f"{'time':10} {result['ms_per_item']:.1f} ms an item (model, one thread)")
    if "folds" in result:
        ua = result["folds"]["ua"]
        each = " ".join(_percent(fold["ua"]).strip() for fold in result["folds"]["each"])
        spread = "" if ua["deviation"] is None else f" +- {_percent(ua['deviation']).strip()}"
        lines.append(f"{'UA, folds':10} {_percent(ua['mean'])} %{spread}  ({each})")
    for part, figures in result.get("alone", {}).items():
        lines.append(f"{part + ' alone':10}  UA {_percent(figures['ua'])} %")
    if "alone_difference" in result:
        found = result["alone_difference"]
        lines.append(
            f"both less {found['better_single']} alone, UA: {_signed(found['ua'])} points"
        )
    for other, found in result.get("difference", {}).items():
        lines.append(f"less {other}, UA: {_signed(found['ua'])} points")
    if "corruptions" in result:
        lines += ["", *_rows(result["corruptions"]["rows"])]
    return lines


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of corruptions: UA."""
    parts = [part for part in ("fused", "face", "voice") if any(part in row for row in rows)]
    head = "".join(f"{part:>8}" for part in parts)
    lines = [f"{'UA in %':20}{head}" + ("   fused less the better" if len(parts) > 1 else "")]
    for row in rows:
        cells = "".join(
            f"{_percent(row[part]['ua']):>8}" if part in row else f"{'-':>8}" for part in parts
        )
        more = f"   {_signed(row['difference']['ua'])}" if "difference" in row else ""
        lines.append(f"{row['condition']:20}{cells}{more}")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


def _signed(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{100 * found['value']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
