"""The words of a run's page (`ledger html`), as `texts` has those of the command."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "page.title": ("Voice run {run}", "语音通知任务 {run}"),
    "page.people": ("{count:,} people", "共 {count:,} 人"),
    "page.messages": (
        "{messages:,} messages to {people:,} numbers",
        "{people:,} 个号码，共 {messages:,} 条通知",
    ),
    "page.when": (
        "{begun} to {ended} (UTC+8), {duration}",
        "{begun} 至 {ended}（北京时间），历时 {duration}",
    ),
    "page.pair": ("{first}; {second}", "{first}，{second}"),
    "page.others": ("not sent, held or unknown", "未发送、暂缓或未知"),
    "page.never": ("nothing has been sent yet", "尚未发送"),
    "page.account": ("account {account}", "账号 {account}"),
    "page.seconds": ("{count:,.0f} s", "{count:,.0f} 秒"),
    "page.minutes": ("{count:,.0f} min", "{count:,.0f} 分钟"),
    "page.hours": ("{count:,.1f} h", "{count:,.1f} 小时"),
    "page.rate": ("{rate:,.1f} a second on average", "平均每秒 {rate:,.1f} 条"),
    "page.share": ("{share:.1f} %", "{share:.1f}%"),
    "page.count": ("{count:,}", "{count:,}"),
    "page.yes": ("Done: everything has its outcome.", "已完成：每条通知都有结果。"),
    "page.open": (
        (
            "Not finished: {count:,} messages have not been sent. Run the same command again, and "
            "it goes on; nobody is called twice."
        ),
        "尚未完成：还有 {count:,} 条未发送。再次运行同一命令即可继续，不会重复拨打。",
    ),
    "page.ask": (
        (
            "{count:,} messages are uncertain: the phone may have rung. They are not sent again by "
            "themselves; see the list at the end."
        ),
        "{count:,} 条结果未知：电话可能已经响过，不会自动重发；见页末列表。",
    ),
    "page.stopped": (
        "The vendor refused the whole account with {code}: {text}. Mend that first.",
        "平台以 {code} 拒绝了整个账号：{text}。请先解决此问题。",
    ),
    # What people have got
    "fate.called": ("called", "已拨打"),
    "fate.answered": ("answered", "已接听"),
    "fate.not_reached": ("not reached", "未接通"),
    "fate.awaited": ("report still to come", "等待回执"),
    "fate.uncertain": ("uncertain", "结果未知"),
    "fate.refused": ("refused", "被拒绝"),
    "fate.not_called": ("not called", "未拨打"),
    # The parts of the page
    "page.outcomes": ("Outcomes", "结果"),
    "page.codes": ("What the vendor said", "平台返回的代码"),
    "page.reasons": ("Why others have no answer", "其余未得到答复的原因"),
    "page.pace": ("Messages that ended, over time", "各时段完成的条数"),
    "page.waits": ("How long the vendor took", "平台响应时间"),
    "page.ends": ("How calls ended", "呼叫结果"),
    "page.uncertain": ("Uncertain", "结果未知"),
    "page.reason": ("reason", "原因"),
    "page.number": ("number", "号码"),
    "page.reference": ("reference", "备注"),
    "page.at": ("since", "时间"),
    "page.why": ("what is known", "已知情况"),
    "page.candidates": ("reports that may fit: {ids}", "可能相符的回执：{ids}"),
    "page.more": (
        "… and {count:,} more: ihuyi-voice ledger unknown",
        "……另有 {count:,} 条：ihuyi-voice ledger unknown",
    ),
    "page.advice": (
        (
            "Ask the people, or wait for their delivery reports and run “ihuyi-voice ledger "
            "reconcile”. What you know of one is told by “ihuyi-voice ledger settle”."
        ),
        (
            "请询问本人，或等待回执后运行“ihuyi-voice ledger reconcile”；已查明的可用“ihuyi-voice "
            "ledger settle”登记。"
        ),
    ),
    "page.median": ("half within", "半数不超过"),
    "page.slowest": ("19 of 20 within", "95% 不超过"),
    "page.unit": ("milliseconds", "毫秒"),
    "page.span": ("a pillar is {duration}", "每柱 {duration}"),
    "page.no_ends": (
        "No delivery report has come yet. They are joined by “ihuyi-voice ledger reconcile”.",
        "尚无回执。可用“ihuyi-voice ledger reconcile”并入回执。",
    ),
    "page.made": (
        (
            "Made {when} (UTC+8) by ihuyi-voice. Numbers are masked; the page asks nothing of any "
            "network. “Called” are those whose call the vendor accepted; a person with several "
            "messages counts by the best of them."
        ),
        (
            "由 ihuyi-voice 于 {when}（北京时间）生成。号码已隐藏；本页不访问任何网络。"
            "“已拨打”指平台已受理；一人有多条通知时按最好的结果计。"
        ),
    ),
    # What to do about a code
    "todo.nothing": ("nothing", "无需处理"),
    "todo.fix_request": (
        "correct it before it is sent again",
        "修改后再发",
    ),
    "todo.wait": ("send it again later", "稍后再发"),
    "todo.retry": ("send it again", "可以直接重发"),
    "todo.stop": (
        "mend the account first; nothing passes until then",
        "先解决账号问题，否则都会失败",
    ),
    "todo.ask": ("ask the vendor; the code is in no table", "代码未列出，请咨询平台"),
    # The state of an entry that has no outcome
    "outcome.OPEN": ("OPEN", "未开始 OPEN"),
    "again.OPEN": ("in flight, or sent when the run goes on", "在途，或在任务继续时发送"),
}
