"""How the pages of conversations look, light and dark, on a wide screen and a narrow one.

On a narrow one the columns of a turn stand below one another, so that words and answer are read
without scrolling to the side.
"""

from __future__ import annotations

from typing import Final

from avemo_ros.sink.palette import INKS, sheet


def style() -> str:
    """The style sheet."""
    inks = "".join(f".{name}{{--ink-of:var(--{name})}}" for name in INKS)
    return sheet(_LIGHT, _DARK, inks + _RULES)


_LIGHT: Final = (
    "--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--soft:#59636e;--line:#d8dee4;--row:#eef1f4;"
    "--bad:#b3261e;"
)
_DARK: Final = (
    "--bg:#0f1318;--card:#181d24;--ink:#e8ecf1;--soft:#9aa5b1;--line:#2f3742;--row:#222932;"
    "--bad:#ff8a80;"
)
_RULES: Final = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 8px}
.sub,footer,small,summary,.time,.empty{color:var(--soft)}
.sub{margin:2px 0 18px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:16px 18px;margin:0 0 16px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:500;font-size:13px;text-align:left;padding:0 14px 8px 0}
td{padding:12px 14px 12px 0;border-top:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}
.talk{min-width:820px;table-layout:fixed}
.talk.two{min-width:1080px}
.talk th:nth-child(1){width:82px}.talk th:nth-child(3){width:132px}
.talk th:nth-child(4){width:184px}
q{quotes:"\\201C" "\\201D"}
.time,small span{white-space:nowrap}
.answer p{margin:0 0 2px}
.other{color:var(--soft)}
small{display:block;font-size:12.5px;line-height:1.45}
.failed{color:var(--bad)}
.chip{display:inline-block;padding:1px 10px;border-radius:11px;
border:1.5px solid var(--ink-of);font-weight:600;font-size:14px}
.bar{display:block;height:5px;border-radius:3px;background:var(--row);margin:7px 0 3px;
max-width:110px}
.bar i{display:block;height:5px;border-radius:3px;background:var(--ink-of)}
details{margin-top:6px;font-size:13.5px}summary{cursor:pointer;font-size:12.5px}
footer{font-size:13px;max-width:76ch}
@media(max-width:860px){
main{padding:20px 12px 32px}
section{padding:12px 14px}
.talk,.talk.two{min-width:0}
.talk,.talk tbody,.talk td{display:block}
.talk thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.talk tr{display:flex;flex-wrap:wrap;gap:4px 16px;padding:12px 0;
border-top:1px solid var(--line)}
.talk tr:first-child{border-top:0;padding-top:0}
.talk td{border:0;padding:0;flex:1 1 100%}
.talk .sensed,.talk .strategy{flex:1 1 130px;order:2;margin-top:4px}
.talk .answer{padding-left:12px;border-left:3px solid var(--line)}
.talk .other{order:1}
.talk .other::before{content:"cues switched off";font-size:12.5px}
}
"""
