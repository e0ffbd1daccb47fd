"""One wire request in, a raw reply out, or a word on whether it left."""

from ihuyi_voice.http.options import HttpOptions
from ihuyi_voice.http.sending import Sender, Sent, step_at

__all__ = [
    "HttpOptions",
    "Sender",
    "Sent",
    "step_at",
]
