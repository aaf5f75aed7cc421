"""The faults of the soak: a table that can be extended; no ROS is imported here.

What a fault does is a generator over the `Scene` (tools/soak_scene.py).  It changes something,
yields for how long that lasts [s], and changes it back; a yielded future is waited for, and
what it holds comes back from the `yield`.  When it ends, good input flows again, and from
there on the recovery is measured.
"""

from __future__ import annotations

import math
import signal
from array import array
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final

Steps = Generator[Any, Any, None]

KINDS: Final = ("images", "sound", "time", "clock", "graph", "life cycle", "machine")

SOON_S: Final = 1.0
"""Allowed recovery from a fault of time [s]."""
NEW_S: Final = 2.0
"""The same where the person is new: a second of warm-up comes on top [s]."""
VOICE_S: Final = 2.0
"""The same until the voice has its say again: 0.6 s of speech are needed [s]."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table."""

    name: str
    kind: str
    """One of KINDS."""
    what: str
    """In words, for the page."""
    seconds: float
    """How long it lasts."""
    limit_s: float
    """Recovery may take this long [s]."""
    act: Callable[[Any, float], Steps]
    """Called with the scene and `seconds`."""
    voice: bool = False
    """Recovered only when the voice has its say, too."""
    transport: str = ""
    """'raw' or 'compressed' where it is a fault of only one of them."""
    sets_back: bool = False
    """Time goes back by this, so stamps of states may, too."""

    @property
    def simulated(self) -> bool:
        """It is run while the node takes its time from /clock."""
        return self.kind == "clock"


# --- what is done


def images(change: Callable[..., Any]) -> Callable[[Any, float], Steps]:
    """Every image message goes through `change(message, number)`; None sends nothing."""

    def act(scene: Any, seconds: float) -> Steps:
        scene.feed.change_image = change
        yield seconds
        scene.feed.change_image = None

    return act


def knobs(**settings: Any) -> Callable[[Any, float], Steps]:
    """Attributes of the feed have other values for a while."""

    def act(scene: Any, seconds: float) -> Steps:
        before = {name: getattr(scene.feed, name) for name in settings}
        for name, value in settings.items():
            setattr(scene.feed, name, value)
        yield seconds
        for name, value in before.items():
            setattr(scene.feed, name, value)

    return act


def one_image_ahead(scene: Any, seconds: float) -> Steps:
    """A single image is stamped ahead."""
    scene.feed.shift_next_image_s = 3.0
    yield seconds


def one_block_ahead(scene: Any, seconds: float) -> Steps:
    """A single block of sound is stamped ahead."""
    scene.feed.shift_next_block_s = 3.0
    yield seconds


def one_clock_ahead(scene: Any, seconds: float) -> Steps:
    """A single message on /clock is a spike."""
    scene.feed.shift_next_clock_s = 600.0
    yield seconds


def clock_before_zero(scene: Any, seconds: float) -> Steps:
    """/clock tells times that cannot be."""
    for _ in range(10):
        scene.feed.tell_clock(-5 * 10**9)
        yield seconds / 10


def two_clocks(scene: Any, seconds: float) -> Steps:
    """A second player publishes /clock, too, of another day."""
    for _ in range(20):
        scene.feed.tell_clock(scene.feed.clock_ns - 86_400 * 10**9)
        yield seconds / 20


def other_sizes(scene: Any, seconds: float) -> Steps:
    """Smaller images, then larger ones."""
    for size in ((320, 240), (1280, 960)):
        scene.feed.image_size = size
        yield seconds / 2
    scene.feed.image_size = None


def other_sound(scene: Any, seconds: float) -> Steps:
    """Other rates and numbers of channels, as audio_info says."""
    own = scene.feed.sound_format
    for form in ((48_000, 2, "S16LE"), (8_000, 1, "F32LE"), (44_100, 6, "S16LE")):
        scene.feed.use_sound(*form)
        yield seconds / 3
    scene.feed.use_sound(*own)


def float_sound_with_nan(scene: Any, seconds: float) -> Steps:
    """F32LE sound of which a part is no number."""
    own = scene.feed.sound_format
    scene.feed.use_sound(own[0], own[1], "F32LE")
    scene.feed.sound_nan = True
    yield seconds
    scene.feed.sound_nan = False
    scene.feed.use_sound(*own)


def unreadable_sound(scene: Any, seconds: float) -> Steps:
    """audio_info says what cannot be read, then what is impossible."""
    own = scene.feed.sound_format
    scene.feed.announce(own[0], own[1], "MP3", "mp3")
    yield seconds / 2
    scene.feed.announce(0, 0, "S16LE", "wave")
    yield seconds / 2
    scene.feed.use_sound(*own)


def robot_dies_speaking(scene: Any, seconds: float) -> Steps:
    """robot_speaking says true; who said so is gone before it says false."""
    robot = scene.robot()
    yield 0.5  # until both have found each other
    robot.speaks()
    yield seconds
    robot.close()


def reactivate(scene: Any, seconds: float) -> Steps:
    """Deactivate, activate."""
    yield scene.transition("deactivate")
    yield seconds
    yield scene.transition("activate")


def reconfigure(scene: Any, seconds: float) -> Steps:
    """Deactivate, clean up, configure, activate."""
    for step in ("deactivate", "cleanup"):
        yield scene.transition(step)
    yield seconds
    for step in ("configure", "activate"):
        yield scene.transition(step)


def impossible_transitions(scene: Any, seconds: float) -> Steps:
    """What a manager asks for that tries again, or does not know the state."""
    for step in ("activate", "configure", "cleanup", 99):
        yield scene.transition(step, possible=False)
        yield seconds / 4


def refused_parameters(scene: Any, seconds: float) -> Steps:
    """Values out of range, of another type, not now, of no such name."""
    for name, value in (
        ("vision.max_faces", 99),
        ("vision.max_faces", "four"),
        ("image_transport", "pigeon"),
        ("emotion.min_confidence", math.nan),
        ("emotion.hop_s", -1.0),
        ("overlay_rate_hz", 3.0),
        ("no.such.parameter", 1),
    ):
        yield scene.set_parameter(name, value)
        yield seconds / 7


def parameter_of_no_type(scene: Any, seconds: float) -> Steps:
    """A value whose type is none that exists."""
    yield scene.set_parameter_of_type("vision.max_faces", 255)
    yield seconds


def listeners(scene: Any, seconds: float) -> Steps:
    """Overlay, face tracks and spectrogram are subscribed to, left, and subscribed to again."""
    for _ in range(2):
        heard = scene.listen()
        yield seconds / 3
        heard.close()
        yield seconds / 6


def second_camera(scene: Any, seconds: float) -> Steps:
    """A second process-like participant publishes the same images a moment late."""
    camera = scene.second_camera()
    yield seconds
    camera.close()


def load(scene: Any, seconds: float) -> Steps:
    """Two processes that do nothing but count."""
    busy = scene.load(2, seconds)
    yield seconds
    busy.close()


def stopped(scene: Any, seconds: float) -> Steps:
    """The node's process is stopped and goes on."""
    scene.signal(signal.SIGSTOP)
    yield seconds
    scene.signal(signal.SIGCONT)


# --- what becomes of an image message


def _garbage(message: Any, number: int) -> Any:
    return _with_data(message, bytes((7 * number + 31 * k) % 251 for k in range(4000)))


def _foreign_magic(message: Any, number: int) -> Any:
    magic = (
        b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 \x00\x00\x00\x00jp2 ",
        b"\xff\x4f\xff\x51\x00\x2f\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00",
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 480 +X 640\n",
        b"II*\x00\x08\x00\x00\x00",
        b"v/1\x01\x02\x00\x00\x00",
        b"P6\n640 480\n255\n",
    )
    return _with_data(message, magic[number % len(magic)] + bytes(range(256)) * 8)


def _cut(message: Any, number: int) -> Any:
    whole = bytes(message.data)
    return _with_data(message, whole[: len(whole) * (number % 9 + 1) // 10])


def _huge_head(message: Any, number: int) -> Any:
    """A JPEG whose head asks for gigabytes."""
    whole = bytearray(bytes(message.data))
    at = next((k for k in range(len(whole) - 9) if whole[k : k + 2] in _SIZES), None)
    if at is not None:
        whole[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
    return _with_data(message, bytes(whole[:634]) + b"\xff\xd9") if number % 15 == 0 else None


_SIZES: Final = (b"\xff\xc0", b"\xff\xc2")
"""Marks of a JPEG behind which its height and width stand."""


def _with_data(message: Any, data: bytes) -> Any:
    message.data = array("B", data)  # rclpy looks at each byte of anything else
    return message


def _wrong_format(message: Any, number: int) -> Any:
    message.format = ("", "theora", "h264", "jpeg\x00", "32FC1; compressedDepth png")[
        number % 5
    ]
    return message


def _wrong_encoding(message: Any, number: int) -> Any:
    message.encoding = ("", "32FC1", "nv12", "bgr16", "BGR8", "yuv422")[number % 6]
    return message


def _wrong_step(message: Any, number: int) -> Any:
    message.step = (0, 1, message.width, 2**31, 2**32 - 1)[number % 5]
    return message


def _absurd_size(message: Any, number: int) -> Any:
    size = ((0, 0), (2**32 - 1, 2**32 - 1), (1, 2**31), (2**20, 2**20), (0, 480))[number % 5]
    message.width, message.height = size
    message.step = min(3 * message.width, 2**32 - 1)
    return message


def _no_data(message: Any, number: int) -> Any:  # noqa: ARG001
    return _with_data(message, b"")


# --- the table

FAULTS: Final = (
    Fault("garbage", "images", "compressed images of any bytes", 1.0, NEW_S,
          images(_garbage), transport="compressed"),
    Fault("foreign formats", "images", "JPEG 2000, HDR, TIFF, EXR and PPM called JPEG", 1.0,
          NEW_S, images(_foreign_magic), transport="compressed"),
    Fault("cut JPEG", "images", "JPEGs of which a part is missing", 1.0, NEW_S,
          images(_cut), transport="compressed"),
    Fault("huge head", "images", "small JPEGs whose head says 65500x65500", 1.0, NEW_S,
          images(_huge_head), transport="compressed"),
    Fault("wrong format", "images", "formats that are none", 0.5, SOON_S,
          images(_wrong_format), transport="compressed"),
    Fault("wrong encoding", "images", "encodings that are none, or not this one", 0.5, SOON_S,
          images(_wrong_encoding), transport="raw"),
    Fault("wrong step", "images", "rows that are too short or too long", 0.5, SOON_S,
          images(_wrong_step), transport="raw"),
    Fault("absurd size", "images", "sizes of nothing and of exabytes", 0.5, SOON_S,
          images(_absurd_size), transport="raw"),
    Fault("empty images", "images", "images without data", 0.5, SOON_S, images(_no_data)),
    Fault("other size", "images", "320x240, then 1280x960", 3.0, NEW_S, other_sizes,
          transport="raw"),
    Fault("images at 1 Hz", "images", "one image a second", 4.0, NEW_S, knobs(image_hz=1.0)),
    Fault("images at 60 Hz", "images", "twice as many images", 3.0, SOON_S,
          knobs(image_hz=60.0)),
    Fault("image pause", "images", "no images", 2.0, NEW_S, knobs(image_hz=0.0)),
    Fault("late images", "images", "images rightly stamped, 0.9 s late", 3.0, NEW_S,
          knobs(image_delay_s=0.9)),
    Fault("one image ahead", "time", "a single image stamped 3 s ahead", 0.3, SOON_S,
          one_image_ahead),
    Fault("images ahead", "time", "images stamped 3 s ahead", 1.0, NEW_S,
          knobs(image_shift_s=3.0)),
    Fault("images back", "time", "images stamped 1 s back", 1.0, NEW_S,
          knobs(image_shift_s=-1.0), sets_back=True),
    Fault("images repeat", "time", "images with the stamp of the one before", 1.0, NEW_S,
          knobs(image_stamps="repeat")),
    Fault("images unstamped", "time", "images stamped zero", 2.0, SOON_S,
          knobs(image_stamps="zero")),
    Fault("one block ahead", "time", "a single block of sound stamped 3 s ahead", 0.3, VOICE_S,
          one_block_ahead, voice=True),
    Fault("sound ahead", "time", "sound stamped 3 s ahead", 1.0, VOICE_S,
          knobs(sound_shift_s=3.0), voice=True),
    Fault("sound back", "time", "sound stamped 1 s back", 1.0, VOICE_S,
          knobs(sound_shift_s=-1.0), voice=True),
    Fault("sound repeats", "time", "sound with the stamp of the block before", 1.0, VOICE_S,
          knobs(sound_stamps="repeat"), voice=True),
    Fault("sound unstamped", "time", "sound stamped zero", 2.0, VOICE_S,
          knobs(sound_stamps="zero"), voice=True),
    Fault("loop", "time", "both start again 2 s back, then go on", 3.0, NEW_S,
          knobs(image_shift_s=-2.0, sound_shift_s=-2.0), sets_back=True),
    Fault("both ahead", "time", "both stamped 3 s ahead", 1.0, NEW_S,
          knobs(image_shift_s=3.0, sound_shift_s=3.0)),
    Fault("yesterday", "time", "both stamped a day back", 2.0, NEW_S,
          knobs(image_shift_s=-86_400.0, sound_shift_s=-86_400.0), sets_back=True),
    Fault("pause of both", "time", "neither images nor sound", 3.0, NEW_S,
          knobs(image_hz=0.0, sound_on=False)),
    Fault("clock spike", "clock", "a single /clock 600 s ahead", 0.3, NEW_S, one_clock_ahead),
    Fault("clock ahead", "clock", "/clock leaps 300 s ahead, and back", 2.0, NEW_S,
          knobs(clock_shift_s=300.0)),
    Fault("clock back", "clock", "/clock falls 5 s back, and leaps ahead again", 2.0, NEW_S,
          knobs(clock_shift_s=-5.0)),
    Fault("clock stands still", "clock", "no /clock", 2.0, NEW_S, knobs(clock_hz=0.0)),
    Fault("clock below zero", "clock", "/clock with negative seconds", 0.5, NEW_S,
          clock_before_zero),
    Fault("two clocks", "clock", "a second /clock, of a day ago", 2.0, NEW_S, two_clocks),
    Fault("clock at 5 Hz", "clock", "/clock five times a second", 3.0, SOON_S,
          knobs(clock_hz=5.0)),
    Fault("sound pause", "sound", "no sound", 2.0, VOICE_S, knobs(sound_on=False), voice=True),
    Fault("sound in bursts", "sound", "blocks of 0.1 s at once, stamped on arrival", 3.0,
          VOICE_S, knobs(sound_burst_s=0.1), voice=True),
    Fault("other sound", "sound", "48 kHz stereo, 8 kHz floats, 44.1 kHz on six channels", 3.0,
          VOICE_S, other_sound, voice=True),
    Fault("NaN sound", "sound", "F32LE samples that are no numbers", 1.0, VOICE_S,
          float_sound_with_nan, voice=True),
    Fault("unreadable sound", "sound", "audio_info of MP3, then of 0 Hz", 1.0, VOICE_S,
          unreadable_sound, voice=True),
    # The node looks once a second whether who spoke is still there.
    Fault("robot dies speaking", "sound", "robot_speaking true, then nobody to say false", 1.0,
          VOICE_S + 1.0, robot_dies_speaking, voice=True),
    Fault("subscribers", "graph", "overlay, face_tracks and spectrogram come and go", 3.0,
          SOON_S, listeners),
    Fault("second camera", "graph", "another participant publishes images, too", 2.0, NEW_S,
          second_camera),
    Fault("reactivate", "life cycle", "deactivate, activate", 0.5, NEW_S, reactivate),
    Fault("reconfigure", "life cycle", "deactivate, clean up, configure, activate", 0.5, NEW_S,
          reconfigure),
    Fault("impossible transitions", "life cycle", "activate while active, and the like", 1.0,
          SOON_S, impossible_transitions),
    Fault("refused parameters", "life cycle", "values that are not allowed, or not now", 1.0,
          SOON_S, refused_parameters),
    Fault("parameter of no type", "life cycle", "a parameter of type 255", 0.3, SOON_S,
          parameter_of_no_type),
    Fault("load", "machine", "two busy processes beside it", 4.0, SOON_S, load),
    Fault("stopped", "machine", "SIGSTOP, SIGCONT", 2.0, NEW_S, stopped),
)  # fmt: skip
"""Name, kind, what, how long [s], recovery allowed [s], and what is done."""


def chosen(only: Sequence[str], without: Sequence[str]) -> tuple[Fault, ...]:
    """The rows with these names, or all, without some.

    Raises:
        ValueError: there is no such row, or none is left.
    """
    names = {fault.name for fault in FAULTS}
    for name in (*only, *without):
        if name not in names:
            raise ValueError(f"no fault '{name}'; there are: {', '.join(sorted(names))}")
    kept = tuple(
        fault
        for fault in FAULTS
        if (not only or fault.name in only) and fault.name not in without
    )
    if not kept:
        raise ValueError("no fault is left")
    return kept
