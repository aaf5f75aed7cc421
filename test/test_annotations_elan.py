from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import read_labels
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError

START_NS = 10**18


def slot(name: str, value: int | str | None) -> str:
    time = "" if value is None else f' TIME_VALUE="{value}"'
    return f'<TIME_SLOT TIME_SLOT_ID="{name}"{time}/>'


def stretch(name: str, start: str, end: str, text: str) -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{start}" '
        f'TIME_SLOT_REF2="{end}"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>'
        "</ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def reference(name: str, other: str, text: str) -> str:
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{other}">'
        f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def tier(name: str, *annotations: str, more: str = "") -> str:
    return (
        f'<TIER LINGUISTIC_TYPE_REF="x" TIER_ID="{name}" {more}>\n{"".join(annotations)}</TIER>'
    )


def read(folder: Path, slots: list[str], *tiers: str, head: str = "") -> LabelFile:
    path = folder / "film.eaf"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n' + head + '<ANNOTATION_DOCUMENT FORMAT="3.0">'
        '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>'
        f"<TIME_ORDER>{''.join(slots)}</TIME_ORDER>\n"
        + "\n".join(tiers)
        + "</ANNOTATION_DOCUMENT>",
        encoding="utf-8",
    )
    return read_labels(path, START_NS)


def ms(start: int, end: int, label: str, person: str, annotator: str = "") -> Segment:
    return Segment(START_NS + start * 10**6, START_NS + end * 10**6, label, person, annotator)


def test_tiers_are_people_and_annotators(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [slot("ts1", 0), slot("ts2", 780), slot("ts3", 1500)],
        tier("Anna", stretch("a1", "ts1", "ts2", "happy"), stretch("a2", "ts2", "ts3", "sad")),
        tier("Anna@x", stretch("a3", "ts1", "ts3", "Joy")),
        tier(
            "emotion",
            stretch("a4", "ts1", "ts2", "fear"),
            more='PARTICIPANT="Bob" ANNOTATOR="y"',
        ),
        tier("empty"),
    )
    assert found.segments == (
        ms(0, 780, "happy", "Anna"),
        ms(0, 1500, "happy", "Anna", "x"),
        ms(0, 780, "fear", "Bob", "y"),
        ms(780, 1500, "sad", "Anna"),
    )
    assert found.notes == ()


def test_times_that_are_not_aligned_are_spread_within_their_tier(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [
            slot("t1", 1000),
            slot("t2", None),
            slot("o", 1100),
            slot("t3", None),
            slot("t4", 1900),
        ],
        tier(
            "Anna",
            stretch("a1", "t1", "t2", "happy"),
            stretch("a2", "t2", "t3", "sad"),
            stretch("a3", "t3", "t4", "fear"),
        ),
        tier("Bob", stretch("a4", "t1", "o", "sad")),
    )
    assert found.segments == (
        ms(1000, 1300, "happy", "Anna"),
        ms(1000, 1100, "sad", "Bob"),
        ms(1300, 1600, "sad", "Anna"),
        ms(1600, 1900, "fear", "Anna"),
    )
    assert found.notes == (
        "film.eaf: 2 times are not aligned; they are spread evenly between their neighbours",
    )


def test_an_annotation_that_refers_to_another_has_its_times(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [slot("t1", 10), slot("t2", 20)],
        tier("speech", stretch("a1", "t1", "t2", "hello there")),
        tier("Anna", reference("a2", "a1", "surprised"), more='PARENT_REF="speech"'),
    )
    assert found.segments == (ms(10, 20, "surprise", "Anna"),)
    assert found.notes == (
        "film.eaf: tier 'speech' is left out: none of its 1 annotations is a word for an "
        "emotion",
    )


@pytest.mark.parametrize(
    ("slots", "tiers", "message"),
    [
        (
            [slot("t1", 0), slot("t2", 9)],
            [
                tier("A", stretch("a1", "t1", "t2", "sad")),
                tier("B", stretch("a2", "t2", "t1", "sad")),
            ],
            r"line \d+ \(tier 'B', annotation a2\): end is '0.000000'; allowed: later",
        ),
        (
            [slot("t1", 0), slot("t2", 9), slot("t3", 12)],
            [tier("A", stretch("a1", "t1", "t2", "sad"), stretch("a2", "t2", "t3", "wow"))],
            r"\(tier 'A', annotation a2\): label is 'wow'; allowed: angry",
        ),
        (
            [slot("t1", 0), slot("t2", None)],
            [tier("A", stretch("a1", "t1", "t2", "sad"))],
            "time slot t2 has no time, and neither have the ones around it",
        ),
        (
            [slot("t1", 0)],
            [tier("A", stretch("a1", "t1", "t9", "sad"))],
            "time slot t9 has no time",
        ),
        (
            [slot("t1", "soon"), slot("t2", 9)],
            [tier("A", stretch("a1", "t1", "t2", "sad"))],
            "TIME_VALUE of time slot t1 is 'soon'; allowed: milliseconds",
        ),
        (
            [],
            [tier("A", reference("a1", "a2", "sad"), reference("a2", "a1", "sad"))],
            "it refers to a1, which gives no time|it refers to a2, which gives no time",
        ),
        ([], ["<TIER>x</TIER>"], "an element has no attribute 'TIER_ID'"),
        ([], [], "is not an ELAN document"),
        ([slot("t1", 0)], [tier("A")], "contains no labels"),
        ([], ["<TIER"], "not readable as XML"),
    ],
)
def test_what_is_wrong_is_said_with_tier_and_annotation(
    tmp_path: Path, slots: list[str], tiers: list[str], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        read(tmp_path, slots, *tiers)


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>\n',
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>\n',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">\n',
    ],
    ids=["file", "growing", "net"],
)
def test_entities_are_never_read(tmp_path: Path, head: str) -> None:
    with pytest.raises(LabelError, match="line 2: a document type is declared"):
        read(tmp_path, [slot("t1", 0)], tier("A", "&b;"), head=head)


def test_an_unknown_encoding_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "film.eaf"
    path.write_text('<?xml version="1.0" encoding="nonsense"?><ANNOTATION_DOCUMENT/>')
    with pytest.raises(LabelError, match="not readable as XML"):
        read_labels(path)


@pytest.mark.timeout(60)
def test_long_chains_of_references_and_long_texts_cost_no_more_than_they_are_long(
    tmp_path: Path,
) -> None:
    links = 60_000
    rows = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a{n}" ANNOTATION_REF="a{n - 1}">'
        "<ANNOTATION_VALUE>happy</ANNOTATION_VALUE>"
        "</REF_ANNOTATION></ANNOTATION>"
        for n in range(links, 0, -1)
    )
    text = (
        '<ANNOTATION_DOCUMENT><TIME_SLOT TIME_SLOT_ID="s" TIME_VALUE="0"/>'
        '<TIME_SLOT TIME_SLOT_ID="e" TIME_VALUE="900"/><TIER TIER_ID="base"><ANNOTATION>'
        '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a0" TIME_SLOT_REF1="s" TIME_SLOT_REF2="e">'
        "<ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
        f'<TIER TIER_ID="Anna">{rows}</TIER></ANNOTATION_DOCUMENT>'
    )
    path = tmp_path / "a.eaf"
    path.write_text(text)
    with pytest.raises(LabelError, match="overlap"):
        read_labels(path)
    path.write_text(text.replace("happy", "happy " * 5000, 1))
    with pytest.raises(LabelError, match="more than 10000 characters"):
        read_labels(path)
