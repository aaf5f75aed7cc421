"""A microphone, through PortAudio (PyAudio)."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from avemo_ros.audio.spectrogram import AudioBlock
from avemo_ros.errors import SourceError
from avemo_ros.timing import to_ns

_RATES: Final = (16_000, 48_000, 44_100, 32_000, 8_000)
"""Tried in this order when no rate is asked for: 16 kHz needs no resampling."""
_QUEUE: Final = 100
"""Blocks that wait to be read; with 20 ms a block, 2 s."""
_MAX_AGE_S: Final = 1.0
"""A block said to be older than this when it arrives has a wrong time."""
_SILENT_S: Final = 1.0
"""No block for this long: the microphone is lost."""
_CLOSING_S: Final = 3.0
"""Longer than any driver needs to close in order."""
_START_S: Final = 5.0
"""Sound servers may take some seconds until the first block."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A sound input that can be captured from."""

    index: int
    name: str
    host_api: str
    channels: int
    rate: int
    """Default sample rate [Hz]."""


def list_devices() -> list[InputDevice]:
    """Every sound input of this computer.

    Raises:
        SourceError: PyAudio is not installed, or there is no sound system.
    """
    portaudio = _start_portaudio()
    try:
        return _inputs(portaudio)
    finally:
        portaudio.terminate()


class Microphone:
    """Captures blocks stamped with the time at which their first sample was recorded.

    PortAudio's own thread fills a bounded queue, so capture goes on while nobody reads: when
    the queue is full the oldest block is dropped and counted.  After a `SourceError` from
    `read`, `open` may be called again.
    """

    def __init__(
        self,
        device: int | str = "",
        rate: int = 0,
        channels: int = 0,
        block_s: float = 0.02,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Choose a microphone; `open` starts it.

        Args:
            device: number of the device, a part of its name, or "" for the default.
            rate: wanted samples per second [Hz]; 0: one that the device can do, best 16000.
            channels: wanted channels; 0: one, or what the device has.
            block_s: length of a block [s].
            now_ns: the clock that stamps are given in [ns].
        """
        text = str(device).strip()
        self._device: int | str = int(text) if text.isdecimal() else text
        self._wanted_rate = rate
        self._wanted_channels = channels
        self._block_s = block_s
        self._now_ns = now_ns
        self._portaudio: Any = None
        self._stream: Any = None
        self._blocks: queue.Queue[tuple[int, bytes]] = queue.Queue(_QUEUE)
        self._latency_s = 0.0
        self._heard = False
        self.name = text or "default"
        """The device's name, once open."""
        self.rate = 0
        """Samples per second, once open [Hz]."""
        self.channels = 0
        """Channels, once open."""
        self.overflows = 0
        """Times the sound system lost samples before they reached us."""
        self.dropped = 0
        """Blocks dropped because nobody read them."""

    @property
    def is_open(self) -> bool:
        """Whether `read` can be called."""
        return self._stream is not None

    def __enter__(self) -> Microphone:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start to capture; does nothing if open.

        Raises:
            SourceError: PyAudio is missing, there is no such device, or it cannot be used.
        """
        if self._stream is not None:
            return
        self._portaudio = _start_portaudio()
        try:
            self._open_stream()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop to capture.

        PortAudio can wait for ever for a device or sound server that has gone; after 3 s it
        is left to itself, and `open` starts afresh.
        """
        stream, self._stream = self._stream, None
        portaudio, self._portaudio = self._portaudio, None
        if portaudio is None:
            return
        closing = threading.Thread(target=_shut, args=(stream, portaudio), daemon=True)
        closing.start()
        closing.join(_CLOSING_S)

    def read(self, timeout_s: float = _SILENT_S) -> AudioBlock:
        """The next block; waits for it.

        Args:
            timeout_s: without a block for this long the microphone counts as lost [s]; the
                first block after `open` may take 5 s.

        Raises:
            SourceError: the microphone is not open, or no longer delivers; it is closed then.
        """
        if self._stream is None:
            raise SourceError(f"microphone '{self.name}' is not open")
        try:
            wait_s = timeout_s if self._heard else max(timeout_s, _START_S)
            stamp_ns, data = self._blocks.get(timeout=wait_s)
            self._heard = True
        except queue.Empty:
            self.close()
            raise SourceError(
                f"microphone '{self.name}' no longer delivers sound; was it unplugged, or has "
                "the sound server stopped?"
            ) from None
        samples = np.frombuffer(data, np.float32).reshape(-1, self.channels)
        return AudioBlock(stamp_ns, self.rate, samples)

    def blocks(self) -> Iterator[AudioBlock]:
        """Blocks as from `read`, until the microphone is lost.

        Raises:
            SourceError: as `read`.
        """
        while True:
            yield self.read()

    def receive(
        self, data: bytes | None, frames: int, times: dict[str, float], flags: int
    ) -> tuple[None, int]:
        """The `stream_callback` of PortAudio, on its thread for each block; does not wait.

        Args:
            data: float32 samples, channel by channel.
            frames: samples of each channel.
            times: of PortAudio's clock, see `age_of`.
            flags: what the sound system has to tell; lost samples are counted.
        """
        import pyaudio

        now = self._now_ns()
        age_s = age_of(times, frames / self.rate + self._latency_s)
        if flags & pyaudio.paInputOverflow:
            self.overflows += 1
        while data:
            try:
                self._blocks.put_nowait((now - to_ns(age_s), data))
                break
            except queue.Full:
                self._drop_oldest()
        return None, pyaudio.paContinue

    def _open_stream(self) -> None:
        import pyaudio

        device = self._find()
        self.name = device.name
        self.rate, self.channels = self._choose_format(device)
        self._blocks = queue.Queue(_QUEUE)
        self._heard = False
        try:
            stream = self._portaudio.open(
                format=pyaudio.paFloat32,
                channels=self.channels,
                rate=self.rate,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=max(1, round(self._block_s * self.rate)),
                stream_callback=self.receive,
                start=False,
            )
        except (OSError, ValueError) as error:
            raise SourceError(
                f"microphone '{device.name}' cannot be opened with {self.rate} Hz and "
                f"{self.channels} channel(s): {error}; is another program using it?"
            ) from error
        self._stream = stream
        self._latency_s = min(max(0.0, float(stream.get_input_latency())), _MAX_AGE_S)
        try:
            stream.start_stream()
        except OSError as error:
            raise SourceError(f"microphone '{device.name}' does not start: {error}") from error

    def _find(self) -> InputDevice:
        devices = _inputs(self._portaudio)
        wanted = self._device
        if wanted == "":
            try:
                index = int(self._portaudio.get_default_input_device_info()["index"])
            except OSError:
                index = -1
            found = [item for item in devices if item.index == index]
        elif isinstance(wanted, int):
            found = [item for item in devices if item.index == wanted]
        else:
            found = [item for item in devices if wanted.lower() in item.name.lower()]
        if not found:
            present = ", ".join(f"{item.index}: {item.name}" for item in devices)
            raise SourceError(
                f"microphone '{wanted if wanted != '' else 'default'}' does not exist; "
                f"present: {present or 'none'} (a user may need to be in the group 'audio')"
            )
        return found[0]

    def _choose_format(self, device: InputDevice) -> tuple[int, int]:
        """Rate and channels: the first of the wanted ones that the device can do."""
        import pyaudio

        rates = [self._wanted_rate] if self._wanted_rate else [*_RATES, device.rate]
        counts = [self._wanted_channels] if self._wanted_channels else [1, device.channels]
        for channels in counts:
            for rate in rates:
                try:
                    self._portaudio.is_format_supported(
                        rate,
                        input_device=device.index,
                        input_channels=channels,
                        input_format=pyaudio.paFloat32,
                    )
                except (ValueError, OSError):
                    continue
                return rate, channels
        raise SourceError(
            f"microphone '{device.name}' supports none of {', '.join(map(str, rates))} Hz "
            f"with {' or '.join(map(str, counts))} channel(s); its default is {device.rate} "
            f"Hz, and it has {device.channels} channel(s)"
        )

    def _drop_oldest(self) -> None:
        try:
            self._blocks.get_nowait()
        except queue.Empty:
            return
        self.dropped += 1


def age_of(times: Mapping[str, float], usual_s: float) -> float:
    """How long ago the first sample of a block was recorded [s].

    Args:
        times: `current_time` and `input_buffer_adc_time` of PortAudio's clock [s].
        usual_s: taken where the driver gives no capture time, or one from another clock [s].
    """
    age_s = times["current_time"] - times["input_buffer_adc_time"]
    sane = times["input_buffer_adc_time"] > 0 and 0 <= age_s <= _MAX_AGE_S
    return age_s if sane else usual_s


def _inputs(portaudio: Any) -> list[InputDevice]:
    devices = []
    for index in range(portaudio.get_device_count()):
        info = portaudio.get_device_info_by_index(index)
        if info["maxInputChannels"] > 0:
            api = portaudio.get_host_api_info_by_index(info["hostApi"])
            devices.append(
                InputDevice(
                    index=index,
                    name=str(info["name"]),
                    host_api=str(api["name"]),
                    channels=int(info["maxInputChannels"]),
                    rate=int(info["defaultSampleRate"]),
                )
            )
    return devices


def _start_portaudio() -> Any:
    try:
        import pyaudio
    except ImportError as error:
        raise SourceError(
            "capturing from a microphone needs PyAudio: apt install portaudio19-dev, then "
            "pip install pyaudio (with ROS: apt install python3-pyaudio)"
        ) from error
    _silence_libraries()
    try:
        return pyaudio.PyAudio()
    except OSError as error:
        raise SourceError(f"PortAudio does not start: {error}") from error


def _shut(stream: Any, portaudio: Any) -> None:
    # A device that is gone cannot be closed in order.
    with contextlib.suppress(OSError):
        if stream is not None:
            stream.close()
    portaudio.terminate()


def _ignore(*_: Any) -> None:
    """Takes remarks on devices that PortAudio tries and that are not there."""


# C functions take them as pointers, so they must live as long as the process.
_IGNORE_ALSA: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(_ignore)
_IGNORE_JACK: Final = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(_ignore)


def _silence_libraries() -> None:
    """Keep the libraries below PortAudio from writing dozens of lines to stderr."""
    jack = ("jack_set_error_function", "jack_set_info_function")
    for library, functions, handler in (
        ("libasound.so.2", ("snd_lib_error_set_handler",), _IGNORE_ALSA),
        ("libjack.so.0", jack, _IGNORE_JACK),
    ):
        try:
            loaded = ctypes.CDLL(library)
        except OSError:
            continue
        for function in functions:
            getattr(loaded, function)(handler)
