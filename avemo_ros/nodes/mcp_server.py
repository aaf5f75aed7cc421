"""An MCP server for LLM agents: who is there, how they feel, a wait until somebody is upset.

The protocol: https://modelcontextprotocol.io, by the `mcp` package (the extra `mcp`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Final

import rclpy
from mcp.server import MCPServer
from mcp.types import ToolAnnotations
from rclpy.signals import SignalHandlerOptions

from avemo_ros.interrupt import INTERRUPTED
from avemo_ros.nodes.diagnostics import ThrottledLog
from avemo_ros.nodes.rclpy_internals import SturdyExecutor
from avemo_ros.nodes.sensed_people import (
    INSTRUCTIONS,
    PeopleTools,
    SensedPeople,
    SensedPeopleNode,
)
from avemo_ros.untrusted import say

NAME: Final = "mcp_server"


def server_of(people: SensedPeople) -> MCPServer:
    """The MCP server with its four tools.

    Args:
        people: what they tell of.
    """
    server = MCPServer("avemo", instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in PeopleTools(people).all:
        server.add_tool(
            tool,
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
            structured_output=True,
        )
    return server


def main(args: Sequence[str] | None = None) -> int:
    """Serve on standard input and output until the client closes them; returns the exit
    status."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    people = SensedPeople()
    node = SensedPeopleNode(NAME, people)
    trouble = ThrottledLog(node.get_logger(), NAME)
    executor = SturdyExecutor(
        lambda work, error: trouble.report(work, f"{work}: unexpected {type(error).__name__}")
    )
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, name="executor", daemon=True)
    spinning.start()
    where = f"topics below {node.get_namespace()}"
    say(f"avemo: serving MCP on standard input and output; {where}", file=sys.stderr)
    try:
        server_of(people).run("stdio")
    except KeyboardInterrupt:
        # A thread still waits for input, and Python would wait for it at its end.
        say("avemo: interrupted", file=sys.stderr)
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    finally:
        executor.shutdown()
        spinning.join()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
