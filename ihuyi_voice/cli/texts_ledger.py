"""The words of the group `ledger`."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "family.LedgerUnavailable": ("ledger failed", "账本出错"),
    # The group ledger
    "ledger.help": (
        "Look into a ledger: runs, results, reports, what is uncertain.",
        "查看账本：任务、结果、报告以及结果未知的通知。",
    ),
    "ledger.option.help": (
        "The ledger: a file, or postgresql://…; the password belongs in the environment.",
        "账本：文件或 postgresql:// 地址；密码请放在环境变量中。",
    ),
    "ledger.missing": ("there is no ledger {ledger}", "账本 {ledger} 不存在"),
    "ledger.run.help": (
        'The name of the run; "" for single calls.',
        '任务名称；"" 表示单次呼叫。',
    ),
    "ledger.account.help": (
        "The account, where several have a run of this name.",
        "多个账号有同名任务时，指定账号。",
    ),
    "ledger.numbers.help": ("Show whole numbers.", "显示完整号码。"),
    "ledger.runs.help": ("List the runs, the last used first.", "列出任务，最近使用的在前。"),
    "ledger.show.help": (
        "Print what a run came to: outcomes, codes, how calls ended.",
        "显示任务的结果：受理情况、代码、呼叫结果。",
    ),
    "ledger.unknown.help": (
        "List the messages of which nobody knows whether their call was made.",
        "列出结果未知的通知：不知道是否已拨打。",
    ),
    "ledger.settle.help": (
        "Say what became of an uncertain message: accepted, or not sent, which opens it again.",
        "登记结果未知的通知：accepted 已受理，或 not_sent 未发送（之后会重新发送）。",
    ),
    "ledger.reconcile.help": (
        "Let the delivery reports of an inbox settle what is uncertain, and join the others.",
        "用收件箱中的回执确认结果未知的通知，并并入其余回执。",
    ),
    "ledger.csv.help": (
        "Write a run as CSV: all entries, or a list with its columns and what became of each row.",
        "将任务写成 CSV：全部记录，或保留名单原有各列并附上每行结果。",
    ),
    "ledger.html.help": (
        "Write a run as one page of HTML, for a phone and a desk.",
        "将任务写成一个 HTML 页面，适合手机和电脑查看。",
    ),
    "ledger.entry.help": (
        "Which message, as `ledger unknown` names it.",
        "ledger unknown 列出的名称。",
    ),
    "ledger.outcome.help": ("What became of it.", "它的结果。"),
    "ledger.voice_id.help": ("The vendor's number of the call.", "该呼叫的 voice_id。"),
    "ledger.csv.out.help": ("The file; else it is printed.", "写入的文件；不填则直接输出。"),
    "ledger.csv.recipients.help": (
        "The list that was sent: its columns are kept, in its order.",
        "发送时的名单：保留原有各列和顺序。",
    ),
    "ledger.csv.again.help": (
        "The list was sent with --duplicates send.",
        "名单是以 --duplicates send 发送的。",
    ),
    "ledger.html.out.help": ("The file to write.", "写入的文件。"),
    "ledger.html.lang.help": (
        "The page's language; else the command's.",
        "页面语言；默认与命令相同。",
    ),
    "ledger.html.extra": (
        "the page needs an extra: pip install 'ihuyi-voice[report]' ({reason})",
        "生成页面需要附加组件：pip install 'ihuyi-voice[report]'（{reason}）",
    ),
    "ledger.html.taken": (
        "{out} is there already and is no page of a run: choose another name, or --force",
        "{out} 已存在，且不是任务页面：请换一个文件名，或使用 --force",
    ),
    "ledger.html.written": ("written to {out}", "已写入 {out}"),
    "ledger.settled": ("{name} is {status} now", "{name} 已登记为 {status}"),
    "ledger.reconciled": (
        "{settled:,} settled by their reports; {ambiguous:,} where several fit, or none surely",
        "回执确认了 {settled:,} 条；另有 {ambiguous:,} 条无法唯一对应",
    ),
    "ledger.unknown.none": ("nothing is uncertain", "没有结果未知的通知"),
    "ledger.unknown.some": ("{count:,} uncertain", "共 {count:,} 条结果未知"),
    "ledger.unknown.title": ("Uncertain", "结果未知"),
    "ledger.entry": ("message", "通知"),
    "ledger.candidates": ("reports that may fit", "可能相符的回执"),
    "ledger.runs.title": ("Runs", "任务"),
    "ledger.runs.run": ("run", "任务"),
    "ledger.runs.state": ("state", "状态"),
    "ledger.runs.accepted": ("accepted", "已受理"),
    "ledger.runs.uncertain": ("uncertain", "结果未知"),
    "ledger.runs.left": ("left", "未发送"),
    "ledger.runs.used": ("last used (UTC)", "最近使用（UTC）"),
    "ledger.runs.keyed": ("(single calls)", "（单次呼叫）"),
    "run.in_use": ("in use", "运行中"),
    "run.stopped": ("stopped", "已停止"),
    "run.idle": ("not in use", "未运行"),
}
