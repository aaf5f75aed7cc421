"""The node that all others derive from: life cycle, parameters, diagnostics, start and end."""

from __future__ import annotations

import gc
import inspect
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from pydantic import Field
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from avemo_ros.config import RETIRED, PipelineConfig
from avemo_ros.errors import AvemoError, ConfigError
from avemo_ros.nodes import (
    bond,
    diagnostics,
    host,
    parameter_file,
    parameters,
    qos,
    rclpy_internals,
)
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.executor import (
    ShutdownEvent,
    limit_free_memory,
    return_free_memory,
)
from avemo_ros.nodes.rclpy_internals import SturdyExecutor
from avemo_ros.nodes.sensing import SERVICE, SensingSettings, SensingSwitch
from avemo_ros.settings import Settings, SettingsError
from avemo_ros.untrusted import say

_Kind = TypeVar("_Kind", bound=Settings)
_REPORT_PERIOD_S: Final = 1.0
_SHOWN: Final = 60
"""Characters of a text from outside that go into the log."""
_PLACE: Final = re.compile(r", at \S+:\d+")
"""Lines of C in the middleware's messages."""
_OFF: Final = f"sensing is off (service {SERVICE})"
_SILENT_REPORTS: Final = 4
"""An input that was silent in so many reports in a row, for one reason, is worth a line in the
log."""


class NodeSettings(Settings):
    """Parameters of every node."""

    autostart: bool = Field(
        True,
        frozen=True,
        description=(
            "Configure and activate at start; false leaves that to a lifecycle manager."
        ),
    )


class ManagedNode(LifecycleNode):
    """A node with a life cycle.

    Configuring reads the parameters and loads what is needed; topics appear on activation and
    vanish on deactivation; cleaning up lets everything go.  A derived node says what that
    means in `prepare`, `open`, `close` and `release`; where `prepare` or `open` raise an
    AvemoError the transition fails with its text in the log, and may be tried again.

    No message and no request ends a node: what a callback raises is logged (`callback_failed`),
    and whoever called a service gets an answer all the same.
    """

    live_groups: tuple[str, ...] = ()
    """Groups of settings of the engine that may be changed while the node is configured."""
    senses: Literal["", "follows", "serves"] = ""
    """Whether the node senses people and so has the switch for it (`nodes.sensing`): it
    follows the one who was told, or is the one."""

    def __init__(
        self, name: str, own: Sequence[type[Settings]] = (), groups: Sequence[str] = ()
    ) -> None:
        """Set up.

        Args:
            name: of the node, unless remapped.
            own: parameters of this node.
            groups: of the settings of the engine that it has as parameters, too.

        Raises:
            ConfigError: a given parameter is not allowed.
        """
        super().__init__(name)
        self._trouble = ThrottledLog(self.get_logger(), "callbacks")
        self._life = ThrottledLog(self.get_logger(), "life cycle")
        rclpy_internals.replace_change_state(self, self._guard_changes)
        self._pipeline_settings = parameters.pipeline_settings(groups)
        kinds: list[type[Settings]] = [NodeSettings, bond.BondSettings, *own]
        if self.senses:
            kinds.append(SensingSettings)
        self._own = [setting for kind in kinds for setting in kind.settings()]
        self._configured = False
        self._silent: dict[str, tuple[int, str, str]] = {}
        """By input: reports in a row of one reason for silence, what was logged, the reason."""
        self.last_error = ""
        """Why the last transition failed; empty when it did not."""
        self.finished: Callable[[], None] = lambda: None
        """What a node calls that has nothing more to do; ends the process that `run` made."""
        self.failed = False
        """The node could not do its work; `run` tells it by the exit status."""
        parameters.declare(self, [*self._own, *self._pipeline_settings])
        self._in_vain: list[str] = []
        for given, closest in parameters.unknown(self, self._own).items():
            hint = f"; did you mean '{closest}'?" if closest else ""
            if given in RETIRED:
                hint = f"; it takes {RETIRED[given]}"
            self._warn_in_vain(f"unknown parameter '{given}' has no effect{hint}")
        self.add_on_set_parameters_callback(self._check_change)
        self.add_post_set_parameters_callback(self._after_change)
        self._sensing: SensingSwitch | None = None
        if self.senses:
            self._sensing = SensingSwitch(
                self, serves=self.senses == "serves", turned=self._turned
            )
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._bond = self._make_bond()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", qos.result(1)
        )
        self._reporting = self.create_timer(_REPORT_PERIOD_S, self._report, clock=self.steady)

    def _make_bond(self) -> bond.Bond | None:
        period_s = self.read(bond.BondSettings).bond_heartbeat_period
        if self.read(NodeSettings).autostart or not period_s:
            return None
        if not bond.is_installed():
            self.get_logger().info(
                "no bond with nav2_lifecycle_manager, because the package bond is not "
                "installed: install ros-$ROS_DISTRO-bond, or set the manager's bond_timeout "
                "to 0.0"
            )
            return None
        return bond.Bond(self, period_s)

    def look_at(self, words: Sequence[str]) -> None:
        """Warn of what a command line sets in vain: parameters of other nodes, and files that
        have nothing for this node, nor for another one of this package."""
        warn = self._warn_in_vain
        for name in parameter_file.singles_of(words):
            if name in parameter_file.names() and not self.has_parameter(name):
                warn(f"parameter '{name}' has no effect on {self.get_name()}")
        own = self.get_fully_qualified_name()
        space = self.get_namespace().rstrip("/")
        ours = [own, *(f"{space}/{one}" for one in parameter_file.NODES)]
        for file in parameter_file.files_of(words):
            try:
                if parameter_file.useless(file, ours):
                    warn(parameter_file.useless(file, [own]))
            except SettingsError as error:
                # The middleware could read it.
                warn(str(error))

    def _warn_in_vain(self, text: str) -> None:
        self.get_logger().warning(text)
        self._in_vain.append(text)

    # --- for derived nodes

    def prepare(self) -> None:
        """Read parameters, load models."""

    def open(self) -> None:
        """Make topics, start threads."""

    def close(self) -> None:
        """Undo `open`; may be called twice."""

    def release(self) -> None:
        """Undo `prepare`; may be called twice."""

    def wipe(self) -> None:
        """Forget everything about people, after `close`; settings and networks stay."""

    def report(self) -> list[DiagnosticStatus]:
        """What /diagnostics says while the node is active."""
        return []

    def settings_changed(self) -> None:
        """A setting of `live_groups` has a new value."""

    def read(self, kind: type[_Kind]) -> _Kind:
        """The present values of the node's own parameters.

        Args:
            kind: one of those that the node was made with.

        Raises:
            ConfigError: values do not go together.
        """
        return parameters.read(self, kind)

    def config(self) -> PipelineConfig:
        """The configuration of the engine by the present parameters.

        Raises:
            ConfigError: values do not go together.
        """
        return PipelineConfig.from_flat(parameters.values(self, self._pipeline_settings))

    def now_ns(self) -> int:
        """The node's clock [ns]; 0 while use_sim_time waits for /clock."""
        return int(self.get_clock().now().nanoseconds)

    @property
    def is_sensing(self) -> bool:
        """Sensing is not switched off; always True of nodes that do not sense people."""
        return self._sensing is None or self._sensing.is_on

    @property
    def active(self) -> bool:
        """The node is in the state active."""
        return rclpy_internals.state_of(self) == "active"

    # --- what comes from outside

    def callback_failed(self, what: str, error: Exception) -> None:
        """Log what a callback has raised.

        Args:
            what: was at work, e.g. "a message on /audio".
            error: that it raised.
        """
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        kind = type(error).__name__
        self._trouble.report(
            f"{what} {kind}", f"{what} raised {kind}: {error}{where}; the node keeps running"
        )

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any], **more: Any
    ) -> Any:
        """As rclpy's, but a callback that raises is logged and answered for: with a response
        that is as it was made, so one that says of no success."""
        # rclpy makes those of the parameters by this, too.
        if srv_type is SetParameters:
            callback = self._one_by_one(callback)
        guarded = self._guarded(srv_type, srv_name, callback)
        return super().create_service(srv_type, srv_name, guarded, **more)

    def _guarded(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any]
    ) -> Callable[..., Any]:
        def answer_for(error: Exception) -> Any:
            self.callback_failed(f"a call of {srv_name}", error)
            response = srv_type.Response()
            if srv_type is SetParametersAtomically:
                response.result.reason = f"cannot be set: {error}"
            return response

        def guarded(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:  # noqa: BLE001  said, and answered
                return answer_for(error)

        async def guarded_later(request: Any, response: Any) -> Any:
            try:
                return await callback(request, response)
            except Exception as error:  # noqa: BLE001  said, and answered
                return answer_for(error)

        return guarded_later if inspect.iscoroutinefunction(callback) else guarded

    def _one_by_one(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """Parameters set each for itself: one that cannot even be read, as of a type that does
        not exist, is refused and does not keep the others."""

        def answer(
            request: SetParameters.Request, response: SetParameters.Response
        ) -> SetParameters.Response:
            for parameter in request.parameters:
                one = SetParameters.Request(parameters=[parameter])
                try:
                    response.results += callback(one, SetParameters.Response()).results
                except Exception as error:  # noqa: BLE001  said, and answered
                    reason = f"parameter '{parameter.name}' cannot be set: {error}"
                    self._trouble.note("parameter", reason)
                    refusal = SetParametersResult(successful=False, reason=reason)
                    response.results = [*response.results, refusal]
            return response

        return answer

    def _guard_changes(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """`change_state` for managers that ask again for what is not possible any more."""

        def answer(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            wanted = request.transition
            possible = rclpy_internals.possible_transitions(self)
            known = wanted.label in possible.values() if wanted.label else wanted.id in possible
            if known:
                return change(request, response)
            state = rclpy_internals.state_of(self)
            names = ", ".join(f"{label} ({number})" for number, label in possible.items())
            asked = f"transition {wanted.label[:_SHOWN] or wanted.id}"
            self._life.note(
                f"{asked} {state}",
                f"{asked} is not possible in the state {state}; allowed: {names or 'none'}",
            )
            response.success = False
            return response

        return self._guarded(ChangeState, "change_state", answer)

    # --- life cycle

    def start(self) -> bool:
        """Configure and activate; false if that failed (the log says why)."""
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            return False
        activated: bool = self.trigger_activate() == TransitionCallbackReturn.SUCCESS
        return activated

    def end(self) -> None:
        """Let everything go, whatever the state."""
        self._undo(self._stop)
        self._undo(self.release)
        self.destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Runs `prepare`."""
        done = self._attempt("configure", self.prepare, self.release)
        self._configured = done == TransitionCallbackReturn.SUCCESS
        return_free_memory()  # of what loading took
        return done

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Runs `open`."""
        done = self._attempt("activate", self._begin, self._stop)
        if done == TransitionCallbackReturn.SUCCESS:
            if self._bond is not None:
                self._bond.begin()
            self.get_logger().info("active" if self.is_sensing else f"active, but {_OFF}")
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Runs `close`."""
        return self._attempt("deactivate", self._stop, self._stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Runs `release`."""
        self._configured = False
        done = self._attempt("clean up", self.release, self.release)
        gc.collect()  # stages that know each other are freed here, not some time later
        return_free_memory()
        return done

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002
        """Runs `close` and `release`."""
        self._configured = False
        self._undo(self._stop)
        self._undo(self.release)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where a new attempt can be made."""
        return self.on_shutdown(state)

    def _begin(self) -> None:
        if self._sensing is not None:
            self._sensing.open()
        if self.is_sensing:
            self.open()

    def _stop(self) -> None:
        if self._bond is not None:
            self._bond.end()
        if self._sensing is not None:
            self._sensing.close()
        self.close()
        self.wipe()

    def _turned(self, on: bool) -> str:
        """Begin or end to sense; why it cannot be done, "" if it can."""
        if not self.active:
            return ""
        if on:
            done = self._attempt("turn sensing on", self.open, self.close)
            if done != TransitionCallbackReturn.SUCCESS:
                return self.last_error
            self.get_logger().info("sensing is on")
            return ""
        self._undo(self.close)
        self._undo(self.wipe)
        # What only knows itself is freed now, not some time later.
        gc.collect()
        return_free_memory()
        self.get_logger().warning(f"{_OFF}; everything about people is forgotten")
        return ""

    def _attempt(
        self, what: str, step: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        # rclpy would swallow what a transition raises without a word.
        self.last_error = ""
        try:
            step()
        except AvemoError as error:
            self.last_error = str(error)
            # A manager may try again and again.
            self._life.report(f"{what} {error}", f"cannot {what}: {error}")
            failed = TransitionCallbackReturn.FAILURE
        except Exception as error:  # noqa: BLE001  said, and told to rclpy
            self.last_error = f"{type(error).__name__}: {error}"
            self._life.report(
                f"{what} {self.last_error}", f"cannot {what}: {traceback.format_exc()}"
            )
            failed = TransitionCallbackReturn.ERROR
        else:
            self._life.good()
            return TransitionCallbackReturn.SUCCESS
        self._undo(undo)
        return failed

    def _undo(self, step: Callable[[], None]) -> None:
        """Let go; what cannot be let go must not keep the rest."""
        try:
            step()
        except Exception:  # noqa: BLE001  said
            self.get_logger().error(f"cannot {step.__name__}: {traceback.format_exc()}")

    # --- parameters

    def _check_change(self, changes: list[Any]) -> SetParametersResult:
        try:
            self._accept(changes)
            fixed = self._fixed(changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=not fixed, reason=fixed)

    def _fixed(self, changes: list[Any]) -> str:
        """Why these values cannot change now; empty if they can."""
        ours = {setting.name for setting in (*self._own, *self._pipeline_settings)}
        fixed = [
            change.name
            for change in changes
            if change.name in ours and change.name.split(".", 1)[0] not in self.live_groups
        ]
        if not self._configured or not fixed:
            return ""
        steps = [*(("deactivate",) if self.active else ()), "cleanup"]
        name = self.get_fully_qualified_name()
        commands = ", then ".join(f"`ros2 lifecycle set {name} {step}`" for step in steps)
        return (
            f"parameter '{fixed[0]}' is read when the node is configured and cannot change "
            f"now; run {commands} first"
        )

    def _accept(self, changes: list[Any]) -> None:
        own = {setting.name: setting for setting in self._own}
        settings = parameters.values(self, self._pipeline_settings)
        for change in changes:
            if change.name not in own and change.name not in settings:
                continue
            if change.name in own:
                own[change.name].check(change.value)
            else:
                settings[change.name] = change.value
        PipelineConfig.from_flat(settings)

    def _after_change(self, changes: list[Any]) -> None:
        if self._configured and any(
            change.name.split(".", 1)[0] in self.live_groups for change in changes
        ):
            self.settings_changed()

    # --- diagnostics

    def _report(self) -> None:
        if self.active and not self.is_sensing:
            statuses = [DiagnosticStatus(level=DiagnosticStatus.OK, message=_OFF)]
        elif self.active:
            statuses = self.report()
            self._say_silence(statuses)
        else:
            level = DiagnosticStatus.ERROR if self.last_error else DiagnosticStatus.OK
            label = rclpy_internals.state_of(self)
            statuses = [DiagnosticStatus(level=level, message=self.last_error or label)]
        if self._in_vain:
            settings = {f"setting {at}": text for at, text in enumerate(self._in_vain, 1)}
            text = self._in_vain[0]
            statuses.append(diagnostics.status("settings", diagnostics.WARN, text, settings))
        for entry in statuses:
            entry.name = f"{self.get_name()}: {entry.name or 'life cycle'}"
            entry.hardware_id = self.get_fully_qualified_name()
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _say_silence(self, statuses: Sequence[DiagnosticStatus]) -> None:
        """One line when an input does not come, or for another reason than before, and one
        when it does: a node that waits for what nobody publishes would look as if it hung."""
        for entry in statuses:
            reports, said, last = self._silent.get(entry.name, (0, "", ""))
            silent = entry.level == DiagnosticStatus.STALE
            # Another reason has its own time: who has just appeared may send in a moment.
            reports = 0 if not silent else 1 + reports * (entry.message == last)
            if reports >= _SILENT_REPORTS and entry.message != said:
                said = entry.message
                self.get_logger().warning(said)
            elif said and entry.level == DiagnosticStatus.OK:
                said = ""
                self.get_logger().info(entry.message)
            self._silent[entry.name] = (reports, said, entry.message)


def run(make: Callable[[], ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run a node until it has finished or SIGINT or SIGTERM comes.

    Args:
        make: builds the node.
        args: ROS arguments; those of the command line if None.

    Returns:
        Exit status: 1 if the ROS arguments or a parameter are not allowed, the start failed or
        the node says that it has failed; 0 otherwise.
    """
    words = sys.argv if args is None else args
    if host.too_old():
        say(f"avemo_ros: {host.too_old()}", file=sys.stderr)
        return 1
    limit_free_memory()
    ending = ShutdownEvent()
    # rclpy's own handlers would take the middleware away from threads that still publish.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.call())
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        reason = _PLACE.sub("", str(error))
        say(f"avemo_ros: the ROS arguments cannot be used: {reason}", file=sys.stderr)
        return 1
    node: ManagedNode | None = None
    try:
        node = make()
        node.look_at(words)
        reach = host.discovery()
        if reach.level is not host.Level.OK:
            node.get_logger().info(f"DDS: {reach.text}; {reach.advice}")
        node.finished = ending.call
        if node.read(NodeSettings).autostart and not node.start():
            return 1
        _spin(node, ending)
    except ConfigError as error:
        say(f"avemo_ros: {error}", file=sys.stderr)  # there is no node yet to log it
        return 1
    finally:
        if node is not None:
            node.end()
        rclpy.try_shutdown()
        # Python gives signals back their default at its very end, where a second one (launch
        # and terminal both send one) would turn this end into a death.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        # Nor need Python look through all of torch for garbage first: that takes seconds.
        gc.freeze()
    # Some fail only as they end, e.g. to close a bag.
    return int(node.failed)


def _spin(node: ManagedNode, ending: ShutdownEvent) -> None:
    executor = SturdyExecutor(node.callback_failed)
    executor.add_node(node)

    def work() -> None:
        executor.spin()
        ending.call()

    # The main thread waits, so that signals reach it at once.
    thread = threading.Thread(target=work, name="executor", daemon=True)
    thread.start()
    ending.wait()
    executor.shutdown()
    thread.join()
