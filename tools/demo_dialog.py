"""The dialog demo: the sample plays through the real nodes while somebody talks to the robot.

`make demo-dialog` plays the sample with the words that are spoken in it, as a speech recogniser
would give them; `make demo-dialog TYPED=1` takes yours from the keyboard while the clip goes
round; CLIP=file plays another one; ENDPOINT=url MODEL=name lets a chat endpoint word the
answers.  Words, sensed emotion, strategy and answer go by side by side and stay as a page in
out/demo-dialog.
"""

from __future__ import annotations

import argparse
import json
import math
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from demo import Clip
from demo_nodes import (
    DONE,
    INTERRUPTED,
    NOT_STARTED,
    ROOT,
    SAMPLE,
    DemoError,
    Node,
    check_ros,
    join_domain,
    wait_for,
)

ANSWER_LIMIT_S: Final = 60.0
"""A busy machine, and an endpoint that takes its time; after it the node has lost the words."""
QUIET_LIMIT_S: Final = 30.0
"""A clip whose states do not come for so long does not play."""
SPOKEN: Final = (
    (1.5, "Hi there."),
    (4.9, "Hello! It is so good to see you here today!"),
    (8.2, "Oh! I did not expect that at all!"),
    (9.6, "So, where were we?"),
)
"""What is said in the sample, and when it is over [s]; the first and the last are made up."""
NEUTRAL: Final = (
    "Hello, it is me again, with a story.",
    "I would like to tell you something.",
    "That is how it went today.",
    "I do not know what comes next.",
    "What do you think?",
)
"""Words that leave it to face and voice what the answer should be like."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status (2: it could not start, 1: it failed)."""
    parser = argparse.ArgumentParser(description="A dialog that answers with empathy, live.")
    parser.add_argument("--clip", type=Path, help="media file to play (default: the sample)")
    parser.add_argument(
        "--typed", action="store_true", help="words from the keyboard; an empty line ends"
    )
    parser.add_argument("--endpoint", help="base URL of an OpenAI-compatible chat endpoint")
    parser.add_argument("--model", default="", help="name of the model there")
    parser.add_argument(
        "--speak", action="store_true", help="say the answers with espeak-ng, if installed"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "demo-dialog", help="folder of the results"
    )
    parser.add_argument(
        "--domain",
        type=int,
        choices=range(233),
        metavar="ID",
        help="ROS domain, 0 to 232 (default: one of its own, not that of ROS_DOMAIN_ID)",
    )
    args = parser.parse_args(argv)
    if args.endpoint and not args.model:
        parser.error("an endpoint needs a --model")
    parameters: dict[str, object] = {"speak": args.speak}
    if args.model:
        parameters["endpoint.model"] = args.model
    if args.endpoint:
        parameters["endpoint.base_url"] = args.endpoint
    try:
        path = (args.clip or SAMPLE).expanduser()
        if not path.is_file():
            raise DemoError(f"there is no file '{path}'", NOT_STARTED)
        clip = Clip(path)
        check_ros()
        words: Words = Typed() if args.typed else Script(clip, is_sample=args.clip is None)
        return Demo(clip, words, parameters, args.out, args.domain).run()
    except DemoError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return error.status


class Script:
    """Words at given times of the clip."""

    loops = False

    def __init__(self, clip: Clip, *, is_sample: bool) -> None:
        length_s = clip.duration_s or 60.0
        parts = len(NEUTRAL) + 1
        self._lines = (
            list(SPOKEN)
            if is_sample
            else [(length_s * (i + 1) / parts, text) for i, text in enumerate(NEUTRAL)]
        )

    def start(self) -> None:
        """Nothing to do."""

    @property
    def over(self) -> bool:
        """Nothing more will be said."""
        return not self._lines

    def due(self, clip_s: float) -> str | None:
        """What is said now, if anything; `clip_s` is the time of the clip [s]."""
        if self._lines and clip_s >= self._lines[0][0]:
            return self._lines.pop(0)[1]
        return None


class Typed:
    """Words from the keyboard, read on a thread of their own."""

    loops = True

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        print("Say something; an empty line ends.", flush=True)
        threading.Thread(target=self._read, name="keyboard", daemon=True).start()

    @property
    def over(self) -> bool:
        """Nothing more will be said."""
        return self._ended.is_set() and self._lines.empty()

    def due(self, clip_s: float) -> str | None:  # noqa: ARG002
        """What was typed, if anything."""
        try:
            return self._lines.get_nowait()
        except queue.Empty:
            return None

    def _read(self) -> None:
        for line in sys.stdin:
            if not line.strip():
                break
            self._lines.put(line.strip())
        self._ended.set()


Words = Script | Typed


class Talker:
    """Says the words on the topic, and listens for states and answers."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from std_msgs.msg import String

        from avemo_ros.msg import DialogReply, EmotionState
        from avemo_ros.nodes import qos

        self.replies: list[Any] = []
        self.clip_s: float | None = None
        """Time of the clip [s]; None before it plays."""
        self.heard_s = time.monotonic()
        self._start_ns = 0
        self._text = String
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._rclpy = rclpy
        self._node = node = rclpy.create_node("avemo_demo_dialog")
        self._words = node.create_publisher(String, "speech_text", qos.result(10))
        node.create_subscription(
            DialogReply, "dialog_reply", self.replies.append, qos.result(10)
        )
        node.create_subscription(EmotionState, "emotion_state", self._take, qos.result(100))
        self._stale = EmotionState.STALE_INPUT
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    @property
    def senses(self) -> bool:
        """Whether states come."""
        return bool(self._node.count_publishers("emotion_state"))

    @property
    def answers(self) -> bool:
        """Whether words are heard, and states with them."""
        node = self._node
        return bool(
            node.count_publishers("dialog_reply")
            and node.count_subscribers("emotion_states")
            and self._words.get_subscription_count()
        )

    def say(self, text: str) -> None:
        """As a speech recogniser does."""
        self._words.publish(self._text(data=text))

    def spin(self, seconds: float) -> None:
        """Take what comes within this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._rclpy.try_shutdown()

    def _take(self, state: Any) -> None:
        from avemo_ros.bag.message_content import stamp_ns as to_ns

        if state.status == self._stale:
            return
        stamp_ns = to_ns(state.header.stamp)
        self._start_ns = self._start_ns or stamp_ns
        self.clip_s = (stamp_ns - self._start_ns) / 1e9
        self.heard_s = time.monotonic()


class Demo:
    """Starts the nodes, talks, shows the answers, and ends the nodes."""

    def __init__(
        self,
        clip: Clip,
        words: Words,
        parameters: dict[str, object],
        out: Path,
        domain: int | None,
    ) -> None:
        from avemo_ros.dialog.terminal import TurnTable

        self._clip = clip
        self._words = words
        self._parameters = parameters
        self._out = out
        self._domain = domain
        self._interrupted = False
        self._page = out / "index.html"
        self._spoken_s: list[float] = []
        """When each of the words was said, in the clip's time [s]."""
        self._asked_s = 0.0
        self._turns: list[Any] = []
        width = shutil.get_terminal_size((120, 24)).columns
        self._table = TurnTable(width, colour=sys.stdout.isatty())

    def run(self) -> int:
        """The whole demo; returns the exit status."""
        self._out.mkdir(parents=True, exist_ok=True)
        self._page.unlink(missing_ok=True)
        join_domain(self._domain, self._out)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)
        nodes: list[Node] = []
        talker: Talker | None = None
        try:
            talker = Talker()
            self._play(talker, nodes)
        finally:
            for node in reversed(nodes):
                node.stop()
            if talker is not None:
                talker.close()
            self._finish()
        return self._conclude(nodes)

    def _interrupt(self, number: int, frame: object) -> None:  # noqa: ARG002
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _play(self, talker: Talker, nodes: list[Node]) -> None:
        model = self._parameters.get("endpoint.model", "offline")
        print(f"avemo_ros dialog demo: {self._clip.title}; answers: {model}", flush=True)
        nodes.append(Node("emotion_stack", {}, self._out))
        wait_for(lambda: talker.senses or self._interrupted, talker.spin, nodes)
        nodes.append(Node("dialog", self._parameters, self._out))
        wait_for(lambda: talker.answers or self._interrupted, talker.spin, nodes)
        ((name, parameters),) = self._clip.nodes()
        player = Node(name, {**parameters, "loop": self._words.loops}, self._out)
        nodes.append(player)
        self._words.start()
        print("\n" + self._table.head(), flush=True)
        talker.heard_s = time.monotonic()
        while not self._interrupted and not self._words.over:
            talker.spin(0.05)
            self._check(talker, nodes, player)
            self._take(talker)
            # Who talks waits for the answer, as people do.
            if len(self._spoken_s) == len(self._turns) and talker.clip_s is not None:
                ended = player.status is not None
                text = self._words.due(math.inf if ended else talker.clip_s)
                if text is not None:
                    self._say(talker, text)
            self._check_answer(nodes[1])
        while len(self._turns) < len(self._spoken_s) and not self._interrupted:
            talker.spin(0.05)
            self._take(talker)
            self._check_answer(nodes[1])

    def _check(self, talker: Talker, nodes: Sequence[Node], player: Node) -> None:
        for node in nodes:
            if node is not player or node.status not in (None, 0):
                node.check()
        waits = player.status is None or talker.clip_s is None
        if waits and time.monotonic() - talker.heard_s > QUIET_LIMIT_S:
            raise DemoError(f"no states came from the clip for a while{player.tail()}")

    def _check_answer(self, dialog: Node) -> None:
        dialog.check()
        waits = len(self._spoken_s) > len(self._turns)
        if waits and time.monotonic() - self._asked_s > ANSWER_LIMIT_S:
            raise DemoError(f"an answer did not come{dialog.tail()}")

    def _say(self, talker: Talker, text: str) -> None:
        self._spoken_s.append(talker.clip_s or 0.0)
        self._asked_s = time.monotonic()
        talker.say(text)

    def _take(self, talker: Talker) -> None:
        """Show the answers that have come; they come in the order of the words."""
        from avemo_ros.dialog.conversation import Turn

        while talker.replies:
            reply = talker.replies.pop(0)
            turn = Turn(
                t=self._spoken_s[len(self._turns)],
                words=reply.utterance,
                emotion=reply.emotion,
                confidence=reply.confidence,
                strategy=reply.strategy,
                answer=reply.text,
                intensity=reply.intensity,
                rate=reply.rate,
                pitch=reply.pitch,
                volume=reply.volume,
                gesture=reply.gesture,
                context=json.loads(reply.context).get("summary", ""),
                back_end=reply.back_end,
                failure=reply.failure,
            )
            self._turns.append(turn)
            print(self._table.row(turn) + "\n", flush=True)

    def _finish(self) -> None:
        """Write what there is; after an error too."""
        if self._turns:
            from avemo_ros.cli.outputs import check_report
            from avemo_ros.sink.output_file import OutputError

            try:
                check_report(self._page)
            except OutputError as error:
                # The demo runs on a robot, too, which makes no reports.
                print(f"demo: {error}", file=sys.stderr)
                return
            from avemo_ros.report.dialog_pages import write_transcript

            title = f"A conversation while {self._clip.title} played"
            write_transcript(self._page, self._turns, title)

    def _conclude(self, nodes: Sequence[Node]) -> int:
        complaints = [text for node in nodes for text in node.complaints()]
        if complaints:
            print("The nodes said:")
            for text in complaints[:8]:
                print(f"  {text}")
            print()
        if not self._turns:
            print("demo: nothing was said")
        else:
            if self._page.exists():
                print(f"  transcript {self._page}")
            print("It holds what a person said: delete it when done.")
        # Who types ends the demo as they like.
        return INTERRUPTED if self._interrupted and not self._words.loops else DONE


if __name__ == "__main__":
    sys.exit(main())
