# ruff: noqa: E501  (tables of what is odd)
"""What files and texts from outside come in by, and how they are spoilt for `make fuzz`.

Each door reads one spoilt input.  It works, or it raises an error of the package's own kind;
nothing else, and soon.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import math
import random
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tiny_bags
import tiny_models
import torch
from made_evaluations import outcome, seg, session
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from media_files import write_media

from avemo_ros.annotations.label_files import labels_of, read_labels
from avemo_ros.annotations.yaml_labels import segments_of_events
from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.bag.check import check
from avemo_ros.bag.check_report import as_json, report
from avemo_ros.bag.folder import read_custom_data
from avemo_ros.bag.reader import BagImage, Recording
from avemo_ros.bag.storage import read_offered_qos
from avemo_ros.cli.bag_compare import summary
from avemo_ros.config import PipelineConfig
from avemo_ros.data.feature_cache import DiskCache, ItemSource
from avemo_ros.data.features import read_units
from avemo_ros.data.landmark_table import read_points
from avemo_ros.data.splits import read_split
from avemo_ros.dialog.dialog_config import EndpointConfig
from avemo_ros.dialog.language import ValenceLexicon
from avemo_ros.dialog.policy import Policy
from avemo_ros.dialog.scenario import read_sayings, read_scenario
from avemo_ros.dialog.scenario_estimates import recorded_estimates
from avemo_ros.errors import AvemoError, ImageError
from avemo_ros.evaluate.opened_models import open_model
from avemo_ros.evaluate.predictions import read_predictions
from avemo_ros.model.released import read_index
from avemo_ros.model.tensor_file import read_state_dict, read_tensors, write_tensors
from avemo_ros.replay.compare import compare, read_result
from avemo_ros.replay.named_metrics import has_no_bag
from avemo_ros.replay.replayed import read_replayed
from avemo_ros.report.compare_page import render
from avemo_ros.source.media_file import MediaFile
from avemo_ros.train.config_file import load_config
from avemo_ros.train.run_folder import load_checkpoint, read_json, read_log
from avemo_ros.train.search_space import read_tune
from avemo_ros.untrusted import shown
from avemo_ros.zoo.model_file import save_model

ROOT = Path(__file__).resolve().parent.parent
_START = tiny_bags.START


@dataclass(frozen=True, slots=True)
class Seed:
    """A sound input."""

    name: str
    """Of its file."""
    data: bytes


Spoil = Callable[[Seed, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Door:
    """Where input comes in."""

    seeds: Callable[[Path], list[Seed]]
    """Makes them, in an empty folder."""
    spoil: Spoil
    read: Callable[[Path], object]
    """Takes the spoilt file."""
    share: int = 1
    """How many cases it gets, against the others."""


# --- spoiling


_WORDS = (
    "", " ", "0", "-1", "1e999", "-1e999", "nan", ".nan", ".inf", "-.inf", "null", "~", "true",
    "[]", "{}", "''", '""', "[[[[", "{{{{", "&a [*a, *a]", "*b", "<<: *b", "!!python/object:os",
    "!!binary x", "!!timestamp x", "!!int x", "!!float x", "!!set [1]", "!!omap x", "? [1, 2]",
    "2001-99-99", "2001-01-01", "0x_", "0b", "1:60:99", "9" * 5000, "9" * 30, "\x1b[31m", "\0",
    "\u202e", "\ufeff", "\ud7ff", "\U0010ffff", "\r", "\n", "\t", ",", ";", '"', "'", ":", "- ",
    "<script>", "%s", "..", "/", "http://[::1].x", "\\ud800", "\u0661", "0001", "+1", "1_000",
    "[" * 3000, '{"a":' * 3000, "a: " * 500, "0" * 400 + "1",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, 2**64, -(2**70), 10**400, 0.5, -0.0, 1e308, math.nan,
    math.inf, -math.inf, "", "x", "\x1b[2J", "\ud800", "happy", "nan", "a" * 5000, [], [[]], {},
    [None], {"a": 1}, {"": {}}, [1, "a", None], [[[[[[]]]]]],
)  # fmt: skip


def text_spoilt(seed: Seed, rng: random.Random) -> bytes:
    """Words, lines and signs of a text in other places, or others in their place."""
    if rng.random() < 0.1:
        return bytes_spoilt(seed, rng)
    text = seed.data.decode()
    for _ in range(rng.randint(1, 4)):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))] if lines else "")
        elif kind == 2:
            lines.insert(at, rng.choice(_WORDS))
        elif kind == 3:
            lines[at] = rng.choice((" ", "  ", "\t", "- ", "# ")) + lines[at]
        else:
            # A value: what stands after a sign that parts values.
            line = lines[at]
            places = [i + 1 for i, sign in enumerate(line) if sign in ",:=\t\"' <>-"] or [0]
            start = rng.choice(places)
            ends = [i for i in places if i > start] or [len(line) + 1]
            lines[at] = line[:start] + rng.choice(_WORDS) + line[rng.choice(ends) - 1 :]
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def bytes_spoilt(seed: Seed, rng: random.Random) -> bytes:
    """Bytes that are changed, lost, added or repeated, and numbers that are too large."""
    data = bytearray(seed.data)
    for _ in range(rng.randint(1, 5)):
        end = len(data) if rng.random() < 0.7 else min(len(data), 200)
        at = rng.randrange(end) if end else 0
        kind = rng.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            data[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 2**31 - 1, 2**32 - 1]))
        elif kind == 2:
            data[at : at + 8] = struct.pack("<Q", rng.choice([0, 2**32, 2**62, 2**64 - 1]))
        elif kind == 3:
            data[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 2**24, 2**32 - 1]))
        elif kind == 4:
            del data[at : at + rng.randint(1, 60)]
        elif kind == 5:
            data[at:at] = data[at : at + rng.randint(1, 60)]
        elif kind == 6:
            data[at:at] = rng.randbytes(rng.randint(1, 30))
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def tree_spoilt(content: Any, rng: random.Random) -> Any:
    """A copy of nested lists and mappings, of which one value, name or type is another."""
    content = json.loads(json.dumps(content)) if not isinstance(content, str) else content
    for _ in range(rng.randint(1, 3)):
        holders = [one for one in _within(content) if one]
        if not holders:
            return _odd(rng)
        # Deep values are many and alike: each depth gets its share.
        holder = rng.choice(holders if rng.random() < 0.5 else holders[:12])
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            if isinstance(holder, dict):
                holder[rng.choice(("", "x", "\x1b[2J", str(key) * 2))] = holder.pop(key)
            else:
                holder.append(holder[key])
        elif kind == 2:
            value = holder[key]
            holder[key] = rng.choice(([value], {"a": value}, str(value)))
        else:
            holder[key] = _odd(rng)
    return content


def _odd(rng: random.Random) -> Any:
    """A copy, as it may be spoilt further."""
    return copy.deepcopy(rng.choice(_VALUES))


def json_spoilt(seed: Seed, rng: random.Random) -> bytes:
    """JSON whose values are others, and now and then a text that is none."""
    if rng.random() < 0.2:
        return text_spoilt(seed, rng)
    return json.dumps(tree_spoilt(json.loads(seed.data), rng)).encode("utf-8", "surrogatepass")


def _within(content: Any) -> Iterator[Any]:
    """Mappings and lists, the outermost first."""
    waiting = [content]
    for one in waiting:
        if isinstance(one, dict | list):
            yield one
            waiting += one.values() if isinstance(one, dict) else one


def tensors_spoilt(seed: Seed, rng: random.Random) -> bytes:
    """A safetensors file with another head, or one of ours with other notes, well sealed."""
    if rng.random() < 0.2 or not seed.name.endswith(".safetensors"):
        return bytes_spoilt(seed, rng)
    (length,) = struct.unpack("<Q", seed.data[:8])
    head, body = json.loads(seed.data[8 : 8 + length]), seed.data[8 + length :]
    if rng.random() < 0.5:
        spoilt = json.dumps(tree_spoilt(head, rng)).encode("utf-8", "surrogatepass")
        spoilt += b" " * (-len(spoilt) % 8)
        return struct.pack("<Q", len(spoilt)) + spoilt + body
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.safetensors"
        path.write_bytes(seed.data)
        stored = read_tensors(path, (head["__metadata__"]["format"],))
        about, tensors = dict(stored.about), dict(stored.tensors)
        name = rng.choice(sorted(about))
        if name != "format":
            try:
                about[name] = json.dumps(tree_spoilt(json.loads(about[name]), rng))
            except ValueError:
                about[name] = rng.choice(_WORDS)
            about[name] = about[name].encode("utf-8", "replace").decode()
        if rng.random() < 0.3:
            del about[rng.choice(sorted(set(about) - {"format"}))]
        if rng.random() < 0.4:
            name = rng.choice(sorted(tensors))
            tensor = tensors.pop(name)
            if rng.random() < 0.7:
                made = (
                    tensor.reshape(-1), tensor.reshape(-1)[:0], tensor.to(torch.int8),
                    tensor.unsqueeze(0), torch.zeros(0), tensor.bool(), tensor.to(torch.bfloat16),
                    tensor * math.nan if tensor.is_floating_point() else tensor,
                )  # fmt: skip
                tensors[name] = rng.choice(made)
        write_tensors(path, tensors, about)
        return path.read_bytes()


# --- bags


@functools.cache
def _rows() -> list[tuple[str, str, int, bytes, str]]:
    """Topic, type, time, message and definition: what is needed, and little of it."""
    at = _START
    rows = [tiny_bags.info(at), tiny_bags.speaking(at + 1, value=True)]
    rows += [tiny_bags.image_row(n, at + n * 40 * tiny_bags.MS) for n in range(2)]
    rows += [tiny_bags.sound(n, at + (n + 1) * 20 * tiny_bags.MS) for n in range(2)]
    rows += [tiny_bags.text('{"label": "happy"}', at + 5 * tiny_bags.MS)]
    for make in (tiny_bags.tracks, tiny_bags.chunk, tiny_bags.states):
        rows.append(make(at + 10 * tiny_bags.MS))
    return [
        (
            row.topic,
            row.type,
            row.log_ns,
            bytes(tiny_bags.STORE.serialize_cdr(row.message, row.type)),
            tiny_bags.STORE.generate_msgdef(row.type, ros_version=2)[0],
        )
        for row in rows
    ]


_NAMES = ("", "/", "\x1b[2J", "/image_raw", "/audio", "\u202e", "a" * 3000, "/labels", "\n")
_TYPES = (
    "",
    "x",
    "std_msgs/msg/String",
    "sensor_msgs/msg/Image",
    "a/b/c/d",
    "/msg/",
    "\x1b[1m",
)
_LINES = (
    "string[20000000] a", "uint8[4000000000] a", "uint8[<=0] a", "uint8[-1] a", "int32 X=99999999999",
    "float64[9999999] a", "string<=1 a", "Header header", "a/b c", "uint8 a=", "string S='", "MSG: x",
    "=" * 80, "===\nMSG: a/b", "int8[2] a [1,2,3]", "bool a", "string a", "wstring a", "uint8[] a",
    "std_msgs/Header a", "sensor_msgs/Image a", "byte a", "char a", "", "\0", "\x1b[2J",
    "const long A = ((((((((((1))))))))));", "module a { struct b { string a; }; };",
    "@verbatim(language=\"comment\", text=\"x\")", "[" * 400, "(" * 400, "{" * 400,
)  # fmt: skip


def mcap_crafted(seed: Seed, rng: random.Random) -> bytes:
    """A well-formed file of messages, types and definitions that are none."""
    out = io.BytesIO()
    kind = rng.choice([CompressionType.NONE, CompressionType.ZSTD, CompressionType.LZ4])
    writer = McapWriter(out, chunk_size=4000, compression=kind, use_chunking=rng.random() < 0.8)
    writer.start(profile="ros2")
    rows = [list(row) for row in _rows() if rng.random() < 0.7]
    for row in rows:
        if rng.random() > 2 / (len(rows) + 1):
            continue
        what = rng.randrange(6)
        if what == 0:
            row[0] = rng.choice(_NAMES)
        elif what == 1:
            row[1] = rng.choice(_TYPES)
        elif what == 2:
            row[2] = rng.choice((0, 1, 2**63 - 1, 2**63, _START - 10**12, _START + 10**15))
        elif what == 3:
            row[3] = bytes_spoilt(Seed("", row[3]), rng)
        else:
            lines = row[4].split("\n")
            for _ in range(rng.randint(1, 3)):
                lines.insert(rng.randrange(len(lines)), rng.choice(_LINES))
            if rng.random() < 0.5:
                del lines[rng.randrange(len(lines))]
            row[4] = "\n".join(lines)
    language = rng.choice(("ros2msg",) * 8 + ("ros2idl", "", "x"))
    coding = rng.choice(("cdr",) * 10 + ("", "json"))
    channels: dict[tuple[str, str], int] = {}
    for topic, name, log_ns, data, definition in rows:
        if (topic, name) not in channels:
            schema = writer.register_schema(name, language, definition.encode())
            channels[topic, name] = writer.register_channel(topic, coding, schema)
        writer.add_message(channels[topic, name], log_ns, data, log_ns)
    writer.finish()
    return out.getvalue()


_SQL = (
    "UPDATE messages SET {m} = {v}",
    "UPDATE messages SET {m} = {v} WHERE id = 2",
    "UPDATE topics SET {t} = {v}",
    "UPDATE topics SET {t} = {v} WHERE id = 1",
    "DELETE FROM topics WHERE id = 1",
    "DROP TABLE topics",
    "DROP TABLE messages",
    "DROP TABLE message_definitions",
    "ALTER TABLE messages RENAME TO m; CREATE VIEW messages AS SELECT * FROM m",
    "ALTER TABLE messages RENAME TO m; CREATE VIEW messages AS WITH RECURSIVE c(x) AS (SELECT 1 "
    "UNION ALL SELECT x+1 FROM c) SELECT x AS id, 1 AS topic_id, x AS timestamp, x'00' AS data "
    "FROM c",
    "ALTER TABLE topics RENAME TO t; CREATE VIEW topics AS WITH RECURSIVE c(x) AS (SELECT 1 UNION "
    "ALL SELECT x+1 FROM c) SELECT x AS id, 'a'||x AS name, 'b' AS type, 'cdr' AS "
    "serialization_format, '' AS offered_qos_profiles FROM c",
    "ALTER TABLE topics RENAME TO t; CREATE VIEW topics AS SELECT * FROM t WHERE (SELECT count(*) "
    "FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k, t l) > 0",
    "UPDATE messages SET data = zeroblob(300000000) WHERE id = 1",
    "UPDATE message_definitions SET encoded_message_definition = {v}",
    "UPDATE message_definitions SET encoding = {v}",
    "CREATE TABLE x (a)",
    "INSERT INTO topics SELECT id + 1000, name, type, serialization_format, '', '' FROM topics",
)
_SQL_VALUES = (
    "NULL", "''", "-1", "0", "1", "1.5", "'x'", "x'00'", "9223372036854775807", "1e300",
    "-9223372036854775808", "x'ff1b5b32'", "char(27)||'[2J'", "'a/b/c'", "zeroblob(5000)",
)  # fmt: skip


def database_crafted(seed: Seed, rng: random.Random) -> bytes:
    """A database with other values and tables, or with other bytes."""
    if rng.random() < 0.4:
        return bytes_spoilt(seed, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db3"
        path.write_bytes(seed.data)
        base = sqlite3.connect(path)
        for _ in range(rng.randint(1, 3)):
            sql = rng.choice(_SQL).format(
                m=rng.choice(("id", "topic_id", "timestamp", "data")),
                t=rng.choice(("id", "name", "type", "serialization_format")),
                v=rng.choice(_SQL_VALUES),
            )
            try:
                base.executescript(sql)
            except sqlite3.Error:
                continue
        base.commit()
        base.close()
        return path.read_bytes()


def _mcap_seeds(folder: Path) -> list[Seed]:
    rows = [
        tiny_bags.Row(topic, kind, log_ns, tiny_bags.STORE.deserialize_cdr(data, kind))
        for topic, kind, log_ns, data, _ in _rows()
    ]
    found = []
    for name, kind, chunked in (
        ("none", CompressionType.NONE, True),
        ("zstd", CompressionType.ZSTD, True),
        ("lz4", CompressionType.LZ4, True),
        ("loose", CompressionType.NONE, False),
    ):
        path = folder / f"{name}.mcap"
        tiny_bags.write_mcap(path, rows, kind, chunked=chunked, chunk_size=3000)
        found.append(Seed(path.name, path.read_bytes()))
    packed = tiny_bags.write(folder / "packed", rows, packed="file")
    found += [Seed(path.name, path.read_bytes()) for path in packed.glob("*.zstd")]
    return found


def _database_seeds(folder: Path) -> list[Seed]:
    rows = [
        tiny_bags.Row(topic, kind, log_ns, tiny_bags.STORE.deserialize_cdr(data, kind))
        for topic, kind, log_ns, data, _ in _rows()
    ]
    found = []
    for packed in ("", "message"):
        bag = tiny_bags.write(folder / f"bag{packed}", rows, "sqlite3", packed=packed)
        found += [Seed(path.name, path.read_bytes()) for path in bag.glob("*.db3*")]
    return found


def _metadata_seeds(folder: Path) -> list[Seed]:
    found = []
    for storage in ("mcap", "sqlite3"):
        bag = tiny_bags.write(folder / storage, tiny_bags.session(0.1), storage)
        found.append(Seed("metadata.yaml", (bag / "metadata.yaml").read_bytes()))
    return found


def read_bag(path: Path) -> None:
    """As `bag check`, `bag evaluate` and training read it."""
    checked = check(path)
    no_control(shown(report(checked)))
    json.dumps(as_json(checked))
    with Recording(path) as recording:
        for _, item in recording.items(recording.kinds):
            if isinstance(item, BagImage):
                try:
                    _ = item.image
                except ImageError:
                    continue
            elif isinstance(item, AudioBlock):
                assert len(item.samples) >= 0
        labels_of(recording, beside=False)
        assert recording.problems is not None


def read_metadata_of_bag(path: Path) -> None:
    """Beside a sound file."""
    bag = path.parent / "bag"
    if not bag.exists():
        tiny_bags.write(bag, tiny_bags.session(0.1))
    shutil.copy(path, bag / "metadata.yaml")
    read_custom_data(bag)
    read_offered_qos(bag)
    check(bag)


def no_control(text: str) -> None:
    """Nothing that steers a terminal is in a text that is printed."""
    assert not any(ord(sign) < 32 and sign not in "\n\t" for sign in text), repr(text)


# --- labels


def _label_seeds(folder: Path) -> list[Seed]:
    return [
        Seed(
            "a.csv",
            b"person,start,end,label,valence,arousal,annotator\nAnna,0,3,happy,0.5,,x\n"
            b"Bob,1.5,2,sad,,,\nBob,2,2.5,fear,-1,1,y\n",
        ),
        Seed("b.csv", b"start;end;label\n0,5;1,5;neutral\n2;3;anger\n"),
        Seed(
            "c.yaml",
            b"time: bag\npeople:\n  Anna: [f0001, v1]\n  Bob: f2\nsegments:\n"
            b"  - {person: Anna, start: 0, end: 3, label: happy}\n"
            b"  - {person: Bob, start: 1, end: 2.5, label: sad, valence: 0.1, arousal: 0,\n"
            b"     annotator: x, x: 0.1, y: 0.2, width: 0.3, height: 0.4}\n",
        ),
        Seed("d.txt", b"0.000\t1.500\thappy\n1.5\t3\tsad\n\\\t100\t200\n"),
        Seed(
            "e.eaf",
            b'<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT>\n<TIME_ORDER>\n'
            b'<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="0"/>\n<TIME_SLOT TIME_SLOT_ID="b"/>\n'
            b'<TIME_SLOT TIME_SLOT_ID="c" TIME_VALUE="3000"/>\n</TIME_ORDER>\n'
            b'<TIER TIER_ID="Anna@x" PARTICIPANT="Anna" ANNOTATOR="x">\n<ANNOTATION>'
            b'<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">'
            b"<ANNOTATION_VALUE>happy</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>\n"
            b'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="b" '
            b'TIME_SLOT_REF2="c">\n<ANNOTATION_VALUE>sad</ANNOTATION_VALUE>'
            b"</ALIGNABLE_ANNOTATION></ANNOTATION></TIER>\n"
            b'<TIER TIER_ID="copy">\n<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" '
            b'ANNOTATION_REF="a1"><ANNOTATION_VALUE>happy</ANNOTATION_VALUE></REF_ANNOTATION>'
            b"</ANNOTATION></TIER>\n</ANNOTATION_DOCUMENT>\n",
        ),
    ]


def _message_seeds(folder: Path) -> list[Seed]:
    texts = (
        '{"label": "happy", "person": "Anna"}',
        '[{"label": "sad", "start": 1, "end": 2, "valence": 0.5}, {"label": ""}]',
        '{"valence": 0.5, "arousal": -1, "annotator": "x"}',
    )
    return [Seed(f"{place}.json", text.encode()) for place, text in enumerate(texts)]


def read_label_message(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    events = [
        (_START, text),
        (_START + 10**9, '{"label": "happy"}'),
        (_START + 2 * 10**9, text),
    ]
    segments_of_events(events, _START + 10**10, _START)


# --- models


def _model_seeds(folder: Path) -> list[Seed]:
    paths = []
    for raw in (
        tiny_models.FACE,
        tiny_models.SPEECH,
        tiny_models.fused("concat"),
        tiny_models.LIVE,
    ):
        path = folder / f"{raw['kind']}.safetensors"
        save_model(tiny_models.made(raw), tiny_models.spec(raw), path, "tiny")
        paths.append(path)
    return [Seed(path.name, path.read_bytes()) for path in paths]


def _state_seeds(folder: Path) -> list[Seed]:
    paths = [folder / "a.pt", folder / "b.pth"]
    torch.save({"state_dict": {"a.weight": torch.zeros(3, 2)}, "epoch": 3}, paths[0])
    torch.save({"a": torch.zeros(2, dtype=torch.float16)}, paths[1])
    found = [Seed(path.name, path.read_bytes()) for path in paths]
    return [*found, *_model_seeds(folder)[:1]]


def read_model(path: Path) -> None:
    """As `avemo evaluate` opens it."""
    open_model(str(path), "face")


def _index_seeds(folder: Path) -> list[Seed]:
    return [Seed("index.json", (ROOT / "models" / "index.json").read_bytes())]


# --- settings


def _config_seeds(folder: Path) -> list[Seed]:
    return [
        Seed(path.name, path.read_bytes())
        for path in (
            ROOT / "config" / "emotion.yaml",
            *sorted((ROOT / "config/models").iterdir()),
        )
        if path.name in ("emotion.yaml", "live.yaml", "ensemble.yaml", "face-cnn.yaml")
    ]


def read_config(path: Path) -> None:
    """As a parameter file, as one of training, and each line of it as `--set`."""
    texts = path.read_bytes().decode("utf-8", "replace").splitlines()
    for read in (
        lambda: PipelineConfig.read(path),
        lambda: load_config(path),
        lambda: PipelineConfig.read(
            None, [line.strip().replace(": ", "=", 1) for line in texts[:2]]
        ),
    ):
        try:
            read()
        except AvemoError as error:
            str(error)


def _dialog_seeds(folder: Path) -> list[Seed]:
    paths = [
        ROOT / "config" / "scenarios" / "two_people.yaml",
        ROOT / "config" / "scenarios" / "uncertain.yaml",
        ROOT / "test" / "data" / "sayings.yaml",
        ROOT / "config" / "dialog" / "en.yaml",
        ROOT / "config" / "dialog" / "de.yaml",
    ]
    return [Seed(path.name, path.read_bytes()) for path in paths]


def read_dialog(path: Path) -> None:
    kind = {"sayings.yaml": read_sayings, "en.yaml": Policy.read, "de.yaml": Policy.read}
    kind.get(path.name, read_scenario)(path)


def _tune_seeds(folder: Path) -> list[Seed]:
    return [
        Seed(path.name, path.read_bytes()) for path in sorted((ROOT / "config/tune").iterdir())
    ]


_ADDRESSES = (
    "http://localhost:11434/v1", "https://api.example.org/v1", "http://[::1]:8080/v1",
    "http://192.168.1.2/v1", "https://a.b:443",
)  # fmt: skip


def _address_seeds(folder: Path) -> list[Seed]:
    return [Seed("address", text.encode()) for text in _ADDRESSES]


def read_address(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    for name in ("base_url", "proxy", "key_variable", "ca_file"):
        try:
            _ = EndpointConfig(model="tiny", **{name: text}).host
        except AvemoError as error:
            no_control(str(error))


# --- results


def _result_seeds(folder: Path) -> list[Seed]:
    kitchen = session(
        "kitchen", [seg(0, 3, "neutral", "Anna"), seg(3, 6, "happy", "Anna")], latencies_s=[0.1]
    )
    found = outcome([kitchen]).result
    return [Seed("result.json", json.dumps(found).encode())]


@functools.cache
def _sound_result() -> dict[str, Any]:
    return json.loads(_result_seeds(Path())[0].data)


_PAGES = 12
"""Of so many results one becomes a page."""


def read_results(path: Path) -> None:
    """As `bag compare` does with a page and a table."""
    result = read_result(path)
    for results in ([_sound_result(), result], [result, _sound_result()]):
        found = compare(["a", "b"], results)
        no_control(shown("\n".join(summary(found))))
        json.dumps(found)
        # A page takes longer than all else; those of the same input are the same.
        if zlib.crc32(path.read_bytes()) % _PAGES == 0:
            render(found, results)


def _table_seeds(folder: Path) -> list[Seed]:
    from avemo_ros.labels import EMOTIONS

    head = ",".join(["key", "subject", "sex", "true", "said", *(f"p_{e}" for e in EMOTIONS)])
    shares = ",".join(["0.4", *["0.1"] * (len(EMOTIONS) - 1)])
    units = ",".join(["clip", *(f"AU{n}" for n in range(35))])
    numbers = ",".join(str(n / 10) for n in range(35))
    return [
        Seed("a.predictions.csv", f"{head}\na,s1,male,happy,happy,{shares}\n".encode()),
        Seed("b.units.csv", f"{units}\nclip1,{numbers}\nclip2,{numbers}\n".encode()),
        Seed(
            "c.valence.txt", (ROOT / "config" / "dialog" / "valence_en.txt").read_bytes()[:600]
        ),
    ]


def read_table(path: Path) -> None:
    kinds: Mapping[str, Callable[[Path], object]] = {
        "a": read_predictions,
        "b": read_units,
        "c": ValenceLexicon.read,
    }
    kinds[path.name[0]](path)


def _line_seeds(folder: Path) -> list[Seed]:
    shares = {"neutral": 0.4, "happy": 0.6}
    from avemo_ros.labels import EMOTIONS

    row = {
        "t": 1.0, "window_start": 0.5, "person_id": "p", "face_id": "f", "voice_id": "",
        "label": "happy", "confidence": 0.6, "face_share": 1.0, "voice_share": 0.0,
        "probabilities": {e: shares.get(e, 0.0) for e in EMOTIONS}, "status": "FACE_ONLY",
        "speaking": False, "model_id": "tiny", "attended": True,
    }  # fmt: skip
    return [Seed("states.json", json.dumps(row).encode())]


def read_states(path: Path) -> None:
    list(recorded_estimates(path))


def _run_seeds(folder: Path) -> list[Seed]:
    members = {"corpora": ["x"], "subjects": ["s1"], "keys": [], "splits": [], "but": []}
    split = {"train": members, "validation": {**members, "subjects": ["s2"]}}
    torch.save({"epoch": 3, "a": torch.zeros(2)}, folder / "checkpoint.pt")
    return [
        Seed("split.json", json.dumps(split).encode()),
        Seed("log.jsonl", b'{"epoch": 1, "loss": 0.5}'),
        Seed("figures.json", b'{"ua": 0.5, "classes": ["a"]}'),
        Seed("result.xml", b'<testsuite name="avemo">x</testsuite>'),
        Seed("replay.json", b'{"kind": "Box", "values": [0.1, 0.2, 0.3, 0.4]}'),
        Seed("checkpoint.pt", (folder / "checkpoint.pt").read_bytes()),
    ]


def run_spoilt(seed: Seed, rng: random.Random) -> bytes:
    if seed.name.endswith(".pt"):
        return bytes_spoilt(seed, rng)
    return json_spoilt(seed, rng) if "json" in seed.name else text_spoilt(seed, rng)


def read_run(path: Path) -> None:
    if path.name == "split.json":
        read_split(path.parent)
    elif path.name == "log.jsonl":
        read_log(path.parent)
    elif path.name == "figures.json":
        read_json(path, ["ua"])
    elif path.name == "checkpoint.pt":
        load_checkpoint(path.parent)
    elif path.name == "replay.json":
        import gzip

        packed = path.with_suffix(".gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), 1))
        read_replayed(packed)
    else:
        has_no_bag(path)


def _array_seeds(folder: Path) -> list[Seed]:
    path = folder / "points.npz"
    np.savez_compressed(
        path,
        clip=np.array(["a", "b"]),
        start=np.array([0, 5]),
        step=np.zeros((9, 68, 2), np.float32),
        fps=np.float64(25),
    )
    return [Seed(path.name, path.read_bytes())]


def read_arrays(path: Path) -> None:
    read_points(path)
    cache = path.parent / "cache"
    cache.mkdir(exist_ok=True)
    shutil.copy(path, cache / "0.npz")
    list(DiskCache(cache, {}).read([ItemSource("a", "b")]))


# --- media


def _media_seeds(folder: Path) -> list[Seed]:
    made = [
        write_media(folder / "a.mp4", seconds=0.2),
        write_media(folder / "b.mkv", seconds=0.2, audio="pcm_s16le"),
        write_media(folder / "c.wav", seconds=0.1, video=None, audio="pcm_s16le"),
        write_media(folder / "d.avi", seconds=0.2, audio="mp3"),
    ]
    return [Seed(path.name, path.read_bytes()) for path in made]


def read_media(path: Path) -> None:
    with MediaFile(path) as media:
        for _ in media:
            pass


DOORS: Mapping[str, Door] = {
    "mcap bytes": Door(_mcap_seeds, bytes_spoilt, read_bag, 2),
    "mcap messages": Door(_mcap_seeds, mcap_crafted, read_bag),
    "sqlite": Door(_database_seeds, database_crafted, read_bag, 2),
    "metadata": Door(_metadata_seeds, text_spoilt, read_metadata_of_bag, 2),
    "labels": Door(_label_seeds, text_spoilt, read_labels, 8),
    "label messages": Door(_message_seeds, json_spoilt, read_label_message, 8),
    "models": Door(_model_seeds, tensors_spoilt, read_model, 3),
    "state dicts": Door(_state_seeds, tensors_spoilt, read_state_dict, 3),
    "index": Door(_index_seeds, json_spoilt, lambda path: read_index(path.parent), 2),
    "settings": Door(_config_seeds, text_spoilt, read_config, 4),
    "dialog": Door(_dialog_seeds, text_spoilt, read_dialog, 3),
    "tune": Door(_tune_seeds, text_spoilt, lambda path: read_tune(str(path)), 2),
    "addresses": Door(_address_seeds, text_spoilt, read_address, 3),
    "results": Door(_result_seeds, json_spoilt, read_results, 4),
    "tables": Door(_table_seeds, text_spoilt, read_table, 8),
    "states": Door(_line_seeds, json_spoilt, read_states, 8),
    "runs": Door(_run_seeds, run_spoilt, read_run, 8),
    "arrays": Door(_array_seeds, bytes_spoilt, read_arrays, 2),
    "media": Door(_media_seeds, bytes_spoilt, read_media, 4),
}
