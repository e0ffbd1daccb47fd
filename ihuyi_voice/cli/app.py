"""The commands and their help."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ihuyi_voice.cli import send as sends
from ihuyi_voice.cli import simulate as simulates
from ihuyi_voice.cli.options import (
    DEFAULT_INBOX,
    Account,
    BaseUrl,
    InboxAddress,
    Json,
    MaxWait,
    make_client,
)
from ihuyi_voice.cli.output import EXIT_HELP, console, errors, print_json, reporting
from ihuyi_voice.inputs.templates import Template
from ihuyi_voice.models import AddedTemplate, Submission

app = typer.Typer(
    help="Voice notifications by 互亿无线 (ihuyi). Account and key come from IHUYI_ACCOUNT and "
    "IHUYI_API_KEY.\n\n" + EXIT_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, keys among them
    add_completion=False,
)
templates = typer.Typer(help="Hand in, delete or try out a template.", no_args_is_help=True)
app.add_typer(templates, name="template")

Content = Annotated[str, typer.Argument(help="The text, following an approved template.")]


@app.command()
def demo(
    count: Annotated[int, typer.Option(help="How many rows the file has.", min=20)] = 1000,
    *,
    as_json: Json = False,
) -> None:
    """Send 1,000 notifications to a simulator on this machine; nobody's phone rings."""
    from ihuyi_voice.cli import demo as demos  # noqa: PLC0415 - SQLAlchemy loads slowly

    with reporting(as_json=as_json):
        asyncio.run(demos.demo(count, as_json=as_json))


@app.command()
def submit(
    mobile: Annotated[str, typer.Argument(help="The number to call.")],
    content: Content,
    account: Account = None,
    base_url: BaseUrl = None,
    max_wait: MaxWait = 0.0,
    *,
    as_json: Json = False,
) -> None:
    """Have one number called."""

    async def run() -> Submission:
        async with make_client(account, base_url) as client:
            return await client.submit(mobile, content, max_wait=max_wait)

    with reporting(as_json=as_json):
        submission = asyncio.run(run())
        if as_json:
            print_json({"status": "ACCEPTED", "voice_id": submission.voice_id})
        else:
            console.print(f"accepted, voice_id {submission.voice_id}", highlight=False)


@app.command()
def balance(account: Account = None, base_url: BaseUrl = None, *, as_json: Json = False) -> None:
    """Print how many notifications are left on the account."""

    async def run() -> int:
        async with make_client(account, base_url) as client:
            return await client.balance()

    with reporting(as_json=as_json):
        left = asyncio.run(run())
        if as_json:
            print_json({"balance": left})
        else:
            console.print(left, highlight=False)


@templates.command("add")
def add_template(
    content: Annotated[str, typer.Argument(help="The template with 【变量】 in it.")],
    account: Account = None,
    base_url: BaseUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """Hand in a template for the vendor's audit."""

    async def run() -> AddedTemplate:
        async with make_client(account, base_url) as client:
            return await client.add_template(content)

    with reporting(as_json=as_json):
        added = asyncio.run(run())
        if as_json:
            print_json({"template_id": added.template_id})
        else:
            console.print(
                f"handed in, template_id {added.template_id}", markup=False, highlight=False
            )


@templates.command("delete")
def delete_template(
    template_id: Annotated[str, typer.Argument(help="The template's id.")],
    account: Account = None,
    base_url: BaseUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """Delete a template."""

    async def run() -> None:
        async with make_client(account, base_url) as client:
            await client.delete_template(template_id)

    with reporting(as_json=as_json):
        asyncio.run(run())
        if as_json:
            print_json({"deleted": template_id})
        else:
            console.print(f"deleted {template_id}", markup=False, highlight=False)


@templates.command("check")
def check_template(
    template: Annotated[str, typer.Argument(help="The template with 【变量】 in it.")],
    content: Content,
    max_value_length: Annotated[int | None, typer.Option(help="Longest value.", min=1)] = None,
    *,
    as_json: Json = False,
) -> None:
    """Say whether a content follows a template, before it costs a call (4072, 40722)."""
    with reporting(as_json=as_json):
        values = Template(template, max_value_length).check(content)
        if as_json:
            print_json({"values": values})
        else:
            console.print(f"it follows; values: {', '.join(values) or 'none'}", markup=False)


@app.command()
def send(
    recipients: Annotated[Path, typer.Argument(help="CSV with a header and a mobile column.")],
    template: Annotated[str | None, typer.Option(help="Makes the contents.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Another column's name: mobile=手机号, content=…, reference=…, 1=姓名."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write each result to this new CSV.")] = None,
    concurrency: Annotated[int, typer.Option(help="Most submissions in flight.", min=1)] = 100,
    max_wait: MaxWait = 120.0,
    max_rate: Annotated[float | None, typer.Option(help="Most submissions a second.")] = None,
    account: Account = None,
    base_url: BaseUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """Send to everybody in a CSV file (UTF-8 or GB18030); bad rows are reported and skipped."""
    with reporting(as_json=as_json):
        job = sends.SendJob(
            sends.recipients_file(recipients, template, column or ()),
            out,
            concurrency,
            max_wait,
            max_rate,
        )
        code = asyncio.run(sends.send(make_client(account, base_url), job, as_json=as_json))
    raise typer.Exit(code)


@app.command()
def receive(
    inbox: InboxAddress = DEFAULT_INBOX,
    port: Annotated[
        int, typer.Option(help="Where to listen; 0 for any free port.", min=0, max=65535)
    ] = 8080,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    token: Annotated[
        str,
        typer.Option(
            help="The secret that the address ends in; the environment keeps it out of sight.",
            envvar="IHUYI_PUSH_TOKEN",
        ),
    ] = "",
    allow: Annotated[
        list[str] | None, typer.Option(help="A network that may push; none: any.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="A network of proxies whose X-Forwarded-For counts.")
    ] = None,
    *,
    store_only: Annotated[
        bool, typer.Option("--store-only", help="Leave the handling to other processes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take the vendor's pushes until Ctrl-C: store each durably, answer, then print it."""
    from ihuyi_voice.cli import receive as receives  # noqa: PLC0415 - SQLAlchemy loads slowly

    settings = receives.ReceiverSettings(
        inbox, host, port, token, tuple(allow or ()), tuple(trusted_proxy or ()), store_only
    )
    with reporting(as_json=as_json):
        asyncio.run(receives.receive(settings, as_json=as_json))


@app.command()
def report(
    voice_id: Annotated[str, typer.Argument(help="The voice_id that submit printed.")],
    inbox: InboxAddress = DEFAULT_INBOX,
    wait: Annotated[float, typer.Option(help="Longest wait for it, in seconds.", min=0)] = 0.0,
    *,
    as_json: Json = False,
) -> None:
    """Print how a call ended, if its report has come."""
    from ihuyi_voice.cli import receive as receives  # noqa: PLC0415 - SQLAlchemy loads slowly

    with reporting(as_json=as_json):
        found = asyncio.run(receives.show_report(inbox, voice_id, wait, as_json=as_json))
    if not found:
        errors.print(f"no report of {voice_id} has come", markup=False, highlight=False)
        raise typer.Exit(1)


@app.command()
def replay(inbox: InboxAddress = DEFAULT_INBOX, *, as_json: Json = False) -> None:
    """Have pushes whose handler failed too often handled again."""
    from ihuyi_voice.cli import receive as receives  # noqa: PLC0415 - SQLAlchemy loads slowly

    with reporting(as_json=as_json):
        asyncio.run(receives.replay(inbox, as_json=as_json))


@app.command()
def simulate(
    port: Annotated[
        int, typer.Option(help="Where to listen; 0 for any free port.", min=0, max=65535)
    ] = 8000,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    account: Annotated[str, typer.Option(help="The APIID it knows.")] = "VM00000000",
    api_key: Annotated[str, typer.Option(help="Its made-up APIKEY.")] = "simulator-key",
    balance: Annotated[int, typer.Option(help="Notifications left.")] = 1_000_000,
    template: Annotated[
        list[str] | None, typer.Option(help="An approved template; none: any content passes.")
    ] = None,
    latency: Annotated[float, typer.Option(help="Seconds a request takes.", min=0)] = 0.0,
    jitter: Annotated[float, typer.Option(help="Random seconds more.", min=0)] = 0.0,
    push_to: Annotated[
        str, typer.Option(help="Where to push reports and audits, token included.")
    ] = "",
    report_delay: Annotated[
        float, typer.Option(help="Seconds from a call to its report.", min=0)
    ] = 1.0,
) -> None:
    """Be the vendor, on this machine, until Ctrl-C."""
    with reporting(as_json=False):
        settings = simulates.SimulatorSettings(
            account,
            api_key,
            balance,
            tuple(template or ()),
            latency,
            jitter,
            push_to,
            report_delay,
        )
        asyncio.run(simulates.simulate(host, port, settings))
