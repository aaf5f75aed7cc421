"""The encrypted file of people: kept over runs, readable with the key only, aged out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_state_identity import Room
from test_vision_reidentification import ANNA, BEN, looks

from avemo_ros.config import IdentityConfig
from avemo_ros.errors import ConfigError
from avemo_ros.state.identity import Identity
from avemo_ros.state.identity_file import EnrolledPerson, IdentityFile

fernet = pytest.importorskip("cryptography.fernet")
DAY_S = 86400.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("AVEMO_IDENTITY_KEY", fernet.Fernet.generate_key().decode())
    return {"mode": "file", "file": str(tmp_path / "people")}


def test_who_is_enrolled_is_known_in_the_next_run_and_visitors_are_not(settings) -> None:
    room = Room(**settings)
    room.show(3, f0001=ANNA, f0002=BEN)
    done = room.stage.enrol("f0001", "anna")
    assert done.success
    assert "30 days" in done.message
    file = Path(settings["file"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["people"]
    later = Room(**settings)
    assert later.identity.people == ("anna",)
    later.show(3, f0001=BEN, f0002=ANNA)
    assert later.who("f0002") == "anna"
    # The ids of visitors go on where the file has been written.
    assert int(later.who("f0001")[1:]) > 2


def test_the_enrolled_outlast_the_visit_and_are_forgotten_in_the_file(settings) -> None:
    room = Room(**settings, visit_minutes=0.5)
    room.show(3, f0001=ANNA)
    assert room.stage.enrol("f0001", "anna").success
    room.away(60)
    assert room.identity.people == ("anna",)
    assert room.stage.forget("anna").key == "anna"
    assert Room(**settings).identity.people == ()


def test_forgetting_everybody_empties_the_file(settings) -> None:
    room = Room(**settings)
    room.show(3, f0001=ANNA)
    room.stage.enrol("f0001", "anna")
    room.stage.forget_everybody()
    assert Room(**settings).identity.people == ()


def test_cleared_memory_comes_back_from_the_file(settings) -> None:
    room = Room(**settings)
    room.show(3, f0001=ANNA, f0002=BEN)
    room.stage.enrol("f0001", "anna")
    room.identity.clear()
    assert room.identity.people == ()
    room.identity.load()
    assert room.identity.people == ("anna",)


def test_nothing_can_be_read_without_the_key(settings, monkeypatch) -> None:
    room = Room(**settings)
    room.show(3, f0001=ANNA)
    room.stage.enrol("f0001", "anna")
    content = Path(settings["file"]).read_bytes()
    assert b"anna" not in content
    assert looks(ANNA, 1).tobytes()[:8] not in content
    monkeypatch.setenv("AVEMO_IDENTITY_KEY", fernet.Fernet.generate_key().decode())
    with pytest.raises(ConfigError, match=r"identity.file.*another key"):
        Room(**settings)


def test_a_damaged_file_is_refused_and_kept(settings) -> None:
    file = Path(settings["file"])
    file.write_bytes(b"no token")
    with pytest.raises(ConfigError, match=r"identity.file.*damaged"):
        Room(**settings)
    assert file.read_bytes() == b"no token"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"file": ""}, "identity.file"),
        ({"key_variable": "NOT_SET_HERE"}, "identity.key_variable.*set identity.key_file"),
        ({"key_file": "/nowhere/key"}, "identity.key_file.*No such file"),
    ],
)
def test_what_lacks_is_said(settings, changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Identity(IdentityConfig(**{**settings, **changed}))


def test_a_key_that_is_none_is_not_shown(settings, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret-but-no-key\n")
    with pytest.raises(ConfigError, match="32 bytes") as caught:
        Identity(IdentityConfig(**settings, key_file=str(key)))
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_said(settings) -> None:
    room = Room(**{**settings, "file": str(Path(settings["file"]) / "not" / "there")})
    room.show(3, f0001=ANNA)
    with pytest.raises(ConfigError, match=r"identity.file.*No such file"):
        room.stage.enrol("f0001", "anna")


def test_enrolments_run_out(settings) -> None:
    now_s = 1e9
    file = IdentityFile(IdentityConfig(**settings, keep_days=2.0), lambda: now_s)
    views = (looks(ANNA, 1), looks(ANNA, 2))
    file.write([EnrolledPerson("anna", views, now_s)], 7)
    now_s += 1.9 * DAY_S
    (anna,), given = file.read()
    assert given == 7
    assert np.array_equal(anna.views, views)
    now_s += 0.2 * DAY_S
    assert file.read() == ([], 7)


def test_a_key_is_made_once_and_for_its_owner_only(settings, tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = [sys.executable, "-m", "avemo_ros.state.identity_file", str(key)]
    subprocess.run(command, check=True)
    assert key.stat().st_mode & 0o777 == 0o600
    Identity(IdentityConfig(**settings, key_file=str(key)))
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "File exists" in again.stderr
