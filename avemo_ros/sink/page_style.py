"""How the page of a run looks, in light and dark."""

from __future__ import annotations

from typing import Final

from avemo_ros.sink.palette import sheet


def style() -> str:
    """The rules, with the colours of both."""
    return sheet(_LIGHT, _DARK, _RULES)


_LIGHT: Final = (
    "--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#59636e;--line:#d8dee4;--row:#eef1f4;"
    "--face:#7fa8a3;--voice:#c3a27a;--ground:#10201e;"
)
_DARK: Final = (
    "--bg:#0f1318;--card:#181d24;--ink:#e8ecf1;--soft:#9aa5b1;--line:#2f3742;--row:#222932;"
    "--face:#5f9089;--voice:#a98455;--ground:#f2f6f5;"
)
_RULES: Final = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0}
.sub,section p,footer,dt,dd+dd{color:var(--soft)}
.sub{margin:2px 0 18px}
section p{margin:0 0 10px;font-size:14px}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 18px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 16px;min-width:112px}
dt{font-size:13px}dd{margin:0;font-size:20px;font-weight:600;overflow-wrap:anywhere}
dd+dd{font-size:12px;font-weight:400}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;list-style:none;margin:0 0 14px;padding:0;
font-size:14px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;
vertical-align:-1px}
.legend .none{background:var(--row);border:1px solid var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin:0 0 16px}
.wide{overflow-x:auto}
svg{display:block;width:100%;min-width:720px;height:auto;font:12px system-ui,sans-serif}
.row{fill:var(--row)}.tick{stroke:var(--line)}
.name,.time{fill:var(--soft)}.time{text-anchor:middle;font-size:11px}
.unknown{fill:var(--row);stroke:var(--soft);stroke-opacity:.45;stroke-dasharray:3 3}
.word,.quiet,.ground{text-anchor:middle;pointer-events:none}
.word{font-weight:600}.quiet{font-size:11px}.ground{fill:var(--ground);font-size:11px}
.area{stroke:var(--card);stroke-width:.8}
.speaking{fill:var(--ink)}.attended{fill:var(--soft)}
.cursor{stroke:var(--ink);stroke-width:1}
details{margin-top:10px;font-size:14px}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:500}
footer{font-size:13px;max-width:76ch}
#tip{position:fixed;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:8px 12px;font-size:13px;pointer-events:none;box-shadow:0 4px 16px #0004;
white-space:pre;font-family:ui-monospace,monospace;font-variant-numeric:tabular-nums}
"""
