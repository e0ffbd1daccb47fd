"""`template add`, `delete` and `check`."""

from typing import Annotated, Final, TypeAlias

import typer

from ihuyi_voice.cli.calling import call
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.options import Account, BaseUrl, Json, TemplateAuth
from ihuyi_voice.cli.output import announce, print_json, reporting, say
from ihuyi_voice.inputs import Template

_UNSURE: Final = "next.template"
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
    with reporting(as_json=as_json, unsure=_UNSURE):
        added = call(
            lambda client: client.add_template(content),
            account, base_url, template_auth, acts=True,
        )  # fmt: skip
        told = {"template_id": added.template_id}
        announce("template.added", told, as_json=as_json, **told)


def delete(
    template_id: Annotated[str, typer.Argument(help="template.id.help")],
    account: Account = None,
    base_url: BaseUrl = None,
    template_auth: Auth = None,
    *,
    as_json: Json = False,
) -> None:
    """Delete a template."""
    with reporting(as_json=as_json, unsure=_UNSURE):
        call(
            lambda client: client.delete_template(template_id),
            account, base_url, template_auth, acts=True,
        )  # fmt: skip
        told = {"deleted": template_id}
        announce("template.deleted", told, as_json=as_json, template_id=template_id)


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
