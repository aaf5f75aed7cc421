"""The emotional context in the shapes that other dialog systems take.

`rasa` is what Rasa takes: metadata of a message (REST channel) and slot events (tracker).
`tool_definition` and `tool_call` are what OpenAI-compatible chat endpoints take.
"""

from __future__ import annotations

import json
from typing import Any, Final

from avemo_ros.dialog.context import EmotionalContext

TOOL: Final = "get_emotional_context"
_SLOTS: Final = (
    "emotion",
    "confidence",
    "confidence_band",
    "trend",
    "words",
    "mismatch",
    "engagement",
)


def rasa(context: EmotionalContext) -> dict[str, Any]:
    """`metadata` for a message and `events` that set a slot each, ready for JSON.

    The slots are those of _SLOTS, each with 'emotional_' before its name.
    """
    values = context.as_dict()
    return {
        "metadata": {"emotional_context": values},
        "events": [
            {
                "event": "slot",
                "timestamp": None,
                "name": f"emotional_{name}",
                "value": values[name],
            }
            for name in _SLOTS
        ],
    }


def tool_definition() -> dict[str, Any]:
    """The tool that a model may call, ready for JSON."""
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "How the person seems to feel, from face and voice: emotion with "
            "confidence ('unknown' if uncertain), trend of the mood, mismatch "
            "between words and tone, engagement.",
            "parameters": {
                "type": "object",
                "properties": {
                    "person": {
                        "type": "string",
                        "description": "Id of the person; empty for the attended person.",
                    }
                },
                "required": [],
                "additionalProperties": False,
            },
        },
    }


def tool_call(context: EmotionalContext, call_id: str = "emotion") -> list[dict[str, Any]]:
    """The call and its result as two messages of a chat, ready for JSON.

    What a person said is not in the result: a model takes results for true.
    """
    result = {key: value for key, value in context.as_dict().items() if key != "preceded_by"}
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": TOOL, "arguments": json.dumps({"person": context.person})},
    }
    content = json.dumps({**result, "summary": context.paragraph()})
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": content},
    ]
