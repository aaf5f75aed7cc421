"""The look of the pages of replay, in light and dark."""

from __future__ import annotations

from functools import cache
from typing import Final

from avemo_ros.sink.palette import sheet


@cache
def style() -> str:
    """The style sheet; `--NAME` is an emotion's colour, `--on-NAME` that of words on it."""
    return sheet(_LIGHT, _DARK, _RULES)


_LIGHT: Final = (
    "--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#59636e;--line:#d8dee4;--row:#eef1f4;"
    "--bar:#7aa2cf;--mark:#c2410c;--face:#7fa8a3;--voice:#c3a27a;--heat:#2a6fd0;"
    "--good:#1a7f4b;--bad:#b42318;--warn:#9a3412;--edge:#1c212833;"
)
_DARK: Final = (
    "--bg:#0f1318;--card:#181d24;--ink:#e8ecf1;--soft:#9aa5b1;--line:#2f3742;--row:#222932;"
    "--bar:#4f7fb3;--mark:#f59e5b;--face:#5f9089;--voice:#a98455;--heat:#5c9df5;"
    "--good:#5dc48f;--bad:#f38b80;--warn:#fdba74;--edge:#0009;"
)
# A shadow at an edge of `.wide` tells that there is more to scroll to; the names stay in sight.
_RULES: Final = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding:80px}
@media(prefers-reduced-motion){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:23px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 6px;overflow-wrap:anywhere}
h3{font-size:14px;margin:16px 0 4px;overflow-wrap:anywhere}
a{color:inherit;text-decoration-color:var(--bar);text-underline-offset:3px}
.sub{margin:2px 0 16px}.sub,section p,footer,dt,dd+dd{color:var(--soft)}
section p{margin:0 0 10px;font-size:14px;overflow-wrap:anywhere}
.note,section p.note{color:var(--warn);font-weight:600;margin:0 0 12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;
margin:0 0 16px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:10px 14px}
dt{font-size:13px}dd{margin:0}
.tiles dd{font-size:20px;font-weight:600;overflow-wrap:anywhere}
.tiles dd+dd{font-size:12px;font-weight:400}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin:0 0 16px}
.pair{display:flex;flex-wrap:wrap;gap:12px 36px}.pair>*{flex:1 1 320px;min-width:0}
.matrices>*{flex-basis:430px;max-width:540px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:4px 24px;
margin-top:12px}.chart{display:block;width:100%;max-width:460px;height:auto}
svg{font:12px system-ui,sans-serif}
svg text{fill:var(--soft)}.strong,svg .strong{fill:var(--ink)}
.grid{stroke:var(--line);fill:none}.axis{stroke:var(--soft);fill:none}
.bar{fill:var(--bar)}.mark{fill:var(--mark)}.curve{stroke:var(--mark);fill:none;stroke-width:2}
.ideal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
.wide{overflow-x:auto;
background:linear-gradient(to right,var(--card) 40%,transparent) 0 0/40px 100% no-repeat local,
linear-gradient(to left,var(--card) 40%,transparent) 100% 0/40px 100% no-repeat local,
linear-gradient(to right,var(--edge),transparent) 0 0/12px 100% no-repeat scroll,
linear-gradient(to left,var(--edge),transparent) 100% 0/12px 100% no-repeat scroll}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin-top:8px}
caption{text-align:left;color:var(--soft);padding-bottom:4px}
th,td{padding:4px 10px;text-align:left;border-bottom:1px solid var(--line)}
td{white-space:nowrap}th{color:var(--soft);font-weight:500;vertical-align:bottom}
tbody th{vertical-align:middle;color:var(--ink);min-width:12ch;max-width:36ch;
overflow-wrap:anywhere}
tr>:first-child{position:sticky;left:0;background:var(--card)}
@media(max-width:600px){th,td{padding:4px 6px}tbody th{min-width:16ch;max-width:18ch}}
.slim tbody th{min-width:0;overflow-wrap:break-word}
.named tbody th{min-width:9ch}.told td{white-space:normal;overflow-wrap:anywhere;min-width:22ch}
.line-head thead th{white-space:nowrap}.grouped td:nth-child(2){white-space:normal}
.confusion{table-layout:fixed;width:100%;min-width:420px}.confusion th{padding:4px 2px;
min-width:0;font-size:12px;overflow-wrap:normal}.confusion thead td{width:64px}
.confusion td+td,.confusion thead th{text-align:right}
.confusion td{text-align:right;border:1px solid var(--card);padding:4px 6px;
background:color-mix(in srgb,var(--heat) calc(var(--share)*.75),var(--card))}
.confusion td small{display:block;font-size:10px;opacity:.75}
.confusion .hit{outline:1px solid var(--soft);outline-offset:-2px;font-weight:600}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
.emotion i,.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;
margin-right:6px;vertical-align:-1px}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:0 0 8px;padding:0;
font-size:13px}
.legend .none{background:var(--row);border:1px dashed var(--soft)}
.plain{margin:4px 0 8px;padding-left:20px;font-size:14px;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:4px 16px;margin:0;
font-size:14px}.facts dd{overflow-wrap:anywhere}.facts dd+dd{color:inherit}
.line{display:flex;align-items:flex-start}
.line .names{flex:none;display:block}.line .wide{flex:1 1 0;min-width:0}
.line .wide svg{display:block}
.row{fill:var(--row)}.tick{stroke:var(--line)}.time{text-anchor:middle;font-size:11px}
.unknown{fill:var(--row);stroke:var(--soft);stroke-opacity:.45;stroke-dasharray:3 3}
.word,.quiet{text-anchor:middle;pointer-events:none}.word{font-weight:600}.quiet{font-size:11px}
.wrong{fill:var(--bad)}.right{fill:var(--good)}.blank{fill:var(--line)}
.sure{stroke:var(--ink);fill:none;stroke-width:1.3}
.truth:target{stroke:var(--ink);stroke-width:3}
.shots{display:block}
details{margin-top:10px;font-size:14px}summary{cursor:pointer;color:var(--soft)}
footer{font-size:13px;max-width:76ch}
"""
