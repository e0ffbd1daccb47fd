"""The library's own words, which are English, in the language of the command.

A reason is recognised by its English in the table, with whatever the library has filled in; what
is in no table stays as it is.
"""

import re
from functools import lru_cache
from typing import Final

from ihuyi_voice.cli.texts import TEXTS

_REASON: Final = "reason."


def in_chinese(english: str) -> str:
    """Return a reason in Chinese, reasons inside it among it; one that is not known as it is."""
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(english)
        if found is not None:
            values = {name: in_chinese(value) for name, value in found.groupdict().items()}
            return chinese.format(**values)
    where, mark, reason = english.partition(": ")
    if mark and (said := in_chinese(reason)) != reason:
        return f"{where}：{said}"
    return english


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what recognises each text, and its Chinese."""
    texts = [words for key, words in TEXTS.items() if key.startswith(_REASON)]
    return tuple((matcher(english), chinese) for english, chinese in texts)


def matcher(pattern: str) -> re.Pattern[str]:
    """Return what recognises a text of the table with its braces filled in."""
    escaped = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(pattern))
    return re.compile(escaped, re.DOTALL)
