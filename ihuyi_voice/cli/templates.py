"""`template add`, `delete` and `check`."""

import asyncio
from typing import Annotated, TypeAlias

import typer

from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.options import Account, BaseUrl, Json, TemplateAuth, make_client
from ihuyi_voice.cli.output import print_json, reporting, say
from ihuyi_voice.inputs import Template
from ihuyi_voice.models import AddedTemplate

Variables: TypeAlias = Annotated[str, typer.Argument(help="template.content.help")]
Auth: TypeAlias = Annotated[TemplateAuth | None, typer.Option(help="template.auth.help")]


def add(
    content: Variables,
    account: Account = None,
    base_url: BaseUrl = None,
    template_auth: Auth = None,
    *,
    as_json: Json = False,
) -> None:
    """Hand in a template for the vendor's audit."""

    async def run() -> AddedTemplate:
        async with make_client(account, base_url, template_auth) as client:
            return await client.add_template(content)

    with reporting(as_json=as_json):
        added = asyncio.run(run())
        if as_json:
            print_json({"template_id": added.template_id})
        else:
            say("template.added", template_id=added.template_id)


def delete(
    template_id: Annotated[str, typer.Argument(help="template.id.help")],
    account: Account = None,
    base_url: BaseUrl = None,
    template_auth: Auth = None,
    *,
    as_json: Json = False,
) -> None:
    """Delete a template."""

    async def run() -> None:
        async with make_client(account, base_url, template_auth) as client:
            await client.delete_template(template_id)

    with reporting(as_json=as_json):
        asyncio.run(run())
        if as_json:
            print_json({"deleted": template_id})
        else:
            say("template.deleted", template_id=template_id)


def check(
    template: Variables,
    content: Annotated[str, typer.Argument(help="submit.content.help")],
    max_value_length: Annotated[
        int | None, typer.Option(help="template.length.help", min=1)
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Say whether a content follows a template, before it costs a call (4072, 40722)."""
    with reporting(as_json=as_json):
        values = Template(template, max_value_length).check(content)
        if as_json:
            print_json({"values": values})
        else:
            say("template.follows", values=", ".join(values) or text("template.no_values"))
