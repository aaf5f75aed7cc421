"""From a template and its values to one HTML file that needs no network.

Every text is escaped by Jinja2.  Only the scripts that the page came with may run: its content
security policy names them by their SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from avemo_ros.labels import EMOTIONS
from avemo_ros.report.charts import HOUSE, Chart
from avemo_ros.sink.output_file import OutputError, replaced
from avemo_ros.sink.presentation import COLOURS, DARK_OF_LIGHT, INKS, counted, lasting

TEMPLATES: Final = Path(__file__).with_name("templates")


def render(template: str, *, folder: Path = TEMPLATES, **values: Any) -> str:
    """A whole page as text; the same values give the same text.

    Args:
        template: name of the file; it extends `page.html`.
        folder: where the template is.
        values: what it uses.
    """
    return _environment(folder).get_template(template).render(page=_Page(), **values)


def write(path: Path, text: str) -> None:
    """Write a page; it takes the place of an older one when it is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def percent(value: Any) -> str:
    """A share as '61.3 %'; '-' where there is none."""
    return f"{100 * value:.1f} %" if _is_known(value) else "-"


def number(value: Any, digits: int = 2, unit: str = "") -> str:
    """A figure with its unit; '-' where there is none."""
    return f"{value:.{digits}f} {unit}".rstrip() if _is_known(value) else "-"


def _is_known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


class _Page:
    """What a template knows of its page: its figures, and the scripts that draw them."""

    def __init__(self) -> None:
        self.figures = 0

    def number(self) -> int:
        """Of the next figure."""
        self.figures += 1
        return self.figures

    @property
    def plotly(self) -> Markup:
        """The library, once a page."""
        return _plotly()[0]

    @property
    def own(self) -> Markup:
        """What draws the figures with it."""
        return _own()[0]

    @property
    def hashes(self) -> str:
        """SHA-256 of both scripts, as the content security policy takes them."""
        return f"{_plotly()[1]} {_own()[1]}"


@cache
def _plotly() -> tuple[Markup, str]:
    return _script(get_plotlyjs())


@cache
def _own() -> tuple[Markup, str]:
    return _script((TEMPLATES / "page.js").read_text(encoding="utf-8"))


def _script(text: str) -> tuple[Markup, str]:
    digest = hashlib.sha256(text.encode()).digest()
    return Markup(text), f"'sha256-{base64.b64encode(digest).decode()}'"  # noqa: S704 - ours


def embedded(value: object) -> Markup:
    """A value as JSON that nothing in it can end: for a script tag."""
    text = value.json if isinstance(value, Chart) else json.dumps(value, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - no sign of HTML is left


def breakable(name: str) -> Markup:
    """A name that may go on in another line behind its underscores, and nowhere else."""
    return Markup(escape(name).replace("_", "_<wbr>"))  # noqa: S704 - escaped


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(TEMPLATES)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "counted": counted,
        "embedded": embedded,
        "lasting": lasting,
        "number": number,
        "percent": percent,
    }
    environment.globals |= {
        "COLOURS": COLOURS,
        "DARK_OF_LIGHT": DARK_OF_LIGHT,
        "EMOTIONS": EMOTIONS,
        "HOUSE": HOUSE,
        "INKS": INKS,
    }
    return environment
