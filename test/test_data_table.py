from __future__ import annotations

from pathlib import Path

import pytest
from data_trees import LFS_POINTER, put

from avemo_ros.data.corpus_files import read_table, read_text
from avemo_ros.errors import DataError


def test_rows_come_by_the_names_of_the_header_without_spaces(tmp_path: Path) -> None:
    table = put(tmp_path / "t.csv", "emotion, Usage, pixels\n0, Training, 1 2 3\n")
    assert list(read_table(table, ("usage",))) == [
        (2, {"emotion": "0", "usage": "Training", "pixels": "1 2 3"})
    ]


def test_line_numbers_count_empty_lines(tmp_path: Path) -> None:
    table = put(tmp_path / "t.csv", "a,b\n\n1,2\n\n3,4\n")
    assert [line for line, _ in read_table(table, ())] == [3, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_table_is_read_in_whatever_encoding(encoding: str, tmp_path: Path) -> None:
    table = put(tmp_path / "t.csv", "name,n\nZoë Müller,1\n".encode(encoding))
    assert [row["name"] for _, row in read_table(table, ("name",))] == ["Zoë Müller"]


def test_quotes_are_letters_where_the_table_has_none(tmp_path: Path) -> None:
    table = put(tmp_path / "t.tsv", 'text\tn\nhe said "no\t1\nand left"\t2\n')
    rows = [row["n"] for _, row in read_table(table, ("n",), delimiter="\t", quotes=False)]
    assert rows == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a,b\n1\n", "line 2: 1 values for 2 columns"),
        (b"a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        (b"a,b,a\n1,2,3\n", "the column 'a' occurs twice"),
        (b"a,c\n1,2\n", "no column 'b'; its header is: a, c"),
        (b"", "header is: empty"),
        (b"\x00\x01\x02", "not a text file"),
        (b"\xff\xfea", "truncated data"),
        (LFS_POINTER, "git lfs pull"),
        (b'a,b\n"' + b"x" * 200_000 + b'",1\n', "field larger"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_with_its_trouble(
    content: bytes, what: str, tmp_path: Path
) -> None:
    table = put(tmp_path / "t.csv", content)
    with pytest.raises(DataError, match=what) as error:
        list(read_table(table, ("a", "b")))
    assert str(table) in str(error.value)


def test_a_table_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(read_table(tmp_path / "t.csv", ()))
    with pytest.raises(DataError, match="directory"):
        read_text(tmp_path)
