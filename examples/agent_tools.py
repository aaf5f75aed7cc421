"""Gives an LLM agent of ROS the emotions as tools, in LangChain's shape: ROSA and RAI take it.

python examples/agent_tools.py     prints what each tool gives, as an agent would get it

    from agent_tools import emotion_tools
    tools = emotion_tools()                                       # needs langchain-core
    agent = ROSA(ros_version=2, llm=llm, tools=tools)             # ROSA
    agent = create_conversational_agent(llm, tools, "You are ...")  # RAI

The tools are those of `avemo mcp`: they only read, give no words, images or sound, and nothing
at all while sensing is switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from avemo_ros.nodes.sensed_people import PeopleTools, SensedPeople, SensedPeopleNode


def listen() -> PeopleTools:
    """Start a node that listens on a thread of its own; call rclpy.init() before."""
    people = SensedPeople()
    executor = SingleThreadedExecutor()
    executor.add_node(SensedPeopleNode("agent_tools", people))
    threading.Thread(target=spin, args=[executor], daemon=True).start()
    return PeopleTools(people)


def spin(executor: SingleThreadedExecutor) -> None:
    """Take what comes until rclpy is shut down."""
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def plain(tool: Callable[..., Any]) -> Callable[..., Any]:
    """The tool as a coroutine that gives plain values."""

    @functools.wraps(tool)
    async def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return (await tool(*args, **kwargs)).model_dump()

    return call


def blocking(tool: Callable[..., Any]) -> Callable[..., Any]:
    """The same as a function: ROSA calls its tools one after the other."""

    @functools.wraps(tool)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return asyncio.run(plain(tool)(*args, **kwargs))

    return call


def emotion_tools() -> list[Any]:
    """The tools for an agent."""
    from langchain_core.tools import StructuredTool

    if not rclpy.ok():
        rclpy.init()
    return [
        StructuredTool.from_function(func=blocking(tool), coroutine=plain(tool))
        for tool in listen().all
    ]


def main() -> None:
    """Call each tool once."""
    rclpy.init()
    for tool in listen().all:
        given = {"timeout_s": 5.0} if tool.__name__ == "wait_until_upset" else {}
        print(tool.__name__, given, "->", json.dumps(blocking(tool)(**given)), flush=True)


if __name__ == "__main__":
    main()
