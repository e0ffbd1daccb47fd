"""The options that commands share, and the client made of them."""

import os
from typing import Annotated, Final, TypeAlias

import typer

from ihuyi_voice.client import VoiceClient

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Account: TypeAlias = Annotated[
    str | None, typer.Option(help="APIID of the vendor's console.", envvar="IHUYI_ACCOUNT")
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Full address of voice.php, for example a simulator's.", envvar="IHUYI_BASE_URL"
    ),
]
MaxWait: TypeAlias = Annotated[
    float, typer.Option(help="Longest wait for a number's limits, in seconds.", min=0)
]
InboxAddress: TypeAlias = Annotated[
    str,
    typer.Option(
        help="The inbox: a file, or postgresql://…; the password belongs in the environment.",
        envvar="IHUYI_INBOX",
    ),
]
DEFAULT_INBOX: Final = "ihuyi-pushes.sqlite3"


def make_client(account: str | None, base_url: str | None) -> VoiceClient:
    """Return a client of the options and the environment; the key only ever comes from there.

    Raises:
        InvalidRequest: Account or key is missing.
    """
    if account is not None:
        os.environ["IHUYI_ACCOUNT"] = account
    options = {} if base_url is None else {"base_url": base_url}
    return VoiceClient.from_env(**options)
