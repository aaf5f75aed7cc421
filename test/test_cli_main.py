"""The command line itself."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avemo_ros import __version__
from avemo_ros.cli.main import main
from avemo_ros.model.released import models_dir

SAMPLE = Path(__file__).resolve().parent / "data" / "sample.mp4"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the released models that a test may damage."""
    folder = tmp_path / "models"
    shutil.copytree(models_dir(), folder)
    monkeypatch.setenv("AVEMO_MODELS", str(folder))
    return folder


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"avemo {__version__}"


@pytest.mark.parametrize("arguments", [[], ["predict"], ["nonsense"], ["predict", "a", "--no"]])
def test_wrong_usage_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: avemo" in capsys.readouterr().err


def test_a_renamed_option_still_works_and_says_its_new_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
    page = tmp_path / "chat.html"
    assert main(["dialog", "chat", "--html", str(page)]) == 0
    assert "--html is now --report" in capsys.readouterr().err
    assert "hello" in page.read_text()
    assert main(["predict", str(tmp_path / "none.mp4"), "--page", str(page)]) == 2
    told = capsys.readouterr().err
    assert "--page is now --report" in told
    assert "chat.html" in told
    arguments = ["dialog", "evaluate", "--json", str(tmp_path / "out.json")]
    assert main([*arguments, "--params", str(tmp_path / "none.yaml")]) == 2
    told = capsys.readouterr().err
    assert "--params is now --config" in told
    assert "none.yaml" in told


def test_help_tells_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "130" in capsys.readouterr().out


def test_models_are_listed_with_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--verify"]) == 0
    index = json.loads((models_dir() / "index.json").read_text())
    out = capsys.readouterr().out
    for name in index["models"]:
        (line,) = [text for text in out.splitlines() if text.startswith(f"{name} ")]
        assert "checksum matches, loads" in line
        assert ("default" in line) == (name == index["default"])


def test_a_damaged_model_is_found(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = json.loads((copied / "index.json").read_text())
    path = copied / index["models"][index["default"]]["file"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main(["models"]) == 2
    assert "damaged" in capsys.readouterr().out
    assert main(["predict", str(SAMPLE)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_no_models_at_all_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(copied)
    assert main(["models"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_interrupt_while_libraries_are_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    for arguments in (["models"], ["bag", "check", "x"]):
        with monkeypatch.context() as patched:
            patched.setattr("avemo_ros.cli.main.import_module", interrupted)
            assert main(arguments) == 130
        assert capsys.readouterr().err == "avemo: interrupted\n"


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "avemo_ros.cli.main", "predict", str(SAMPLE), "--quiet"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"t": 0.1')
        process.stdout.close()
        complaints = process.stderr.read()
        assert process.wait(100) == 0
    assert "Traceback" not in complaints
    assert "avemo:" not in complaints


def test_what_a_robot_is_not_given_is_named_with_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from avemo_ros.cli.main import main; sys.exit(main(['bag', 'evaluate', 'x.mcap']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'torch'" in done.stderr
    assert "pip install '.[evaluate]'" in done.stderr
    assert "Traceback" not in done.stderr
