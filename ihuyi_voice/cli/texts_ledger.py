"""The words of runs under a ledger: `send --ledger`, and the group `ledger`."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # send --ledger
    "send.ledger.help": (
        (
            "Keep the run in this ledger (a file, or postgresql://…): run again, it goes on, and "
            "nobody is called twice."
        ),
        "将任务记入此台账（文件或 postgresql:// 地址）：再次运行即可继续，不会重复拨打。",
    ),
    "send.run.help": (
        "The run's name in the ledger; else the file's.",
        "台账中的任务名称；默认为文件名。",
    ),
    "send.run.needed": (
        "a list from a pipe has no name: name its run with --run",
        "来自管道的名单没有文件名：请用 --run 指定任务名称",
    ),
    "send.duplicates.help": (
        "Rows that say the same to the same number: once, or send each.",
        "号码和内容都相同的行：once 只发一次，send 逐行发送。",
    ),
    "send.retry.help": (
        "Send again what the vendor refused for its number or text.",
        "重发被拒绝的号码或内容。",
    ),
    "send.takeover.help": (
        "Take the run away from another process that works on it.",
        "从其他进程接管此任务。",
    ),
    "send.force.help": (
        "Let --out replace a file of something else.",
        "允许覆盖已有的其他文件。",
    ),
    "send.needs_ledger": (
        "--run, --duplicates, --retry-rejected, --takeover and --force need --ledger",
        "--run、--duplicates、--retry-rejected、--takeover 和 --force 需要与 --ledger 一起使用",
    ),
    "send.out.taken": (
        (
            "{out} is there already and holds something else than this run's results: choose "
            "another name, or --force"
        ),
        "{out} 已存在，且不是本任务的结果：请换一个文件名，或使用 --force",
    ),
    "send.reference.used": (
        "the reference {reference} stands in line {line} with another number or content",
        "备注 {reference} 已用于第 {line} 行，但号码或内容不同",
    ),
    "send.key.used": (
        "the run has {name} with another number or content",
        "任务中 {name} 的号码或内容与此不同",
    ),
    "send.same": ("the same as line {line}: one message", "与第 {line} 行相同，合为一条"),
    "send.in_flight": (
        "it was in flight; nobody knows yet whether it was called",
        "发送途中，尚不知道是否已拨打",
    ),
    "send.not_begun": (
        "not begun; run the same command again",
        "尚未开始；再次运行同一命令即可",
    ),
    "send.not_begun_at_all": (
        "Interrupted before anything was sent.",
        "在发送之前已中断。",
    ),
    "send.in_use": (
        "Another process works on this run. Let it end, or take it over with --takeover.",
        "另一个进程正在运行此任务。请等待其结束，或使用 --takeover 接管。",
    ),
    "send.waiting": (
        "Waiting for {count} in flight; Ctrl-C again writes them down as UNKNOWN.",
        "正在等待 {count} 条发送途中的通知；再按一次 Ctrl-C 则记为结果未知 UNKNOWN。",
    ),
    "send.cut_off": (
        "What was in flight is written down as UNKNOWN.",
        "发送途中的通知已记为结果未知 UNKNOWN。",
    ),
    "send.unsaved": (
        "not in the ledger: line {line}: {status} {voice_id} {reason}",
        "未能记入台账：第 {line} 行：{status} {voice_id} {reason}",
    ),
    "send.unwritten": (
        (
            "The results could not be written to {out} ({reason}). Nothing is lost: run the same "
            "command again, or “ihuyi-voice ledger csv”."
        ),
        (
            "结果未能写入 {out}（{reason}）。记录没有丢失：请再次运行同一命令，或使用“ihuyi-voice "
            "ledger csv”。"
        ),
    ),
    "send.sames": (
        (
            "{count:,} rows say the same to the same number as a row before, and were sent once "
            "(--duplicates send: each)"
        ),
        "{count:,} 行与前面某行的号码和内容相同，只发送一次（--duplicates send：逐行发送）",
    ),
    "send.replayed": (
        "{count:,} of them had been settled before in the run {run}, and were not sent again",
        "其中 {count:,} 条此前已在任务 {run} 中有结果，没有重发",
    ),
    "send.settled": (
        (
            "Everything in the run {run} was settled before: nothing was sent. To send the list "
            "once more, give it another name: --run NAME"
        ),
        "任务 {run} 此前已全部完成：这次没有发送。如需把名单再发一遍，请另取名称：--run 名称",
    ),
    "send.stopped": ("Stopped: {cause}", "已停止：{cause}"),
    "send.uncertain": (
        "What is UNKNOWN is not sent again by itself: ihuyi-voice ledger unknown {run}",
        "结果未知的通知不会自动重发，请查看：ihuyi-voice ledger unknown {run}",
    ),
    "send.go_on": (
        "The run {run} goes on when the same command is run again.",
        "再次运行同一命令，任务 {run} 即可继续。",
    ),
    "family.LedgerUnavailable": ("ledger failed", "台账出错"),
    # The group ledger
    "ledger.help": (
        "Look into a ledger: runs, results, reports, what is uncertain.",
        "查看台账：任务、结果、报告以及结果未知的通知。",
    ),
    "ledger.option.help": (
        "The ledger: a file, or postgresql://…; the password belongs in the environment.",
        "台账：文件或 postgresql:// 地址；密码请放在环境变量中。",
    ),
    "ledger.missing": ("there is no ledger {ledger}", "台账 {ledger} 不存在"),
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
