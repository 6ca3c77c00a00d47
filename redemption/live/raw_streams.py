"""Stream commands with their raw replies: lists of bytes, no mapping built of entries that nobody will read.

redis-py turns each entry of a reply into a dict (3 µs); most entries concern no open page.
"""

from typing import Any

from redemption.ledger.streams import StreamClient, open_stream_client


def open_raw_client(url: str) -> StreamClient:
    """Open a client like `open_stream_client`, for `ask`: XREAD, XRANGE and XREVRANGE return the reply as it was
    sent."""
    client = open_stream_client(url)
    for command in ("XREAD", "XRANGE", "XREVRANGE"):
        client.set_response_callback(command, _as_it_came)
    return client


async def ask(client: StreamClient, *command: str | bytes | int) -> Any:
    """Send a command and return its reply. Raises redis-py's faults."""
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]


def _as_it_came(response: Any, **_: Any) -> Any:
    return response
