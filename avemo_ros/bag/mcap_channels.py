"""What the schema and channel records of an MCAP file say of its topics."""

from __future__ import annotations

from collections.abc import Mapping

from mcap.opcode import Opcode
from mcap.records import Channel as ChannelRecord
from mcap.records import Schema

from avemo_ros.bag.mcap_records import stream_of
from avemo_ros.bag.storage import Channel, joined


class McapChannels:
    """Gathers the records as they are met; of several with one number the first counts."""

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}
        self._records: dict[int, ChannelRecord] = {}

    def learn(self, opcode: int, content: bytes | memoryview) -> None:
        """Take a record, if it is a schema or a channel.

        Raises:
            McapError, struct.error, ValueError: it is damaged.
        """
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream_of(content))
            self._schemas.setdefault(schema.id, schema)
        elif opcode == Opcode.CHANNEL:
            record = ChannelRecord.read(stream_of(content))
            self._records.setdefault(record.id, record)

    def keys(self) -> dict[int, tuple[str, str]]:
        """Topic and type by the number of the channel."""
        return {
            number: (record.topic, self._type_of(record))
            for number, record in self._records.items()
        }

    def channels(self, counts: Mapping[int, int]) -> tuple[Channel, ...]:
        """All, by topic.

        Args:
            counts: messages by the number of the channel.
        """
        found = []
        for number, record in self._records.items():
            schema = self._schemas.get(record.schema_id)
            found.append(
                Channel(
                    record.topic,
                    self._type_of(record),
                    "" if schema is None else schema.data.decode(errors="replace"),
                    "" if schema is None else schema.encoding,
                    record.message_encoding,
                    counts.get(number, 0),
                )
            )
        return joined(found)

    def _type_of(self, record: ChannelRecord) -> str:
        schema = self._schemas.get(record.schema_id)
        return "" if schema is None else str(schema.name)
