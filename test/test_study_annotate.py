"""The page to label recordings in the browser."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import visit
from clip_bags import sample_bag
from sklearn.metrics import cohen_kappa_score

from avemo_ros.annotations.label_files import read_labels
from avemo_ros.errors import ConfigError
from avemo_ros.source.media_file import MediaFile
from avemo_ros.study import annotation_server
from avemo_ros.study.annotation_server import AnnotationServer, AnnotationSession
from avemo_ros.timing import to_s

BEN = [{"start": 0, "end": 1, "label": "neutral"}, {"start": 1, "end": 2, "label": "sad"}]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_bag(tmp_path_factory.mktemp("bags") / "day1", 3.0, 1.0, jpeg_quality=80)


@pytest.fixture
def session(bag: Path, tmp_path: Path) -> AnnotationSession:
    (tmp_path / "videos").mkdir()
    (tmp_path / "labels").mkdir()
    return AnnotationSession([bag], "ann", tmp_path / "labels", tmp_path / "videos")


def other(session: AnnotationSession, bag: Path, tmp_path: Path, *, done: bool) -> None:
    """What Ben has labelled in the same folder."""
    ben = AnnotationSession([bag], "ben", tmp_path / "labels", tmp_path / "videos")
    ben.save("day1", BEN, done=done)


@pytest.fixture
def server(session: AnnotationSession) -> Iterator[AnnotationServer]:
    with AnnotationServer(session) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_labels_are_a_file_that_the_package_reads(session: AnnotationSession) -> None:
    assert session.load("day1") == {"labels": [], "done": False}
    session.save("day1", BEN, done=True)
    found = read_labels(session.file("day1"))
    assert [(to_s(one.start_ns), to_s(one.end_ns), one.label, one.annotator)
            for one in found.segments] == [
        (0, 1, "neutral", "ann"), (1, 2, "sad", "ann")
    ]  # fmt: skip
    assert session.load("day1") == {"labels": BEN, "done": True}
    session.save("day1", [], done=False)
    assert session.load("day1") == {"labels": [], "done": False}


@pytest.mark.parametrize("rater", ["", "a.b", "../x", "labels", "a b"])
def test_a_rater_is_part_of_a_name(bag: Path, tmp_path: Path, rater: str) -> None:
    with pytest.raises(ConfigError, match="--rater"):
        AnnotationSession([bag], rater, None, tmp_path)


def test_agreement_is_told_only_of_what_both_have_finished(
    session: AnnotationSession, bag: Path, tmp_path: Path
) -> None:
    mine = [
        {"start": 0, "end": 1.5, "label": "neutral"},
        {"start": 1.5, "end": 3, "label": "sad"},
    ]
    session.save("day1", mine, done=False)
    other(session, bag, tmp_path, done=True)
    assert session.compared()["kappa"] is None
    session.save("day1", mine, done=True)
    other(session, bag, tmp_path, done=False)
    assert session.compared()["kappa"] is None
    other(session, bag, tmp_path, done=True)
    found = session.compared()
    ours = ["neutral"] * 15 + ["sad"] * 5
    theirs = ["neutral"] * 10 + ["sad"] * 10
    assert found["kappa"] == pytest.approx(cohen_kappa_score(ours, theirs))
    assert (found["seconds"], found["recordings"], found["raters"]) == (2.0, 1, 2)


def test_the_video_begins_where_labels_count_from(session: AnnotationSession) -> None:
    with MediaFile(session.video("day1")) as video:
        assert video.has_audio
        first = next(item for item in video if hasattr(item, "image"))
        assert first.stamp_ns < 0.05e9
        assert video.duration_s == pytest.approx(3.0, abs=0.2)


def status(address: str, data: bytes | None = None, host: str = "") -> int:
    request = urllib.request.Request(address, data)
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_this_machine_and_this_page_get_in(
    server: AnnotationServer, session: AnnotationSession
) -> None:
    assert server.server_address[0] == "127.0.0.1"
    port = server.server_address[1]
    assert status(server.address) == 200
    assert status(f"http://127.0.0.1:{port}/") == 403
    assert status(f"http://127.0.0.1:{port}/guess/recordings") == 403
    assert status(server.address, host=f"evil.example:{port}") == 403
    assert status(f"{server.address}labels/..%2F..%2Fetc%2Fpasswd") == 404
    wrong = json.dumps({"labels": [{"start": 0, "end": 1, "label": "hapy"}], "done": False})
    assert status(f"{server.address}labels/day1", wrong.encode()) == 400
    assert status(f"{server.address}labels/day1", b"[") == 400
    assert not session.file("day1").exists()


DRIVE = """<script>
(async () => {
  // The browser's virtual time stands still while it waits for an answer, not for a video.
  const wait = () => fetch("recordings").then(answer => answer.text());
  const seek = async t => { video.currentTime = t; while (video.seeking) await wait(); };
  const key = which => document.dispatchEvent(new KeyboardEvent("keydown", {key: which}));
  while (!emotions.length || video.readyState < 2) await wait();
  await seek(0); key("5");
  await seek(1.0); key("1"); key("Backspace");
  await seek(1.5); key("6");
  await seek(2.5); key("0");
  await saving;
  at("done").click();
  while (!at("says").textContent.includes("kappa")) await wait();
  document.title = "driven";
})();
</script></body>"""


@pytest.mark.slow
def test_two_raters_label_in_a_browser(
    server: AnnotationServer,
    session: AnnotationSession,
    bag: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = tmp_path / "page.html"
    text = annotation_server.PAGE.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", DRIVE), encoding="utf-8")
    monkeypatch.setattr(annotation_server, "PAGE", page)
    other(session, bag, tmp_path, done=True)
    shown = visit(server.address, tmp_path)
    assert "<title>driven</title>" in shown.document, shown.complaints
    found = read_labels(session.file("day1")).segments
    assert [(one.label, one.annotator) for one in found] == [("neutral", "ann"), ("sad", "ann")]
    times = [to_s(edge) for one in found for edge in (one.start_ns, one.end_ns)]
    assert times == pytest.approx([0.0, 1.5, 1.5, 2.5], abs=0.002)
    assert "kappa 0.50 over 2.0 s" in shown.document
    assert (
        "ben"
        not in re.sub(r"<script>.*?</script>", "", shown.document, flags=re.DOTALL).lower()
    )
    own = f"http://127.0.0.1:{server.server_address[1]}/"
    assert all(address.startswith(own) for address in shown.requests)
