from __future__ import annotations

from pathlib import Path

import pytest

from avemo_ros.annotations.label_entries import LabelFile
from avemo_ros.annotations.label_files import read_labels
from avemo_ros.annotations.label_tables import labels_text
from avemo_ros.annotations.segments import Segment
from avemo_ros.errors import LabelError
from avemo_ros.vision.face import Box

START_NS = 1_700_000_000_000_000_123
HEAD = "person,start,end,label\n"


def read(folder: Path, text: str | bytes, start_ns: int = START_NS) -> LabelFile:
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, start_ns)


def test_seconds_count_from_the_first_message_to_the_nanosecond(tmp_path: Path) -> None:
    (found,) = read(tmp_path, HEAD + "Anna,0.5,12.000000001,happy\n").segments
    assert found == Segment(START_NS + 500_000_000, START_NS + 12_000_000_001, "happy", "Anna")


def test_unix_times_are_kept_to_the_nanosecond_where_the_file_says_so(tmp_path: Path) -> None:
    text = "# time: unix\n" + HEAD + ",1700000000.123456789,1700000001,sad\n"
    (found,) = read(tmp_path, text).segments
    assert (found.start_ns, found.end_ns) == (
        1_700_000_000_123_456_789,
        1_700_000_001_000_000_000,
    )


def test_every_column_is_read_in_any_order(tmp_path: Path) -> None:
    text = (
        "label,end,start,person,annotator,arousal,valence,height,width,y,x\n"
        "sad,2,1,Bob,rater 1,-0.25,0.5,0.4,0.3,0.2,-0.1\n"
    )
    (found,) = read(tmp_path, text, 0).segments
    assert found == Segment(
        10**9, 2 * 10**9, "sad", "Bob", "rater 1", 0.5, -0.25, Box(-0.1, 0.2, 0.3, 0.4)
    )


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("Happy", "happy"),
        ("joy", "happy"),
        ("ANGER", "angry"),
        ("scared", "fear"),
        ("astonished", "surprise"),
        ("calm", "neutral"),
        (" sadness ", "sad"),
    ],
)
def test_common_words_count_as_their_class(tmp_path: Path, word: str, label: str) -> None:
    assert read(tmp_path, f"{HEAD},0,1,{word}\n").segments[0].label == label


def test_what_is_no_class_is_left_out_and_counted(tmp_path: Path) -> None:
    text = HEAD + ",0,1,happy\n,1,2,bored\n,2,3,Bored\n,3,4,contempt\n"
    found = read(tmp_path, text)
    assert [segment.label for segment in found.segments] == ["happy"]
    assert found.notes == (
        "labels.csv: 2 labels are left out: 'bored' is not a class",
        "labels.csv: 1 label is left out: 'contempt' is not a class",
    )


def test_valence_is_kept_where_the_word_is_no_class(tmp_path: Path) -> None:
    found = read(tmp_path, "person,start,end,label,valence\n,0,1,bored,-0.5\n")
    assert (found.segments[0].label, found.segments[0].valence) == ("", -0.5)
    assert len(found.notes) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_are_told_apart(tmp_path: Path, delimiter: str) -> None:
    text = (HEAD + "Anna,0,1.5,happy\n").replace(",", delimiter)
    assert read(tmp_path, text, 0).segments == (Segment(0, 1_500_000_000, "happy", "Anna"),)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16"], ids=["plain", "marked", "of Excel"]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_marks_and_line_ends_of_any_program_do_no_harm(
    tmp_path: Path, encoding: str, ending: str
) -> None:
    text = (HEAD + "Zoë,0,1,happy\n\n").replace("\n", ending)
    assert read(tmp_path, text.encode(encoding)).segments[0].person == "Zoë"


def test_comments_name_the_ids_of_people(tmp_path: Path) -> None:
    text = "# by hand\n# people: Anna = f0001 f0004\n# people: B = v0001\n"
    found = read(tmp_path, text + HEAD + "Anna,0,1,sad\n")
    assert found.people == {"Anna": ("f0001", "f0004"), "B": ("v0001",)}


def test_a_name_may_begin_like_a_comment(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + "#1,0,1,sad\n").segments[0].person == "#1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv is empty"),
        (" \n\n", "labels.csv is empty"),
        (HEAD, "labels.csv contains no labels"),
        (HEAD + ",0,1,bored\n", "labels.csv contains no labels of a known class"),
        (
            "\nperson,start,stop,label\n,0,1,sad\n",
            "line 2: there is no column 'end'; the header is 'person,start,stop,label'",
        ),
        ("person,start,end,label,END\n", "line 1: the column 'end' occurs twice"),
        (HEAD + ",0,1\n", "line 2: 3 values for 4 columns"),
        (HEAD + "Doe, J.,0,1,sad\n", "line 2: 5 values for 4 columns .* double quotes"),
        (HEAD + ",0,1,sad\n,2,1,sad\n", "line 3: end is '1'; allowed: later than start, 2"),
        (HEAD + ",1,1,sad\n", "line 2: end is '1'; allowed: later than start, 1"),
        (HEAD + ",nan,1,sad\n", "line 2: start is 'nan'; allowed: seconds, 0 or more"),
        (HEAD + ",-0.1,1,sad\n", "line 2: start is '-0.1'; allowed: seconds, 0 or more"),
        (HEAD + ",0,inf,sad\n", "line 2: end is 'inf'; allowed: seconds, 0 or more"),
        (HEAD + ",0,1e9999,sad\n", "line 2: end is '1e9999'; allowed: seconds, 0 or more"),
        (HEAD + ",,1,sad\n", "line 2: start is ''; allowed: seconds, 0 or more"),
        (HEAD + ",0:10,1,sad\n", "line 2: start is '0:10'; allowed: seconds, 0 or more"),
        (
            HEAD.replace(",", ";") + ";0,5;1,5;sad\n",
            "line 2: start is '0,5'; allowed: seconds, 0 or more, with a point as in 12.5",
        ),
        (HEAD + ",1700000000,1700000001,sad\n", "line 2: .* add `time: unix`"),
        (
            "# time: unix\n" + HEAD + ",0,1700000001,sad\n",
            "line 3: end is '1700000001'; allowed: later than start, 0, by 1000000 s at most",
        ),
        (HEAD + ",0,1,hapy\n", r"line 2: label is 'hapy'; allowed: angry, disgust, .* \(or "),
        (HEAD + ",0,1,\n", "line 2: label is ''; allowed: .*; or valence or arousal instead"),
        (
            "person,start,end,label,valence\n,0,1,sad,1.5\n",
            "line 2: valence is '1.5'; allowed: -1 to 1",
        ),
        (
            "person,start,end,label,arousal\n,0,1,sad,nan\n",
            "line 2: arousal is 'nan'; allowed: -1 to 1",
        ),
        (
            "person,start,end,label,x,y,width,height\n,0,1,sad,0.1,,0.2,0.2\n",
            "line 2: y is ''; allowed: a number, as x is given; or none of the four",
        ),
        (
            "person,start,end,label,x,y,width,height\n,0,1,sad,0.1,0,0,0.2\n",
            "line 2: width is '0'; allowed: above 0",
        ),
        (
            "person,start,end,label,x,y,width,height\n,0,1,sad,320,0,0.1,0.2\n",
            "line 2: x is '320'; allowed: -1 to 1",
        ),
        ("# time: gps\n" + HEAD, "line 1: time is 'gps'; allowed: bag or unix"),
        ("# people: Anna\n" + HEAD, "line 1: people is 'Anna'; allowed: a name, ="),
        (
            "# people: A = f1\n# people: B = f2 f1\n" + HEAD,
            "line 2: ids of 'B' is 'f2 f1'; allowed: not f1, it is 'A'",
        ),
        ("# people: A =\n" + HEAD, "line 1: ids of 'A' is ''; allowed: ids of the stream"),
        (HEAD + 'a,0,1,"sad\n', "labels.csv, line 2: "),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        read(tmp_path, text)


def test_one_cannot_judge_a_person_twice_at_a_time(tmp_path: Path) -> None:
    text = "person,start,end,label,annotator\nA,5,9,sad,x\nA,0,5.5,sad,x\n"
    with pytest.raises(LabelError, match=r"line 2: .* overlap those of .*, line 3 by 0.5 s"):
        read(tmp_path, text)


def test_others_or_another_annotator_may_be_judged_at_the_same_time(tmp_path: Path) -> None:
    text = (
        "person,start,end,label,annotator\nA,0,5,sad,x\nB,0,5,sad,x\nA,0,5,sad,y\nA,5,6,sad,x\n"
    )
    assert len(read(tmp_path, text).segments) == 4


def test_valence_alone_may_go_along_with_labels(tmp_path: Path) -> None:
    text = "person,start,end,label,valence\nA,0,5,sad,\nA,1,2,,0.1\nA,2,3,,0.2\n"
    assert len(read(tmp_path, text).segments) == 3


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"line 3: the byte 0xeb is not utf-8; save .* UTF-8"):
        read(tmp_path, (HEAD + "Bob,0,1,sad\nZoë,1,2,sad\n").encode("latin-1"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="is not a text file: it contains zero bytes"):
        read(tmp_path, b"\x89PNG\0\0")


def test_a_column_that_is_not_known_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "person,start,end,label,valance\n,0,1,sad,0.5\n")
    assert found.notes == ("labels.csv: not read: column 'valance'",)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    segments = (
        Segment(START_NS + 1, START_NS + 2 * 10**9, "sad", 'A "B", C', "x", 0.1, -1.0),
        Segment(START_NS + 3 * 10**9, START_NS + 9 * 10**9, "", "D", "", None, 1 / 3),
        Segment(
            START_NS + 10**10,
            START_NS + 10**11,
            "fear",
            "",
            "",
            None,
            None,
            Box(0.1, 0.2, 0.3, 0.4),
        ),
    )
    people = {"D": ("f0001", "v0002")}
    found = read(tmp_path, labels_text(segments, START_NS, people=people))
    assert (found.segments, found.people, found.notes) == (segments, people, ())
    found = read(tmp_path, labels_text(segments, unix=True), 5)
    assert (found.segments, found.unix) == (segments, True)


def test_a_table_has_only_the_columns_that_are_used() -> None:
    text = labels_text([Segment(0, 1_500_000_000, "sad"), Segment(10**10, 10**12, "happy")])
    assert text == "person,start,end,label\n,0,1.5,sad\n,10,1000,happy\n"
