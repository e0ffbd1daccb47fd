"""The words of the commands around pushes, as `texts` has those of the command."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # receive, report, replay, inbox
    "receive.help": (
        "Take the vendor's pushes until Ctrl-C: store each durably, answer, then print it.",
        "接收平台推送，按 Ctrl-C 结束：先可靠保存，再应答，然后显示。",
    ),
    "receive.token.help": (
        "The secret that the address ends in; the environment keeps it out of sight.",
        "推送地址末尾的密钥；放在环境变量中可避免泄露。",
    ),
    "receive.allow.help": (
        "A network that may push; none: any.",
        "允许推送的网段；不填则不限制。",
    ),
    "receive.proxy.help": (
        "A network of proxies whose X-Forwarded-For counts.",
        "可信代理的网段，采用其 X-Forwarded-For。",
    ),
    "receive.store.help": (
        "Leave the handling to other processes.",
        "只保存，由其他进程处理。",
    ),
    "receive.listening": (
        "listening at http://{host}:{port}/<token>",
        "正在监听 http://{host}:{port}/<token>",
    ),
    "receive.no_token": (
        "a receiver needs a secret: set IHUYI_PUSH_TOKEN, for example to {proposal}",
        "接收推送需要密钥：请设置 IHUYI_PUSH_TOKEN，例如 {proposal}",
    ),
    "receive.short_token": (
        (
            "a secret of under {least} characters can be guessed: set IHUYI_PUSH_TOKEN, for "
            "example to {proposal}, and give the vendor the new address"
        ),
        (
            "少于 {least} 个字符的密钥容易被猜中：请设置 IHUYI_PUSH_TOKEN，例如 {proposal}，"
            "并把新的地址告知平台"
        ),
    ),
    "receive.unheard": (
        "the output is closed: what was not printed stays stored, and is printed next time",
        "输出已关闭：未显示的推送仍保存在收件箱中，下次启动时显示",
    ),
    "push.report": (
        "{when}  {voice_id}  {mobile}  {ending}",
        "{when}  {voice_id}  {mobile}  {ending}",
    ),
    "push.talked": (
        "{when}  {voice_id}  {mobile}  {ending}, {seconds} s",
        "{when}  {voice_id}  {mobile}  {ending}，{seconds} 秒",
    ),
    "push.approved": ("template {template_id} approved {msg}", "模板 {template_id} 审核通过 {msg}"),
    "push.turned_down": (
        "template {template_id} turned down {msg}",
        "模板 {template_id} 未通过审核 {msg}",
    ),
    "report.help": (
        "Print how a call ended, if its report has come.",
        "显示一次呼叫的结果（如回执已到达）。",
    ),
    "report.voice_id.help": ("The voice_id that submit printed.", "submit 输出的 voice_id。"),
    "report.wait.help": ("Longest wait for it, in seconds.", "最多等待回执的秒数。"),
    "report.none": ("no report of {voice_id} has come", "{voice_id} 的回执尚未到达"),
    "replay.help": (
        "Have pushes whose handler failed too often handled again.",
        "重新处理多次处理失败的推送。",
    ),
    "replay.done": (
        "{count:,} dead pushes will be handled again",
        "{count:,} 条失败的推送将重新处理",
    ),
    "inbox.missing": ("there is no inbox {inbox}", "收件箱 {inbox} 不存在"),
    "inbox.help": (
        "Look after what the vendor has pushed: count it, delete it, read it again.",
        "管理收件箱：统计、清理、重新读取平台的推送。",
    ),
    "inbox.counts.help": (
        "Print how many pushes are in each state.",
        "显示各状态的推送数。",
    ),
    "inbox.purge.help": (
        "Delete what has been handled and is old; what still has to be handled stays.",
        "删除已处理的旧推送；尚未处理的会保留。",
    ),
    "inbox.purge.days.help": (
        "Delete what came more than so many days ago.",
        "删除多少天以前收到的推送。",
    ),
    "inbox.purged": ("{count:,} pushes deleted", "已删除 {count:,} 条推送"),
    "inbox.quarantine.help": (
        "Show the pushes that could not be read, numbers masked; --json has them whole.",
        "显示无法读取的推送（号码已隐藏）；--json 输出全文。",
    ),
    "inbox.unread": (
        "{seq}  {when}  {reason}: {excerpt}",
        "{seq}  {when}  {reason}：{excerpt}",
    ),
    "inbox.all_read": ("every push could be read", "没有无法读取的推送"),
    "inbox.reparse.help": (
        "Read once more what could not be read, after an update of this program.",
        "程序升级后，重新读取此前无法读取的推送。",
    ),
    "inbox.reparsed": (
        "{count:,} pushes can be read now, {left:,} can not",
        "{count:,} 条推送现在可以读取，{left:,} 条仍无法读取",
    ),
    "inbox.title": ("Inbox", "收件箱"),
    "inbox.state": ("state", "状态"),
    "inbox.pushes": ("pushes", "推送数"),
    "state.pending": ("pending", "待处理"),
    "state.handled": ("handled", "已处理"),
    "state.dead": ("dead", "处理失败"),
    "state.superseded": ("superseded", "已被后来的状态取代"),
    "state.quarantined": ("quarantined", "无法读取，已原样保存"),
}
