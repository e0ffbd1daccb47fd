"""`submit` and `balance`: one call, and what is left for more."""

from typing import Annotated

import typer

from ihuyi_voice.cli.calling import call
from ihuyi_voice.cli.options import Account, BaseUrl, Json, MaxWait
from ihuyi_voice.cli.output import announce, print_json, reporting, say
from ihuyi_voice.models import OutcomeStatus


def submit(
    mobile: Annotated[str, typer.Argument(help="submit.mobile.help")],
    content: Annotated[str, typer.Argument(help="submit.content.help")],
    account: Account = None,
    base_url: BaseUrl = None,
    max_wait: MaxWait = 0.0,
    *,
    as_json: Json = False,
) -> None:
    """Have one number called."""
    with reporting(as_json=as_json):
        submission = call(
            lambda client: client.submit(mobile, content, max_wait=max_wait), account, base_url
        )
        voice_id = submission.voice_id
        told = {"status": OutcomeStatus.ACCEPTED.value, "voice_id": voice_id}
        announce("submit.accepted", told, as_json=as_json, voice_id=voice_id)


def balance(account: Account = None, base_url: BaseUrl = None, *, as_json: Json = False) -> None:
    """Print how many notifications are left on the account."""
    with reporting(as_json=as_json):
        left = call(lambda client: client.balance(), account, base_url)
        if as_json:
            print_json({"balance": left})
        else:
            say("balance.left", left=left)
