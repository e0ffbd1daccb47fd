"""The vendor's reply to a request, as somebody has told it: without an account, without a memory.

Mocks answer with it, so that their replies have the vendor's shape and texts.
"""

from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.http import read_form
from ihuyi_voice.simulator.replies import HttpReply, write_reply
from ihuyi_voice.simulator.vendor import Answer


def operation_of(query: bytes, content_type: bytes, body: bytes) -> str:
    """Return what a request asks for, and an empty text if that is none of the four operations."""
    operation = read_form(query, content_type, body).text.get("method", "")
    return operation if operation in tables.SHAPES else ""


def told_reply(
    query: bytes, content_type: bytes, body: bytes, code: int, value: str | None = None
) -> HttpReply:
    """Return the reply to a request of one of the operations.

    Args:
        query: The URL's query.
        content_type: The type of the body.
        body: The body.
        code: The vendor's code.
        value: The id or the balance.
    """
    fields = read_form(query, content_type, body).text
    return write_reply(fields["method"], Answer(code, value), fields)
