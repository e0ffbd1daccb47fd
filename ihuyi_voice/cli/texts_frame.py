"""The words of the framework itself: their English must be as it writes them."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # The framework's words, as it writes them in help …
    "typer.usage": ("Usage:", "用法："),
    "typer.options_metavar": ("[OPTIONS]", "[选项]"),
    "typer.subcommand_metavar": ("COMMAND [ARGS]...", "命令 [参数]..."),
    "typer.help_option": ("Show this message and exit.", "显示本帮助并退出。"),
    "typer.install_completion": (
        "Let the shell complete this command from now on.",
        "为当前 shell 安装命令补全。",
    ),
    "typer.show_completion": (
        "Print what completes this command, to look at or to put into a file.",
        "显示命令补全脚本，可查看或保存为文件。",
    ),
    "typer.ARGUMENTS_PANEL_TITLE": ("Arguments", "参数"),
    "typer.OPTIONS_PANEL_TITLE": ("Options", "选项"),
    "typer.COMMANDS_PANEL_TITLE": ("Commands", "命令"),
    "typer.ERRORS_PANEL_TITLE": ("Error", "错误"),
    "typer.DEFAULT_STRING": ("[default: {}]", "[默认 {}]"),
    "typer.ENVVAR_STRING": ("[env var: {}]", "[环境变量 {}]"),
    "typer.REQUIRED_LONG_STRING": ("[required]", "[必填]"),
    "typer.ABORTED_TEXT": ("Aborted.", "已中止。"),
    "typer.RICH_HELP": (
        "Try [blue]'{command_path} {help_option}'[/] for help.",
        "运行 [blue]'{command_path} {help_option}'[/] 查看帮助。",
    ),
    # … and in errors of usage, the more special ones first
    "typer.error.argument": ("Missing argument {name}.", "缺少参数 {name}。"),
    "typer.error.missing_option": ("Missing option {name}.", "缺少选项 {name}。"),
    "typer.error.missing_command": ("Missing command.", "缺少命令。"),
    "typer.error.meant": (
        "No such option: {name} (Possible options: {others})",
        "没有选项 {name}（是否想用：{others}）",
    ),
    "typer.error.option": ("No such option: {name}", "没有选项 {name}"),
    "typer.error.command": ("No such command {name}.", "没有命令 {name}。"),
    "typer.error.no_value": ("Option {name} requires an argument.", "选项 {name} 需要一个值。"),
    "typer.error.extra_value": (
        "Option {name} does not take a value.",
        "选项 {name} 不带值。",
    ),
    "typer.error.extra": (
        "Got unexpected extra argument(s) ({names})",
        "多余的参数（{names}）",
    ),
    "typer.error.value": ("Invalid value for {name}: {reason}", "{name} 的值有误：{reason}"),
    "typer.reason.integer": (
        "Input should be a valid integer, unable to parse string as an integer",
        "应为整数",
    ),
    "typer.reason.number": (
        "Input should be a valid number, unable to parse string as a number",
        "应为数字",
    ),
    "typer.reason.least": ("Input should be greater than or equal to {limit}", "不应小于 {limit}"),
    "typer.reason.most": ("Input should be less than or equal to {limit}", "不应大于 {limit}"),
    "typer.reason.range": ("{value} is not in the range {range}.", "{value} 不在 {range} 之内"),
    "typer.reason.no_integer": ("{value} is not a valid integer.", "{value} 不是整数"),
    "typer.reason.no_number": ("{value} is not a valid float.", "{value} 不是数字"),
    "typer.reason.choice": (
        "Value error, {value} is not one of {choices}.",
        "{value} 不是可选值，可选：{choices}",
    ),
}
