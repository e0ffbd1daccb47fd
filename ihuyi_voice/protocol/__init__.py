"""The vendor's protocol without any I/O: values to requests, bytes to values."""

from ihuyi_voice.protocol.codes import closes_the_account, window_of
from ihuyi_voice.protocol.forms import PushUnreadable
from ihuyi_voice.protocol.pushes import Push, PushKind, PushValue, RawPush, parse_push
from ihuyi_voice.protocol.replies import Answer
from ihuyi_voice.protocol.requests import Call, Method, ReplyFormat, VoicePhp, WireRequest
from ihuyi_voice.protocol.signing import Auth, Credentials, TemplateAuth

__all__ = [
    "Answer",
    "Auth",
    "Call",
    "Credentials",
    "Method",
    "Push",
    "PushKind",
    "PushUnreadable",
    "PushValue",
    "RawPush",
    "ReplyFormat",
    "TemplateAuth",
    "VoicePhp",
    "WireRequest",
    "closes_the_account",
    "parse_push",
    "window_of",
]
