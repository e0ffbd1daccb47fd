"""The words of `send`."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # send
    "send.help": (
        "Send to everybody in a table (CSV or .xlsx); bad rows are reported and skipped.",
        "按表格文件（CSV 或 .xlsx）逐行发送；有错误的行会报告并跳过。",
    ),
    "send.recipients.help": (
        "CSV or .xlsx with a header and a mobile column; - for stdin.",
        "带表头和 mobile 列的 CSV 或 .xlsx 文件；- 表示标准输入。",
    ),
    "send.template.help": (
        "Makes the contents: with 【变量】, or columns' names, 您好{姓名}.",
        "用来生成内容的模板：含【变量】，或列名，如 您好{姓名}。",
    ),
    "send.delimiter.help": (
        "What stands between cells: one character, or tab; else found.",
        "单元格分隔符：一个字符或 tab；默认自动识别。",
    ),
    "send.delimiter.wrong": (
        "--delimiter {text}: give one character, or tab",
        "--delimiter {text}：请给出一个字符，或 tab",
    ),
    "send.column.help": (
        "Another column's name: mobile=手机号, content=…, reference=…, 1=姓名.",
        "指定列名，如 mobile=手机号 content=内容 reference=备注 1=姓名",
    ),
    "send.out.help": (
        "Write each row and its result to this new file.",
        "将每行及其结果写入新文件。",
    ),
    "send.concurrency.help": ("Most submissions in flight.", "同时进行的最大提交数。"),
    "send.max_rate.help": ("Most submissions a second.", "每秒最大提交数。"),
    "send.column.wrong": (
        "--column {text}: write it as mobile=手机号 or 1=姓名",
        "--column {text}：请写成 mobile=手机号 或 1=姓名",
    ),
    "send.hidden": (
        (
            "{count:,} rows are hidden, by a filter for example, and are sent like the others: to "
            "leave them out, copy what you see into a new file"
        ),
        "有 {count:,} 行被隐藏（例如被筛选），仍会一同发送；如不发送，请把看得见的行复制到新文件",
    ),
    "send.sheets": (
        "only the sheet {sheet} is read, not: {others}",
        "只读取工作表 {sheet}，不读取：{others}",
    ),
    "send.out.wrong": (
        "--out would overwrite {name}, which this command needs itself",
        "--out 会覆盖本命令要用到的 {name}",
    ),
    "send.out.special": (
        "--out {out} is no file, but a folder, a pipe or a device",
        "--out {out} 不是文件，而是文件夹、管道或设备",
    ),
    "send.dry.help": (
        "Say what would be sent and what it takes; send nothing.",
        "只说明将发送的内容和所需条数、时间，不发送。",
    ),
    "send.balance.help": (
        "With --dry-run: ask the vendor for the balance.",
        "与 --dry-run 同用：向平台查询余额。",
    ),
    "send.balance.alone": ("--ask-balance needs --dry-run", "--ask-balance 需要与 --dry-run 同用"),
    "dry.title": ("A dry run: nothing was sent.", "试运行：没有发送。"),
    "dry.rows": (
        (
            "{rows:,} rows: {messages:,} messages, {bad:,} that can't be sent, {same:,} that say "
            "the same as a row before"
        ),
        "共 {rows:,} 行：将发送 {messages:,} 条，{bad:,} 行无法发送，{same:,} 行与前面的行相同",
    ),
    "dry.carried": (
        "{count:,} rows are left as an earlier run left them",
        "{count:,} 行保留此前的结果，不发送",
    ),
    "dry.text": ("line {line}, {mobile}: {content}", "第 {line} 行，{mobile}：{content}"),
    "dry.length": (
        "length: {shortest:,} to {longest:,} characters",
        "长度：{shortest:,} 至 {longest:,} 个字",
    ),
    "dry.time": ("time: about {time}", "时间：约 {time}"),
    "dry.repeated": (
        "{count:,} numbers are called several times, and wait for their limits",
        "{count:,} 个号码要拨打多次，须等待频率限制",
    ),
    "dry.held": (
        "{count:,} messages would be HELD: their numbers' limits last longer than --max-wait",
        "{count:,} 条会暂缓 HELD：号码的频率限制超过 --max-wait",
    ),
    "dry.needed": (
        "balance needed: {count:,}, one a message",
        "所需条数：{count:,}，每条通知一条",
    ),
    "dry.enough": ("balance: {balance:,}, enough", "余额：{balance:,}，足够"),
    "dry.short": ("balance: {balance:,}, not enough", "余额：{balance:,}，不足"),
    "duration.hours": ("{count} h", "{count} 小时"),
    "duration.minutes": ("{count} min", "{count} 分"),
    "duration.seconds": ("{count} s", "{count} 秒"),
    "send.only.help": (
        "Of a results file, send the rows of these statuses: held,not_sent.",
        "对结果文件，只发送这些状态的行：held,not_sent。",
    ),
    "send.ring.help": (
        "With --only accepted or unknown: let phones ring that may have rung.",
        "与 --only 同用：允许重拨可能响过的电话。",
    ),
    "send.only.wrong": (
        "--only {text}: there are accepted, rejected, held, not_sent and unknown",
        "--only {text}：可选 accepted、rejected、held、not_sent、unknown",
    ),
    "send.only.rung": (
        (
            "what is accepted rings, and what is unknown may ring: sent again, those phones ring "
            "twice; say --ring-again as well if that is meant"
        ),
        (
            "accepted 的电话会响，unknown 的可能会响：再发就会重复拨打；确实需要时请同时加上 "
            "--ring-again"
        ),
    ),
    "send.only.needed": (
        (
            "{name} has the results of an earlier run: say which of its rows to send, mostly "
            "--only held,not_sent"
        ),
        "{name} 中有此前发送的结果：请指明发送哪些行，一般是 --only held,not_sent",
    ),
    "send.only.no_results": (
        "{name} is no results file: the columns {columns} don't stand side by side in it",
        "{name} 不是结果文件：其中没有相邻的列 {columns}",
    ),
    "send.only.no_status": (
        "it has no status, so nobody knows whether it was called",
        "没有状态，无法知道是否已拨打",
    ),
    "send.held_until": (
        "some of them are held back, the last until {at}: send those then",
        "其中有暂缓的号码，最晚到 {at}：请届时再发送",
    ),
    "send.carried": (
        "{count:,} rows were left as an earlier run left them",
        "{count:,} 行保留此前的结果，没有发送",
    ),
    "send.row": ("line {line}: {status}: {reason}", "第 {line} 行：{status}：{reason}"),
    "send.rows": (
        "{count:,} × {status}: {reason} (lines {lines})",
        "{count:,} 行 {status}：{reason}（第 {lines} 行）",
    ),
    "send.rows.more": (", …", "……"),
    "list.comma": (", ", "、"),
    "send.more": (
        "… and {count} more; --out writes them all",
        "……另有 {count} 行；用 --out 可写出全部结果",
    ),
    "send.total": (
        "{rows:,} rows in {seconds:.1f} s: {rate:,.0f} a second",
        "共 {rows:,} 行，用时 {seconds:.1f} 秒：每秒 {rate:,.0f} 行",
    ),
    # send --ledger
    "send.ledger.help": (
        (
            "Keep the run in this ledger (a file, or postgresql://…): run again, it goes on, and "
            "nobody is called twice."
        ),
        "将任务记入此账本（文件或 postgresql:// 地址）：再次运行即可继续，不会重复拨打。",
    ),
    "send.run.help": (
        "The run's name in the ledger; else the file's.",
        "账本中的任务名称；默认为文件名。",
    ),
    "send.quiet.help": (
        "When nobody is called, in China's time: 22:00-08:00; held, not lost.",
        "免打扰时段（北京时间），如 22:00-08:00；期间暂缓，不会丢失。",
    ),
    "send.quiet.distribute": (
        "--quiet-hours is of no use beside --distribute: give it to the workers, who call: work",
        "--quiet-hours 不能与 --distribute 同用：由 work 命令呼叫，请在那里指定",
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
        "--run, --retry-rejected and --takeover need --ledger",
        "--run、--retry-rejected 和 --takeover 需要与 --ledger 一起使用",
    ),
    "send.out.format": (
        "results are written as .csv or .xlsx, not as {suffix}",
        "结果只能写成 .csv 或 .xlsx，不能写成 {suffix}",
    ),
    "send.out.extra": (
        ".xlsx needs an extra: pip install 'ihuyi-voice[excel]'",
        ".xlsx 需要附加组件：pip install 'ihuyi-voice[excel]'",
    ),
    "send.out.beside": (
        "{out} could not be written ({reason}); the results are in {rows}",
        "无法写入 {out}（{reason}）；结果在 {rows} 中",
    ),
    "send.out.exists": (
        "{out} is there already, and says whose phone rang: choose another name, or --force",
        "{out} 已存在，其中记录了拨打过谁：请换一个文件名，或使用 --force",
    ),
    "send.out.in_use": (
        "another run writes its results to {out}: choose another name, or wait for its end",
        "另一个任务正在向 {out} 写入结果：请换一个文件名，或等它结束",
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
    "send.never_begun": ("not begun; nothing was sent", "尚未开始，没有发送"),
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
    "send.waiting_unwritten": (
        (
            "The results can't be written ({reason}): nothing more is sent. Waiting for {count} in "
            "flight; Ctrl-C writes them down as UNKNOWN."
        ),
        (
            "结果无法写入（{reason}）：不再发送。正在等待 {count} 条发送途中的通知；"
            "按 Ctrl-C 则记为结果未知 UNKNOWN。"
        ),
    ),
    "send.cut_off": (
        "What was in flight is written down as UNKNOWN.",
        "发送途中的通知已记为结果未知 UNKNOWN。",
    ),
    "send.unsaved": (
        "known nowhere else: line {line}: {status} {voice_id} {reason}",
        "未能记录：第 {line} 行：{status} {voice_id} {reason}",
    ),
    "send.perhaps_unsaved": (
        "may be known nowhere else: line {line}: {status} {voice_id} {reason}",
        "可能未能记录：第 {line} 行：{status} {voice_id} {reason}",
    ),
    "send.unsaved_line": (
        "known nowhere else: {line}",
        "未能记录：{line}",
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
    "send.stopped": ("Stopped: {cause}: {meaning}.", "已停止：{cause}：{meaning}。"),
    "send.stopped_plainly": ("Stopped: {cause}", "已停止：{cause}"),
    "send.mostly": (
        "{bad:,} of {rows:,} were not accepted, {count:,} of them: {cause}: {meaning}.",
        "{rows:,} 行中有 {bad:,} 行未被受理，其中 {count:,} 行：{cause}：{meaning}。",
    ),
    "send.mostly_plainly": (
        "{bad:,} of {rows:,} were not accepted, {count:,} of them: {cause}",
        "{rows:,} 行中有 {bad:,} 行未被受理，其中 {count:,} 行：{cause}",
    ),
    "send.not_all": (
        "{bad:,} of {rows:,} were not accepted.",
        "{rows:,} 行中有 {bad:,} 行未被受理。",
    ),
    "send.all": ("All {rows:,} were accepted.", "全部 {rows:,} 行已受理。"),
    "send.none": ("There was nothing to send.", "没有可发送的内容。"),
    "send.interrupted": (
        "Interrupted: {rows:,} rows ended, {bad:,} of them were not accepted.",
        "已中断：{rows:,} 行有结果，其中 {bad:,} 行未被受理。",
    ),
    "send.unwritten_headline": (
        "Stopped: the results could not be written: {reason}",
        "已停止：结果无法写入：{reason}",
    ),
    "send.next": ("What to do: {advice}.", "下一步：{advice}。"),
    "send.next_plainly": (
        "What to do: ask the vendor about it; it is in no table.",
        "下一步：该代码未列出，请咨询平台。",
    ),
    "send.next_disk": (
        (
            "What to do: make room or write to another place; what stands neither in {out} nor "
            "above was not sent."
        ),
        "下一步：清理磁盘或换个位置；既不在 {out} 中、也未在上面列出的行没有发送。",
    ),
    "send.next_list": (
        "What does not stand in {out} was not sent.",
        "未列在 {out} 中的行没有发送。",
    ),
    "send.changed": (
        "{name} was changed while it was read: let nothing write to it during a run",
        "{name} 在读取期间被修改：发送时请勿改动该文件",
    ),
    "send.what_is_left": (
        "To send what is left: ihuyi-voice send {out} --only {only} --out NEW_FILE",
        "发送其余部分：ihuyi-voice send {out} --only {only} --out 新文件名",
    ),
    "send.uncertain": (
        "What is UNKNOWN is not sent again by itself: ihuyi-voice ledger unknown {run}",
        "结果未知的通知不会自动重发，请查看：ihuyi-voice ledger unknown {run}",
    ),
    "send.go_on": (
        "The run {run} goes on when the same command is run again.",
        "再次运行同一命令，任务 {run} 即可继续。",
    ),
}
