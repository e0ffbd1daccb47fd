"""Every word that the command says: one table for translators, key → (English, Chinese).

What stands in braces is filled in, and must stand in both languages alike. The words of the larger
groups of commands stand in modules beside this one.
"""

from typing import Final

from ihuyi_voice.cli import (
    texts_causes,
    texts_check,
    texts_frame,
    texts_ledger,
    texts_next,
    texts_page,
    texts_pushes,
    texts_reasons,
    texts_send,
    texts_simulate,
    texts_work,
)

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # The command itself
    "app.help": (
        (
            "Voice notifications by 互亿无线 (ihuyi). Account and key come from IHUYI_ACCOUNT and "
            "IHUYI_API_KEY."
        ),
        "互亿无线（ihuyi）语音通知。账号和密钥取自环境变量 IHUYI_ACCOUNT 和 IHUYI_API_KEY。",
    ),
    # How commands end: below the help of each
    "exit.title": ("Exit codes, the same for all commands:", "退出码（所有命令相同）："),
    "exit.line": ("{code}: {words}", "{code}：{words}"),
    "exit.0": (
        "done; of a list, every message was accepted",
        "完成；批量发送时，全部通知已受理",
    ),
    "exit.1": (
        "not all of it: messages that were not accepted, a report that has not come",
        "未全部完成：有通知未被受理，或回执尚未到达",
    ),
    "exit.2": ("wrong usage or input; nothing was sent", "用法或输入有误；没有发送"),
    "exit.3": (
        "refused by the vendor; of a list, for the whole account",
        "被平台拒绝；批量发送时，是整个账号被拒绝",
    ),
    "exit.4": (
        "the vendor was not reached, or the number is held back; safe to try again",
        "未能连接平台，或号码受频率限制；可以放心重试",
    ),
    "exit.5": (
        "unknown: it may have arrived, do not just send it again",
        "结果未知：可能已送达，不要直接重发",
    ),
    "exit.6": (
        "results, output, database or port failed; see what was done before that",
        "结果文件、输出、数据库或端口出错；请先查看已完成的部分",
    ),
    "exit.7": (
        "the run was settled before, and nothing was sent",
        "任务此前已全部完成，没有发送",
    ),
    "exit.8": ("an extra is not installed; it is named", "缺少附加组件，提示中有名称"),
    "exit.130": ("interrupted; what was in flight is told", "被中断；已说明发送途中的通知"),
    "lang.help": (
        "The language to speak, before or after the command; else IHUYI_LANG or the locale says.",
        "显示语言，可写在命令之前或之后；未指定时取 IHUYI_LANG 或系统区域设置。",
    ),
    "version.help": ("Print the version and exit.", "显示版本并退出。"),
    "extra.missing": (
        "ihuyi-voice: the command needs an extra: pip install 'ihuyi-voice[cli]' ({reason})",
        "ihuyi-voice：命令行需要附加组件：pip install 'ihuyi-voice[cli]'（{reason}）",
    ),
    "error.system": ("ihuyi-voice: {reason}", "ihuyi-voice：{reason}"),
    "output.closed": (
        "the output was closed before everything was written",
        "输出已关闭，有内容未能写出",
    ),
    "output.unread": (
        "nobody read the output, and the end was asked for",
        "输出无人读取，且已要求结束",
    ),
    "output.lost": ("the output could not be written: {reason}", "输出无法写入：{reason}"),
    "interrupted": ("Interrupted.", "已中断。"),
    "interrupted.in_flight": (
        "interrupted when the request was in flight",
        "请求发出后、收到应答前被中断",
    ),
    "log.line": ("{line}", "{line}"),
    "log.missed": (
        "{count:,} log lines are left out, for nobody read them",
        "因无人读取，略去 {count:,} 行日志",
    ),
    "error.voice": ("{name}: {reason}", "{family}（{name}）：{reason}"),
    "family.InvalidRequest": ("wrong input", "输入有误"),
    "family.RateLimited": ("held back", "号码受频率限制"),
    "family.VendorError": ("refused by the vendor", "平台拒绝"),
    "family.NotSent": ("not sent", "未发送，可以重试"),
    "family.OutcomeUnknown": ("unknown", "结果未知，不要直接重发"),
    "family.StorageUnavailable": ("database failed", "数据库出错"),
    "family.InboxUnavailable": ("inbox failed", "收件箱出错"),
    "family.VoiceError": ("error", "出错"),
    # Options that commands share
    "json.help": ("Print JSON for programs.", "输出 JSON，供程序读取。"),
    "account.help": ("APIID of the vendor's console.", "平台控制台中的 APIID。"),
    "base_url.help": (
        "Full address of voice.php, for example a simulator's.",
        "voice.php 的完整地址，例如模拟器的地址。",
    ),
    "max_wait.help": (
        "Longest wait for a number's limits, in seconds.",
        "因号码频率限制最多等待的秒数。",
    ),
    "inbox.option.help": (
        "The inbox: a file, or postgresql://…; the password belongs in the environment.",
        "收件箱：文件或 postgresql:// 地址；密码请放在环境变量中。",
    ),
    "port.help": ("Where to listen; 0 for any free port.", "监听端口；0 表示任意空闲端口。"),
    "host.help": ("Where to listen.", "监听地址。"),
    # demo
    "demo.help": (
        "Send 1,000 notifications to a simulator on this machine; nobody's phone rings.",
        "向本机的模拟器发送 1,000 条通知；不会拨打任何电话。",
    ),
    "demo.count.help": ("How many rows the file has.", "文件的行数。"),
    "demo.vendor": (
        "The vendor, simulated, listens at {url}",
        "模拟的平台正在监听 {url}",
    ),
    "demo.template": ("Template: {template}", "模板：{template}"),
    "demo.balance": (
        "balance before {before:,}, after {after:,}: {used:,} used",
        "发送前余额 {before:,}，发送后 {after:,}：共使用 {used:,} 条",
    ),
    # submit, balance
    "submit.help": ("Have one number called.", "拨打一个号码。"),
    "submit.mobile.help": ("The number to call.", "要拨打的号码。"),
    "submit.content.help": (
        "The text, following an approved template.",
        "语音内容，须符合已审核通过的模板。",
    ),
    "submit.accepted": ("accepted, voice_id {voice_id}", "已受理，voice_id {voice_id}"),
    "balance.help": (
        "Print how many notifications are left on the account.",
        "显示账号剩余条数。",
    ),
    "balance.left": ("{left}", "{left}"),
    # check, and what to do next
    **texts_check.TEXTS,
    **texts_next.TEXTS,
    **texts_reasons.TEXTS,
    # template
    "template.help": ("Hand in, delete or try out a template.", "提交、删除或检验模板。"),
    "template.content.help": ("The template with 【变量】 in it.", "含有【变量】的模板。"),
    "template.id.help": ("The template's id.", "模板编号。"),
    "template.auth.help": (
        "How the account proves itself for templates; plain if nothing is said.",
        "模板操作的验证方式；默认为 plain。",
    ),
    "template.length.help": ("Longest value.", "变量内容的最大长度。"),
    "template.add.help": (
        "Hand in a template for the vendor's audit.",
        "提交模板，由平台审核。",
    ),
    "template.delete.help": ("Delete a template.", "删除模板。"),
    "template.check.help": (
        "Say whether a content follows a template, before it costs a call (4072, 40722).",
        "在花费一次呼叫之前，检验内容是否符合模板（4072、40722）。",
    ),
    "template.added": (
        "handed in, template_id {template_id}",
        "已提交，template_id {template_id}",
    ),
    "template.deleted": ("deleted {template_id}", "已删除 {template_id}"),
    "template.follows": ("it follows; values: {values}", "符合模板；变量：{values}"),
    "template.no_values": ("none", "无"),
    # send
    **texts_send.TEXTS,
    **texts_causes.TEXTS,
    # The bars of send and demo
    "bar.sending": ("sending", "发送中"),
    "bar.reports": ("reports", "等待回执"),
    "bar.pace": ("{rate:,.0f}/s, {in_flight} in flight", "每秒 {rate:,.0f} 行，进行中 {in_flight}"),
    "bar.deferred": (", {count:,} held back: {reason}", "，等待中 {count:,}：{reason}"),
    "bar.counts": (
        "accepted {ok:,}, refused {no:,}, unknown {unknown:,}, not sent {unsent:,}, held {held:,}",
        "已受理 {ok:,}，被拒绝 {no:,}，结果未知 {unknown:,}，未发送 {unsent:,}，暂缓 {held:,}",
    ),
    "bar.cause": ("mostly ({count:,}): {cause}", "主要原因（{count:,}）：{cause}"),
    "bar.attempt": ("an attempt failed: {cause}", "有一次尝试失败：{cause}"),
    "bar.cause.rows": (
        "rows that can't be sent, the first: {reason}",
        "名单中有错误的行，第一个：{reason}",
    ),
    # The tables of send and demo
    "outcomes.title": ("Outcomes", "结果"),
    "outcomes.outcome": ("outcome", "结果"),
    "table.messages": ("messages", "条数"),
    "outcomes.again": ("safe to send again?", "可以重发吗？"),
    "outcome.ACCEPTED": ("ACCEPTED", "已受理 ACCEPTED"),
    "outcome.REJECTED": ("REJECTED", "被拒绝 REJECTED"),
    "outcome.HELD": ("HELD", "暂缓 HELD"),
    "outcome.NOT_SENT": ("NOT_SENT", "未发送 NOT_SENT"),
    "outcome.UNKNOWN": ("UNKNOWN", "结果未知 UNKNOWN"),
    "again.ACCEPTED": ("no, the phone will ring", "不可以，电话会响"),
    "again.REJECTED": ("see the codes", "见代码表"),
    "again.HELD": ("yes, after retry_at", "可以，在 retry_at 之后"),
    "again.NOT_SENT": ("yes, once what is wrong is mended", "可以，请先解决问题"),
    "again.UNKNOWN": ("no, it may ring already", "不可以，电话可能已经响了"),
    "codes.title": ("Codes", "代码"),
    "table.code": ("code", "代码"),
    "table.vendors_text": ("the vendor's text", "平台说明"),
    "codes.action": ("what to do", "处理办法"),
    "codes.success": ("提交成功", "提交成功"),
    "codes.unlisted": ("in no table", "未列出的代码"),
    "action.none": ("nothing", "无需处理"),
    "action.fix_request": ("fix_request", "修改后再发"),
    "action.wait": ("wait", "稍后再发"),
    "action.retry": ("retry", "可以直接重试"),
    "action.stop": ("stop", "停止发送，先解决账号问题"),
    "ends.title": ("Delivery reports", "呼叫回执"),
    "ends.calls": ("calls", "呼叫数"),
    "ends.how": ("how it ended", "呼叫结果"),
    "end.answered": ("answered", "已接听"),
    "end.unknown_error": ("unknown_error", "未知错误"),
    "end.powered_off": ("powered_off", "关机"),
    "end.suspended": ("suspended", "停机"),
    "end.unreachable": ("unreachable", "无法接通"),
    "end.busy": ("busy", "正在通话"),
    "end.no_such_number": ("no_such_number", "空号"),
    "end.no_answer": ("no_answer", "无人接听"),
    "end.incoming_barred": ("incoming_barred", "呼入限制"),
    "end.network_busy": ("network_busy", "网络忙"),
    "end.outgoing_barred": ("outgoing_barred", "呼出限制"),
    "end.line_busy": ("line_busy", "线路忙"),
    "end.declined": ("declined", "用户拒接"),
    # receive, report, replay, inbox
    **texts_pushes.TEXTS,
    # simulate
    **texts_simulate.TEXTS,
    **texts_ledger.TEXTS,
    **texts_work.TEXTS,
    # The page of a run
    **texts_page.TEXTS,
    # The framework's words
    **texts_frame.TEXTS,
}
