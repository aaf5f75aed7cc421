"""What the page of a run does under the pointer: it tells the estimate at that time."""

from __future__ import annotations

import json
from typing import Final

from avemo_ros.labels import EMOTIONS

SCRIPT: Final = (
    f"const NAMES={json.dumps(EMOTIONS)};"
    """
const people = JSON.parse(document.getElementById("points").textContent);
const tip = document.getElementById("tip");
for (const svg of document.querySelectorAll("svg[data-person]")) {
  const points = people[svg.dataset.person];
  const left = +svg.dataset.left, right = +svg.dataset.right, end = +svg.dataset.end;
  const cursor = svg.querySelector(".cursor");
  svg.addEventListener("pointermove", event => {
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    const t = (at.x - left) / (right - left) * end;
    const near = points.reduce((a, b) => Math.abs(b[0] - t) < Math.abs(a[0] - t) ? b : a);
    const x = left + near[0] / end * (right - left);
    cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
    const lines = near[3].map((p, i) => NAMES[i].padEnd(9) + String(p).padStart(4) + " %");
    tip.textContent = near[0].toFixed(2) + " s   " + near[1] + "\\n" + near[2]
      + (lines.length ? "\\n" + lines.join("\\n")
        + "\\nface " + near[4] + " %, voice " + near[5] + " %" : "");
    tip.hidden = false;
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - wide - 8) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - high - 8) + "px";
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true; cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9);
  });
}
"""
)
