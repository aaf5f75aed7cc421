"""SSML."""

from __future__ import annotations

import random
import sys
import xml.etree.ElementTree as ET

import pytest
from made_dialog import hostile_texts

from avemo_ros.dialog.agent import ssml
from avemo_ros.dialog.fields import Style
from avemo_ros.dialog.language import printable

SPEECH = "{http://www.w3.org/2001/10/synthesis}"


def random_text(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chr(chance.randrange(sys.maxunicode + 1)) for _ in range(200))


@pytest.mark.parametrize("text", [*hostile_texts(), *map(random_text, range(20)), ""])
def test_any_text_gives_well_formed_xml_with_nothing_but_prosody(text: str) -> None:
    root = ET.fromstring(ssml(text, Style(), "en"))
    assert root.tag == f"{SPEECH}speak"
    assert [child.tag for child in root.iter()] == [f"{SPEECH}speak", f"{SPEECH}prosody"]
    assert "".join(root.itertext()) == printable(text)


def test_the_style_is_said_as_ssml_wants_it() -> None:
    root = ET.fromstring(ssml("Hello", Style(rate=0.85, pitch=-1.5, volume=2.0), "en-GB"))
    prosody = root.find(f"{SPEECH}prosody")
    assert prosody is not None
    assert prosody.attrib == {"rate": "85%", "pitch": "-1.50st", "volume": "+2.00dB"}
    assert root.attrib["version"] == "1.1"
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "en-GB"


def test_the_intensity_goes_from_the_usual_way_to_the_style() -> None:
    style = Style(rate=0.8, pitch=-2.0, volume=-4.0)
    assert style.scaled(0.0) == Style()
    assert style.scaled(0.5) == Style(rate=0.9, pitch=-1.0, volume=-2.0)
    assert style.scaled(1.0) == style
