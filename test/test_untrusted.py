"""What others send: text that steers terminals, files without an end, and bombs."""

from __future__ import annotations

import ast
import contextlib
import gzip
import json
import logging
import os
import sqlite3
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bags
import tiny_models
import torch
from made_evaluations import outcome, seg, session
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from safetensors.torch import save_file

from avemo_ros.annotations.label_files import read_labels
from avemo_ros.bag import folder, mcap_file, message_content, storage
from avemo_ros.bag.check import check
from avemo_ros.bag.check_report import report
from avemo_ros.bag.folder import Bag, read_metadata
from avemo_ros.bag.reader import Recording
from avemo_ros.cli.main import main
from avemo_ros.config import PipelineConfig
from avemo_ros.data.landmark_table import read_points
from avemo_ros.dialog.scenario_estimates import recorded_estimates
from avemo_ros.errors import (
    AvemoError,
    BagError,
    DataError,
    DialogError,
    ImageError,
    LabelError,
    WeightsError,
)
from avemo_ros.evaluate.opened_models import open_model
from avemo_ros.model.released import read_index
from avemo_ros.model.tensor_file import read_state_dict, read_tensors, write_tensors
from avemo_ros.replay.compare import read_result
from avemo_ros.replay.replayed import read_replayed
from avemo_ros.settings import SettingsError, parse_yaml
from avemo_ros.train.run_folder import read_json, read_log
from avemo_ros.untrusted import MAX_CHANNELS, parse_json, say, shown
from avemo_ros.zoo.model_file import save_model

CLEAR = "\x1b[2J\x1b]0;title\x07"


# --- text


@pytest.mark.parametrize(
    "sign", ["\x1b", "\x07", "\x00", "\r", "\x9b", "\u202e", "\u2028", "\ud800"]
)
def test_no_sign_steers_the_terminal(sign: str) -> None:
    text = shown(f"a{sign}b")
    assert text.isprintable()
    assert text.startswith("a\\")
    assert text.endswith("b")


def test_words_of_every_language_new_lines_and_tabs_stay() -> None:
    words = "Straße, žluťoučký, 你好, שלום, 😀\n\tnext"
    assert shown(words) == words


def test_errors_of_ours_can_be_printed_whatever_they_quote() -> None:
    assert CLEAR not in str(BagError(f"there is no topic {CLEAR}"))
    assert "\\x1b[2J" in str(BagError(f"there is no topic {CLEAR}"))


def test_a_topic_that_clears_the_screen_is_printed_as_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [tiny_bags.text("x", tiny_bags.START, f"/a{CLEAR}"), *tiny_bags.session(0.1)]
    path = tiny_bags.write_mcap(tmp_path / "a.mcap", rows)
    main(["bag", "check", str(path)])
    shell = capsys.readouterr()
    assert "/a\\x1b[2J" in shell.out
    assert "\x1b" not in shell.out + shell.err


def test_warnings_and_file_names_are_shown_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["bag", "check", str(tmp_path / f"no{CLEAR}such")]) == 2
    assert "\x1b" not in capsys.readouterr().err
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    main(["bag", "check", str(tmp_path)])
    logging.getLogger("avemo_ros.x").warning("odd %s", CLEAR)
    assert "odd \\x1b[2J" in capsys.readouterr().err


def test_a_name_that_is_no_utf_8_can_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    say("bag", os.fsdecode(b"caf\xe9.mcap"))
    assert capsys.readouterr().out == "bag caf\\udce9.mcap\n"


def test_nothing_but_say_prints(repository: Path) -> None:
    for path in sorted((repository / "avemo_ros").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                allowed = path.name in ("untrusted.py", "release.py")
                assert node.func.id != "print" or allowed, f"{path}, line {node.lineno}"


# --- files that are none


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


@pytest.mark.parametrize("make", [make_pipe, make_loop])
@pytest.mark.timeout(60)
def test_pipes_and_links_that_go_round_are_refused_and_not_waited_for(
    tmp_path: Path, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BagError, match="cannot be read"):
        Bag(make(tmp_path / "a.mcap"))
    (tmp_path / "bag").mkdir()
    make(tmp_path / "bag" / "a.db3")
    with pytest.raises(BagError, match="cannot be read"):
        Bag(tmp_path / "bag")
    with pytest.raises(LabelError, match="cannot be read"):
        read_labels(make(tmp_path / "a.csv"))
    with pytest.raises(DataError, match="cannot read"):
        read_result(make(tmp_path / "a.json"))
    with pytest.raises(SettingsError, match="cannot read"):
        PipelineConfig.read(make(tmp_path / "a.yaml"))
    for words in (
        ["predict", make(tmp_path / "a.mp4")],
        ["bag", "check", tmp_path / "a.mcap"],
    ):
        assert main([str(word) for word in words]) == 2
        assert "avemo: error: " in capsys.readouterr().err


def test_a_name_that_is_too_long_is_an_error_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bag", "check", "a" * 5000]) == 2
    assert main(["predict", "a" * 5000]) == 2
    assert capsys.readouterr().err.count("too long") == 2


# --- bags that unpack to more than they look like


def chunked(path: Path, rows: list[tiny_bags.Row], kind: CompressionType) -> Path:
    return tiny_bags.write_mcap(path, rows, kind, chunk_size=1 << 20)


@pytest.mark.parametrize("kind", [CompressionType.ZSTD, CompressionType.LZ4])
def test_a_chunk_that_unpacks_to_too_much_is_left_out(
    tmp_path: Path, kind: CompressionType, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = chunked(tmp_path / "a.mcap", tiny_bags.session(0.4), kind)
    monkeypatch.setattr(mcap_file, "MAX_UNPACKED", 1 << 20)
    assert not check(path).findings
    monkeypatch.setattr(mcap_file, "MAX_UNPACKED", 5000)
    monkeypatch.setattr(storage, "MAX_UNPACKED", 5000)
    found = " ".join(check(path).findings)
    assert "a chunk is damaged and left out (it unpacks to more than" in found


def test_a_chunk_that_says_less_than_it_unpacks_to_is_left_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (CompressionType.ZSTD, CompressionType.LZ4):
        path = chunked(tmp_path / f"{kind.name}.mcap", tiny_bags.session(0.4), kind)
        data = path.read_bytes()
        size = max(
            value
            for at in range(len(data) - 8)
            if 5000 < (value := struct.unpack_from("<Q", data, at)[0]) < 100_000
            and data[at + 12 : at + 16] in (b"\x04\0\0\0", b"\x03\0\0\0")
        )
        path.write_bytes(data.replace(struct.pack("<Q", size), struct.pack("<Q", 100), 1))
        monkeypatch.setattr(mcap_file, "MAX_UNPACKED", 5000)
        monkeypatch.setattr(storage, "MAX_UNPACKED", 5000)
        assert "unpacks to more than" in " ".join(check(path).findings)


def test_what_is_left_of_a_damaged_chunk_is_nothing_where_its_head_is_gone() -> None:
    assert storage.unpacked(b"no frame at all", cut=True) == b""
    with pytest.raises(ValueError, match=r"."):
        storage.unpacked(b"no frame at all")


def test_an_image_of_another_definition_is_said_and_no_traceback() -> None:
    with pytest.raises(ImageError, match="another definition of its images") as raised:
        message_content.image(SimpleNamespace(height=2, width=2, step=6, encoding="bgr8"))
    assert raised.value.kind == "fields"


def test_messages_and_files_that_unpack_to_too_much_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_bags.write(tmp_path / "a", tiny_bags.session(0.2), packed="message")
    monkeypatch.setattr(storage, "MAX_UNPACKED", 200)
    found = " ".join(check(path).findings)
    assert "/image_raw: messages cannot be unpacked (it unpacks to more than" in found
    path = tiny_bags.write(tmp_path / "b", tiny_bags.session(0.2), packed="file")
    monkeypatch.setattr(folder, "MAX_FILE_FREELY", 1000)
    monkeypatch.setattr(folder, "MAX_FILE_RATIO", 1)
    with pytest.raises(BagError, match="unpacks to more than"):
        Bag(path)


def test_a_bag_of_too_many_topics_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as out:
        writer = McapWriter(out)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        for number in range(MAX_CHANNELS + 2):
            channel = writer.register_channel(f"/t{number}", "cdr", schema)
            writer.add_message(channel, number, b"\0\1\0\0\1\0\0\0\0", number)
        writer.finish()
    with pytest.raises(BagError, match=f"more than {MAX_CHANNELS} topics"):
        check(path)


def test_thousands_of_topics_of_one_type_are_read_by_one_definition(tmp_path: Path) -> None:
    rows = [
        tiny_bags.text("x", tiny_bags.START + number, f"/t{number}/labels")
        for number in range(2000)
    ]
    path = tiny_bags.write_mcap(tmp_path / "a.mcap", [*rows, *tiny_bags.session(0.1)])
    checked = check(path)
    assert len(checked.topics) == 2003
    assert "several topics fit labels" in " ".join(checked.findings)
    assert "/t1999/labels" in report(checked)


DEFINITIONS = {
    "array of 20000000": ("ros2msg", "string[20000000] data"),
    "array of 99999999999": ("ros2msg", "uint8[99999999999999999999999] data"),
    "brackets within": (
        "ros2idl",
        "module std_msgs { module msg { const long A = "
        + "(" * 30 + "1" + ")" * 30
        + "; struct String { string data; }; }; };",
    ),
    "more than 1048576 characters": ("ros2msg", "string data\n" + "# x\n" * 300_000),
    "other types": ("ros2idl", "module std_msgs { module msg { struct O { string a; }; }; };"),
    "damaged": ("ros2msg", "string data\n!!! ???"),
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("why", DEFINITIONS)
def test_definitions_that_would_take_for_ever_are_refused_and_named(
    tmp_path: Path, why: str
) -> None:
    language, definition = DEFINITIONS[why]
    path = tmp_path / "a.mcap"
    with path.open("wb") as out:
        writer = McapWriter(out)
        writer.start(profile="ros2")
        for name, topic in (
            ("std_msgs/msg/String", "/labels"),
            ("std_msgs/msg/Bool", "/other"),
        ):
            schema = writer.register_schema(name, language, definition.encode())
            channel = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channel, 5, b"\0\1\0\0\1\0\0\0\0", 5)
        writer.finish()
    checked = check(path)
    by_name = {topic.topic: topic for topic in checked.topics}
    assert why in by_name["/labels"].unreadable
    # Nobody reads it, so nobody looks at how it is defined.
    assert by_name["/other"].unreadable == ""
    with pytest.raises(BagError, match="nothing that can be used"):
        Recording(path)


VIEW = (
    "ALTER TABLE {name} RENAME TO real; CREATE VIEW {name} AS WITH RECURSIVE c(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS id, x AS topic_id, x AS timestamp, "
    "x'00' AS data, 'n' || x AS name, 't' AS type, 'cdr' AS serialization_format FROM c"
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["messages", "topics"])
def test_a_table_that_is_a_view_without_an_end_is_refused(tmp_path: Path, name: str) -> None:
    path = tiny_bags.write(tmp_path / "a", tiny_bags.session(0.1), "sqlite3") / "a.db3"
    base = sqlite3.connect(path)
    base.executescript(VIEW.format(name=name))
    base.close()
    with pytest.raises(BagError, match=f"{name} is a view, not a table"):
        Bag(path)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE topics SET name = x'ff'",
        "UPDATE topics SET type = NULL",
        "UPDATE topics SET id = 7.5",
        "UPDATE messages SET timestamp = 'x'",
        "UPDATE messages SET topic_id = 1e300",
        "UPDATE messages SET data = 'text'",
        "UPDATE messages SET data = NULL",
    ],
)
def test_values_of_another_kind_in_a_database_are_damage(tmp_path: Path, sql: str) -> None:
    path = tiny_bags.write(tmp_path / "a", tiny_bags.session(0.1), "sqlite3") / "a.db3"
    base = sqlite3.connect(path)
    try:
        base.executescript(sql)
    except sqlite3.IntegrityError:
        pytest.skip("SQLite itself refuses it")
    base.commit()
    base.close()
    try:
        found = [*check(path).findings]
    except AvemoError as error:
        found = [str(error)]
    assert found


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.timeout(60)
def test_aliases_of_aliases_are_counted_before_they_are_written_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="more than 1000000 values"):
        parse_yaml(BOMB, "it")
    with pytest.raises(SettingsError, match="contains itself"):
        parse_yaml("a: &a [*a]", "it")
    assert parse_yaml("a: &a [1]\nb: *a", "it") == {"a": [1], "b": [1]}
    path = tmp_path / "metadata.yaml"
    path.write_text(
        BOMB + "rosbag2_bagfile_information: {ros_distro: *i, relative_file_paths: []}"
    )
    assert "written out" in read_metadata(path).problem


@pytest.mark.parametrize(
    "value",
    ["2001-99-99", "!!int x", "!!int ''", "!!bool x", "!!float x", "!!timestamp x",
     "!!binary x", "{[1]: 2}", "[" * 5000, "*x", "!!python/object:os.system x",
     "0b", "1:99:", "&a [*a]"],
)  # fmt: skip
def test_whatever_yaml_refuses_is_an_error_of_settings(value: str) -> None:
    with pytest.raises(AvemoError, match=r"emotion\.hop_s"):
        PipelineConfig.read(None, [f"emotion.hop_s={value}"])


def test_json_that_is_nested_without_end_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too deeply"):
        parse_json("[" * 100_000)
    deep = tmp_path / "log.jsonl"
    deep.write_text("[" * 100_000)
    with pytest.raises(AvemoError, match="too deeply"):
        read_log(tmp_path)
    with pytest.raises(AvemoError, match="too deeply"):
        read_json(deep)
    with pytest.raises(DataError, match="too deeply"):
        read_result(deep)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(
        path,
        clip=np.array(["a"]),
        start=np.array([0]),
        step=np.zeros((3000, 68, 2), np.float32),
    )
    monkeypatch.setattr("avemo_ros.data.landmark_table.MAX_FILE_FREELY", 1000)
    monkeypatch.setattr("avemo_ros.data.landmark_table.MAX_FILE_RATIO", 10)
    with pytest.raises(DataError, match="unpacks to"):
        read_points(path)


@pytest.mark.parametrize(
    "head",
    [b"{'descr': (", b"", b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b"["],
)
def test_arrays_whose_heads_make_no_sense_are_errors_of_data(
    tmp_path: Path, head: bytes
) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("clip", "start", "step"):
            text = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head
            archive.writestr(f"{name}.npy", text)
    with pytest.raises(DataError, match="cannot be read"):
        read_points(path)


# --- results of other hands


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    one = session("hall", [seg(0, 3, "neutral", "Anna"), seg(3, 6, "happy", "Anna")])
    return outcome([one]).result


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("passed", "yes"),
        ("figures", []),
        ("figures.ua", "0.5"),
        ("overall.classes", 7),
        ("overall.segments.list.0.start_s", None),
        ("overall.segments.list.0.truth", "bored"),
        ("overall.segments.list.0.claims", "all"),
        ("overall.segments.list.0.person", ["Anna"]),
        ("overall.frames.confusion", [[1]]),
        ("overall.worst", [99]),
        ("overall.calibration.bins.counts", [1]),
        ("overall.coverage.curve", [{}]),
        ("bags.0.figures", None),
        ("bags.0.seconds", 1e300),
        ("model.sha256", 5),
        ("settings", []),
        ("thresholds", [{"figure": "ua"}]),
        ("failed", [1]),
    ],
)
def test_a_result_that_is_wrong_anywhere_is_refused_with_its_place(
    tmp_path: Path, result: dict[str, Any], place: str, value: Any
) -> None:
    wrong = json.loads(json.dumps(result))
    *within, last = place.split(".")
    at: Any = wrong
    for name in within:
        at = at[int(name) if isinstance(at, list) else name]
    at[last] = value
    path = tmp_path / "a.json"
    path.write_text(json.dumps(wrong))
    (tmp_path / "b.json").write_text(json.dumps(result))
    with pytest.raises(DataError, match=place.split(".")[0]):
        read_result(path)
    assert main(["bag", "compare", str(tmp_path / "b.json"), str(path)]) == 2


# --- weights of other hands


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "face.safetensors"
    save_model(
        tiny_models.made(tiny_models.FACE), tiny_models.spec(tiny_models.FACE), path, "tiny"
    )
    return path


@pytest.mark.parametrize("name", ["classes", "spec", "name", "temperature"])
@pytest.mark.parametrize(
    "text", ["", "5", "null", "{", "[[]]", '{"kind": 7}', "[" * 50_000, None]
)
def test_notes_that_make_no_sense_are_an_error_of_weights(
    tmp_path: Path, face: Path, name: str, text: str | None
) -> None:
    if name == "name" and text is not None:
        pytest.skip("any text is a name")
    stored = read_tensors(face, ("avemo-model-1",))
    about = {key: value for key, value in stored.about.items() if key != name}
    if text is not None:
        about[name] = text
    path = tmp_path / "a.safetensors"
    write_tensors(path, stored.tensors, about)
    if (name, text) == ("temperature", "5"):
        open_model(str(path), "face")
        return
    with pytest.raises(WeightsError):
        open_model(str(path), "face")


@pytest.mark.parametrize(
    "head",
    [
        b"{}",
        b"[]",
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 99999999999]}}',
        b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [99999999, 99999999], "data_offsets": [0, 4]}}',
        b'{"__metadata__": {"format": 7}}',
        b'{"__metadata__": []}',
        b'{"a": 5}',
        b"{" * 3000,
    ],
)
def test_heads_of_safetensors_that_make_no_sense_are_errors_of_weights(
    tmp_path: Path, head: bytes
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))
    for read in (lambda: read_tensors(path, ("x",)), lambda: open_model(str(path), "face")):
        with pytest.raises(WeightsError):
            read()
    with contextlib.suppress(WeightsError):
        assert read_state_dict(path) == {}


def test_tensors_of_unusual_types_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for dtype in (torch.bfloat16, torch.int8, torch.bool, torch.float64, torch.complex64):
        write_tensors(path, {"a": torch.zeros(3, dtype=dtype)}, {"format": "x"})
        assert read_tensors(path, ("x",)).tensors["a"].dtype == dtype
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="format"):
        read_tensors(path, ("x",))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"default": [], "models": {}}', '{"default": "a", "models": {"a": []}}',
     '{"default": "a", "models": {"a": {"file": 5, "sha256": "x"}}}',
     '{"default": "a", "defaults": 7, "models": {}}', "[" * 50_000],
)  # fmt: skip
def test_an_index_of_models_that_makes_no_sense_is_an_error_of_weights(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(WeightsError):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("t", 10**400), ("t", -(10**30)), ("confidence", 10**400), ("probabilities", [1]),
     ("probabilities", {"happy": 10**400}), ("status", []), ("window_start", 10**400)],
)  # fmt: skip
def test_states_whose_numbers_are_none_are_refused_with_their_line(
    tmp_path: Path, name: str, value: Any
) -> None:
    row = {
        "t": 1.0, "window_start": 0.5, "person_id": "p", "face_id": "f", "voice_id": "",
        "label": "happy", "confidence": 0.6, "face_share": 1.0, "voice_share": 0.0,
        "probabilities": None, "status": "NO_VOICE", "speaking": False, "model_id": "tiny",
        "attended": True,
    }  # fmt: skip
    path = tmp_path / "states.jsonl"
    path.write_text(json.dumps(row))
    assert len(list(recorded_estimates(path))) == 1
    path.write_text(json.dumps(row | {name: value}))
    with pytest.raises(DialogError, match="line 1"):
        list(recorded_estimates(path))


def test_a_stored_replay_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    for text in (
        b"",
        b"[" * 100_000,
        b'{"kind": "Box", "values": [[]]}',
        b'{"kind": 7}',
        b"{}",
    ):
        path.write_bytes(gzip.compress(text))
        assert read_replayed(path) is None
    path.write_bytes(path.read_bytes()[:-9])
    assert read_replayed(path) is None


# --- the fuzz itself, a short part of `make fuzz`


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spoilt_inputs_of_every_door_work_or_are_errors_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fuzz import main as fuzz

    status = fuzz(["--cases", "500"])
    assert status == 0, capsys.readouterr().out
