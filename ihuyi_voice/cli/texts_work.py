"""The words of runs that many machines work on: `work`, `send --distribute`, a run followed."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # work
    "work.help": (
        (
            "Work on the account's runs, beside any other workers, on any number of machines, "
            "until SIGTERM: what is in flight ends, the rest is left to others. A second signal "
            "lets go of what is in flight, too, which is unknown then."
        ),
        (
            "与任意数量机器上的其他工作进程一起处理该账号的任务，直到收到 SIGTERM："
            "在途的呼叫会完成，其余留给其他进程；再次收到信号则立即放弃在途的呼叫，其结果未知。"
        ),
    ),
    "work.ledger.help": (
        "The ledger that all share: postgresql://…, reached directly, not by a pooler.",
        "共用的账本：postgresql:// 地址，须直接连接，不经连接池。",
    ),
    "work.guard.help": (
        "The limits that all share: redis://…",
        "共用的频率限制：redis:// 地址。",
    ),
    "work.concurrency.help": (
        "Most submissions of this worker in flight.",
        "本进程同时在途的最大提交数。",
    ),
    "work.parts.help": (
        "Most parts of runs that it works on at a time.",
        "本进程同时处理的最大分片数。",
    ),
    "work.max_rate.help": (
        "Most submissions a second, of all workers of the account together.",
        "每秒最多提交数，所有工作进程合计。",
    ),
    "work.until_done.help": (
        "End when nothing is left to do.",
        "全部处理完后结束。",
    ),
    "work.begun": (
        "{worker} works for {account}; SIGTERM lets it end in good order",
        "{worker} 正在处理账号 {account} 的任务；发送 SIGTERM 可使其正常结束",
    ),
    "work.away": (
        "the database can't be reached, and is tried again until it can: {reason}",
        "暂时无法连接数据库，将持续重试：{reason}",
    ),
    "work.ending": (
        "what is in flight ends; once more to let go of it",
        "正在等待在途的呼叫完成；再次中断则立即放弃",
    ),
    "work.ended": ("ended in good order", "已正常结束"),
    "work.cut": (
        "ended at once: what was in flight is unknown",
        "已立即结束：在途的呼叫结果未知",
    ),
    "work.account": (
        "whose run is it? say --account or IHUYI_ACCOUNT",
        "请用 --account 或 IHUYI_ACCOUNT 指定账号",
    ),
    # send --distribute
    "send.distribute.help": (
        "Only load the list into the ledger (PostgreSQL), for `ihuyi-voice work` on any machines.",
        "只将名单载入账本，由 work 命令发送。",
    ),
    "send.distribute.wrong": (
        (
            "--distribute needs --ledger, and only loads the list: it goes with --run, "
            "--duplicates and what describes the list"
        ),
        "--distribute 需要 --ledger，且只载入名单：可与 --run、--duplicates 及名单格式选项合用",
    ),
    "distribute.done": (
        "{rows:,} rows: {new:,} new in {run}, which has {parts:,} parts; {bad:,} can't be sent",
        "共 {rows:,} 行：新载入 {new:,} 条到任务 {run}（{parts:,} 个分片）；{bad:,} 行无法发送",
    ),
    # ledger stop, resume
    "ledger.stop.help": (
        "Let nothing more of a run be sent, by anybody; what is in flight ends.",
        "停止任务：任何进程都不再发送，在途的呼叫会完成。",
    ),
    "ledger.stop.reason.help": ("Why; it stands on the run.", "原因，记在任务上。"),
    "ledger.resume.help": (
        "Let a run that was stopped go on; workers take it up by themselves.",
        "继续已停止的任务；工作进程会自行接续。",
    ),
    "ledger.stopped": ("{run} is stopped", "任务 {run} 已停止"),
    "ledger.resumed": ("{run} may go on", "任务 {run} 可以继续"),
    # ledger show --follow
    "ledger.follow.help": (
        "Show it live, with its workers, until it is done or stopped.",
        "实时显示任务及其工作进程，直到完成或停止。",
    ),
    "follow.line": (
        "{done:,} of {parts:,} parts done, {workers:,} at work: {outcomes}",
        "已完成 {done:,}/{parts:,} 个分片，{workers:,} 个进程工作中：{outcomes}",
    ),
    "follow.head": (
        "{run}: {done:,} of {parts:,} parts done",
        "{run}：已完成 {done:,}/{parts:,} 个分片",
    ),
    "follow.stopped": ("stopped: {cause}", "已停止：{cause}"),
    "follow.workers": ("Workers", "工作进程"),
    "follow.worker": ("worker", "进程"),
    "follow.beat": ("last beat", "最近心跳"),
    "follow.ago": ("{seconds:.1f} s ago", "{seconds:.1f} 秒前"),
    "follow.dead": (", dead", "，已失联"),
    "follow.parts": ("parts", "分片"),
    "follow.left": ("left", "剩余"),
}
