"""The microphone, against a PulseAudio server of the test's own with a null sink."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sounds import tone

from avemo_ros.errors import SourceError
from avemo_ros.source.microphone_device import Microphone, age_of, list_devices

NEEDED = ("pulseaudio", "pactl", "paplay")
RATE = 48000


class SoundServer:
    """A PulseAudio daemon in a folder of its own; `vmic.monitor` records what is played."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemon: subprocess.Popen[bytes] | None = None
        self._player: subprocess.Popen[bytes] | None = None
        self.socket = folder / "native"
        asound = folder / "asound.conf"
        asound.write_text(
            "</usr/share/alsa/alsa.conf>\n"
            "pcm.!default { type pulse }\n"
            "ctl.!default { type pulse }\n"
        )
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "run"),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_SERVER": f"unix:{self.socket}",
            "ALSA_CONFIG_PATH": str(asound),
        }

    def start(self) -> None:
        self._daemon = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "--log-level=error",
                "-L",
                f"module-native-protocol-unix socket={self.socket} auth-anonymous=1",
                "-L",
                f"module-null-sink sink_name=vmic rate={RATE}",
            ],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(100):
            done = self._call("pactl", "set-default-source", "vmic.monitor")
            if done.returncode == 0:
                return
            time.sleep(0.1)
        pytest.fail(f"PulseAudio does not start: {done.stderr!r}")

    def play(self, sound: np.ndarray) -> None:
        path = self._folder / "play.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((sound * 32767).astype("<i2").tobytes())
        self._player = subprocess.Popen(
            ["paplay", "--device=vmic", str(path)],
            env={**os.environ, **self.environment},
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As when the device is pulled out: nothing is closed in order."""
        for process in (self._player, self._daemon):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self.socket.unlink(missing_ok=True)

    def _call(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, timeout=10
        )


@pytest.fixture
def server(monkeypatch) -> Iterator[SoundServer]:
    pytest.importorskip("pyaudio", reason="PyAudio is not installed")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (pulseaudio, pulseaudio-utils)")
    if not list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        pytest.skip("not installed: libasound2-plugins")
    # Sockets need short paths, which pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        server = SoundServer(Path(folder))
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def test_a_tone_is_captured_with_its_pitch_and_capture_times(server: SoundServer) -> None:
    server.play(tone(RATE, 20.0))
    with Microphone() as microphone:
        assert (microphone.name, microphone.rate, microphone.channels) == ("default", 16000, 1)
        blocks = [microphone.read() for _ in range(150)]
        now = time.time_ns()
    assert {block.samples.shape for block in blocks} == {(320, 1)}
    # The server settles its delay in the first second.
    settled = blocks[75:]
    sound = np.concatenate([block.samples[:, 0] for block in settled])
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert spectrum.argmax() * 16000 / len(sound) == pytest.approx(440, abs=1)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.02)
    stamps = np.array([block.stamp_ns for block in settled])
    assert stamps[-1] + 20_000_000 <= now
    assert stamps[-1] > now - 5 * 10**9
    # Capture times follow the samples.
    assert np.median(np.diff(stamps)) == pytest.approx(20e6, abs=1e6)
    assert not microphone.is_open


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1)])
def test_rate_and_channels_can_be_asked_for(server: SoundServer, rate, channels) -> None:
    with Microphone("pulse", rate=rate, channels=channels) as microphone:
        block = microphone.read()
    assert (block.rate, block.samples.shape) == (rate, (rate // 50, channels))


def test_devices_are_listed_without_chatter_of_libraries(server: SoundServer, capfd) -> None:
    devices = list_devices()
    assert {"pulse", "default"} <= {device.name for device in devices}
    assert all(device.channels > 0 and device.rate > 0 for device in devices)
    assert capfd.readouterr().err == ""


def test_an_absent_device_is_named_with_what_is_there(server: SoundServer) -> None:
    with pytest.raises(SourceError, match=r"'no such thing' does not exist; present: .*pulse"):
        Microphone("no such thing").open()
    with pytest.raises(SourceError, match="'9999' does not exist"):
        Microphone(9999).open()


def test_a_rate_that_cannot_be_is_told_with_what_was_tried(server: SoundServer) -> None:
    with pytest.raises(SourceError, match="supports none of 1 Hz"):
        Microphone(rate=1).open()


def test_nobody_reading_drops_the_oldest_and_counts(server: SoundServer) -> None:
    microphone = Microphone(block_s=0.005)
    microphone.open()
    microphone.read()
    deadline = time.monotonic() + 20
    while microphone.dropped < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    block = microphone.read()
    microphone.close()
    assert microphone.dropped >= 10
    assert block.samples.shape == (80, 1)


def refused(microphone: Microphone) -> str:
    with pytest.raises(SourceError) as told:
        microphone.open()
    return str(told.value)


def test_a_microphone_unplugged_while_capturing_is_told_and_comes_back(server) -> None:
    microphone = Microphone()
    microphone.open()
    for _ in range(10):
        microphone.read()
    server.kill()
    with pytest.raises(SourceError, match="no longer delivers sound"):
        for _ in microphone.blocks():
            pass
    assert not microphone.is_open
    with pytest.raises(SourceError, match="is not open"):
        microphone.read()
    # A server that has only just died is still listed for a moment.
    limit = time.monotonic() + 30
    while "does not exist; present: none" not in (told := refused(microphone)):
        assert time.monotonic() < limit, told
    server.start()
    server.play(tone(RATE, 10.0))
    microphone.open()
    blocks = [microphone.read() for _ in range(100)]
    microphone.close()
    assert max(np.abs(block.samples).max() for block in blocks) > 0.4


def test_a_missing_pyaudio_is_told_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(SourceError, match="apt install portaudio19-dev, then pip"):
        Microphone().open()


@pytest.mark.parametrize(
    ("times", "age_ms"),
    [
        ({"input_buffer_adc_time": 99.95, "current_time": 100.0}, 50),
        ({"input_buffer_adc_time": 0.0, "current_time": 100.0}, 20),
        ({"input_buffer_adc_time": 100.5, "current_time": 100.0}, 20),
        ({"input_buffer_adc_time": 7.0, "current_time": 100.0}, 20),
    ],
    ids=["sane", "none", "in the future", "another clock"],
)
def test_the_stamp_is_when_the_first_sample_was_recorded(times, age_ms: int) -> None:
    assert age_of(times, 0.02) == pytest.approx(age_ms / 1000, abs=1e-6)


def test_lost_samples_reported_by_the_system_are_counted() -> None:
    pyaudio = pytest.importorskip("pyaudio", reason="PyAudio is not installed")
    microphone = Microphone()
    microphone.rate = 16000
    times = {"input_buffer_adc_time": 99.9, "current_time": 100.0}
    microphone.receive(bytes(4), 1, times, pyaudio.paInputOverflow)
    microphone.receive(bytes(4), 1, times, 0)
    assert microphone.overflows == 1
