"""The options that commands share, and the client made of them. Their help is keys of the table."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from ihuyi_voice.client import VoiceClient
    from ihuyi_voice.guards import Guard
    from ihuyi_voice.ledger import Ledger


class TemplateAuth(StrEnum):
    """How the key goes along with a template: the client's `template_auth`."""

    PLAIN = "plain"
    MD5 = "md5"
    SIGNED = "signed"


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="json.help")]
Account: TypeAlias = Annotated[
    str | None, typer.Option(help="account.help", envvar="IHUYI_ACCOUNT")
]
BaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="base_url.help", envvar="IHUYI_BASE_URL")
]
MaxWait: TypeAlias = Annotated[float, typer.Option(help="max_wait.help", min=0)]
Port: TypeAlias = Annotated[int, typer.Option(help="port.help", min=0, max=65535)]
Host: TypeAlias = Annotated[str, typer.Option(help="host.help")]
InboxAddress: TypeAlias = Annotated[
    str, typer.Option(help="inbox.option.help", envvar="IHUYI_INBOX")
]
LedgerAddress: TypeAlias = Annotated[
    str, typer.Option(help="ledger.option.help", envvar="IHUYI_LEDGER")
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="send.force.help")]
DEFAULT_LEDGER: Final = "ihuyi-ledger.sqlite3"
DEFAULT_INBOX: Final = "ihuyi-pushes.sqlite3"
LOOPBACK: Final = "127.0.0.1"


def files_of(database: str) -> list[Path]:
    """Return the files of a database, which nothing may overwrite; a server's has none.

    Raises:
        InvalidRequest, ImportError: It is no address of a database, or needs an extra.
    """
    from ihuyi_voice.storage import Address  # noqa: PLC0415 - databases load slowly

    address = Address.parse(database)
    if address.dialect != "sqlite":
        return []
    return [Path(f"{address.target}{more}") for more in ("", "-wal", "-shm")]


def make_client(
    account: str | None,
    base_url: str | None,
    template_auth: TemplateAuth | None = None,
    ledger: "Ledger | None" = None,
    guard: "Guard | None" = None,
    **more: Any,  # noqa: ANN401 - the client's own options
) -> "VoiceClient":
    """Return a client of the options and the environment; the key only ever comes from there.

    Raises:
        InvalidRequest: Account or key is missing.
    """
    from ihuyi_voice.client import VoiceClient  # noqa: PLC0415 - it brings httpx along

    if account is not None:
        os.environ["IHUYI_ACCOUNT"] = account
    given: dict[str, Any] = {
        "base_url": (base_url or "").strip() or None,
        "template_auth": template_auth and template_auth.value,
        "ledger": ledger,
        "guard": guard,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return VoiceClient.from_env(**options, **more)
