"""How long it takes from a person's last word to the robot's first sound.

A chat endpoint on this computer streams answers as a language model does, token by token.
The dialog node asks it and says them with espeak-ng, into a file in place of the loudspeaker.
The time runs from the moment at which the recognised words are published to the first sample
that is not silence.  It is measured for answers that are said whole, and sentence by sentence.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))

import numpy as np  # noqa: E402
from bad_endpoint import Behaviour, Server, chunked, events  # noqa: E402

ANSWER: Final = (
    "I am sorry that the day was so long. "
    "It sounds as if you had no moment to yourself. "
    "We can stay with that for a while, or speak of something else. "
    "What would do you good now?"
)
WORDS: Final = "It went on like that until the evening."
LIMIT_S: Final = 60.0
QUIET_S: Final = 0.5
"""When so long nothing was said, an answer is over."""
DOMAIN: Final = 87


def streaming(first_s: float, tokens_per_s: float) -> Behaviour:
    """A model that thinks, and then gives a word or a mark at a time."""
    tokens = [f" {word}" if place else word for place, word in enumerate(ANSWER.split())]
    each = [events(token, finish=None, done=False) for token in tokens]
    send = chunked([*each, events()], pause_s=1.0 / tokens_per_s)

    def behave(connection: object) -> None:
        time.sleep(first_s)
        send(connection)  # type: ignore[arg-type]

    return behave


class Loudspeaker:
    """A file that ALSA writes to."""

    def __init__(self, folder: Path) -> None:
        self._sound = folder / "sound.raw"
        config = folder / "asound.conf"
        config.write_text(
            "pcm.!default { type file slave { pcm { type null } } "
            f'file "{self._sound}" format "raw" }}\nctl.!default {{ type null }}\n'
        )
        os.environ["ALSA_CONFIG_PATH"] = str(config)
        os.environ["PULSE_SERVER"] = str(folder / "none")

    def clear(self) -> None:
        """Forget what was heard."""
        self._sound.unlink(missing_ok=True)

    def wait(self) -> float:
        """When the first sound was heard [s of a steady clock]."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            if self._sound.exists() and any(self._sound.read_bytes()[:65_536]):
                return time.monotonic()
            time.sleep(0.001)
        raise TimeoutError(f"nothing was heard for {LIMIT_S:g} s")


def measure(
    speaker: Loudspeaker, server: Server, turns: int, *, by_sentence: bool
) -> list[float]:
    """The times [s] of so many turns."""
    import rclpy
    from std_msgs.msg import Bool, String

    from avemo_ros.nodes.dialog import Dialog
    from avemo_ros.nodes.rclpy_internals import SturdyExecutor

    parameters = {
        "speak": "true",
        "by_sentence": str(by_sentence).lower(),
        "dialog.notice": "''",
        "endpoint.base_url": server.url,
        "endpoint.model": "measured",
        "endpoint.load_timeout_s": "0.0",
        "endpoint.deadline_s": "60.0",
    }
    given = [word for name, text in parameters.items() for word in ("-p", f"{name}:={text}")]
    rclpy.init(args=["--ros-args", *given], domain_id=DOMAIN)
    executor = SturdyExecutor(lambda what, error: print(what, error, file=sys.stderr))
    node, probe = Dialog(), rclpy.create_node("probe")
    speaking = threading.Event()
    answered = threading.Event()

    def told(message: Bool) -> None:
        speaking.set() if message.data else speaking.clear()

    words = probe.create_publisher(String, "speech_text", 10)
    probe.create_subscription(Bool, "robot_speaking", told, 10)
    probe.create_subscription(String, "dialog_text", lambda _: answered.set(), 10)
    executor.add_node(node)
    executor.add_node(probe)
    times = []
    try:
        if not node.start():
            raise SystemExit(f"the dialog node does not start: {node.last_error}")
        threading.Thread(target=executor.spin, daemon=True).start()
        while not (
            words.get_subscription_count()
            and all(node.count_subscribers(name) for name in ("robot_speaking", "dialog_text"))
        ):
            time.sleep(0.01)
        # The first answer of an endpoint is never said early: it shows whether it thinks aloud.
        for turn in range(turns + 1):
            speaker.clear()
            answered.clear()
            begin = time.monotonic()
            words.publish(String(data=WORDS))
            took = speaker.wait() - begin
            if turn:
                times.append(took)
            answered.wait(LIMIT_S)
            silent_s = time.monotonic()
            while time.monotonic() - silent_s < QUIET_S:
                if speaking.is_set():
                    silent_s = time.monotonic()
                time.sleep(0.01)
    finally:
        executor.shutdown()
        node.end()
        probe.destroy_node()
        rclpy.shutdown()
    return times


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--turns", type=int, default=20, help="turns of each kind (default: 20)"
    )
    parser.add_argument(
        "--first",
        type=float,
        default=0.3,
        metavar="S",
        help="to the first token (default: 0.3)",
    )
    parser.add_argument(
        "--rate", type=float, default=20.0, metavar="HZ", help="tokens a second (default: 20)"
    )
    args = parser.parse_args(argv)
    if shutil.which("espeak-ng") is None:
        print("first_sound: espeak-ng is not installed", file=sys.stderr)
        return 2
    print(
        f"{len(ANSWER.split())} words in 4 sentences; first token after {args.first:g} s, then "
        f"{args.rate:g} tokens/s; {args.turns} turns each"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(streaming(args.first, args.rate)) as server,
    ):
        speaker = Loudspeaker(Path(folder))
        for name, by_sentence in (("whole answer", False), ("sentence by sentence", True)):
            times = measure(speaker, server, args.turns, by_sentence=by_sentence)
            p50, p95 = np.percentile(times, [50, 95])
            print(f"{name:20}  first sound after p50 {p50:.2f} s, p95 {p95:.2f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
