"""The words of `simulate`, and of ports: key → (English, Chinese)."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "simulate.help": (
        "Be the vendor, on this machine, until Ctrl-C; nobody's phone rings.",
        "在本机模拟平台，按 Ctrl-C 结束；不会拨打任何电话。",
    ),
    "simulate.account.help": ("The APIID it knows.", "模拟器认可的 APIID。"),
    "simulate.api_key.help": ("Its made-up APIKEY.", "模拟器的虚构 APIKEY。"),
    "simulate.balance.help": ("Notifications left.", "剩余条数。"),
    "simulate.template.help": (
        "An approved template; none: any content passes.",
        "已审核通过的模板；不填则不作检查。",
    ),
    "simulate.latency.help": ("Seconds a request takes.", "每个请求耗时的秒数。"),
    "simulate.jitter.help": ("Random seconds more.", "额外随机增加的秒数。"),
    "simulate.push_to.help": (
        "Where to push reports and audits, token included.",
        "推送回执和审核结果的地址，包含密钥。",
    ),
    "simulate.delay.help": (
        "Seconds from a call to its report.",
        "从呼叫到回执的秒数。",
    ),
    "simulate.listening": ("listening at {url}", "正在监听 {url}"),
    "simulate.account": ("account {account}", "账号 {account}"),
    "simulate.limits.help": (
        "Limits per number: vendor, none, or repeat (vendor, and 4083, 4084).",
        "频率限制：vendor、none 或 repeat（含 4083、4084）。",
    ),
    "simulate.blacklist.help": ("A number that gets 4030.", "返回 4030 的号码。"),
    "simulate.sensitive.help": ("A word that gets 407.", "返回 407 的敏感词。"),
    "simulate.fault.help": (
        "What goes wrong: silence, status:status=502,share=0.01, code:code=4051,nth=9.",
        "故障：silence、code:code=4051,nth=9、status:status=502 等。",
    ),
    "simulate.tls_cert.help": ("Certificate, for https.", "https 的证书文件。"),
    "simulate.tls_key.help": ("The certificate's key file.", "证书的私钥文件。"),
    "simulate.magic.help": (
        "Don't refuse 13900004072 with 4072 and so on, nor let 13900010006 not answer (-6).",
        "停用特殊号码：13900004072 返回 4072，其余类推；13900010006 无人接听（-6）。",
    ),
    "simulate.verbose.help": ("Print each request as it comes.", "逐条显示收到的请求。"),
    "simulate.seen": ("what it saw: {url}", "收到的请求：{url}"),
    "simulate.arrival": ("{when} {said}", "{when} {said}"),
    "simulate.ended": (
        "Stopped: {requests:,} requests, {left:,} notifications left.",
        "已停止：共 {requests:,} 个请求，剩余 {left:,} 条。",
    ),
    "simulate.empty": ("{name} is empty", "{name} 为空"),
    "simulate.limits.wrong": (
        "--limits {given}: it can be {choices}",
        "--limits {given}：可选 {choices}",
    ),
    "simulate.tls.half": (
        "--tls-cert and --tls-key go together",
        "--tls-cert 与 --tls-key 须同时给出",
    ),
    "simulate.tls.wrong": (
        "--tls-cert and --tls-key can't be used: {reason}",
        "--tls-cert 与 --tls-key 无法使用：{reason}",
    ),
    "simulate.push.wrong": (
        "--push-to: it must begin with http:// or https://, and name a host",
        "--push-to：应以 http:// 或 https:// 开头，并包含主机名",
    ),
    "simulate.fault.number": ("--fault {given}: {reason}", "--fault {given}：{reason}"),
    "simulate.fault.wrong": (
        "--fault {given}: one of {kinds}, and behind a colon any of {names}",
        "--fault {given}：可选 {kinds}；冒号后可用 {names}",
    ),
    "port.taken": (
        "port {port} on {host} is taken by another program: give another --port, or 0 for any",
        "{host} 的端口 {port} 已被其他程序占用：请换一个 --port，或用 0 表示任意空闲端口",
    ),
    "port.forbidden": (
        "port {port} on {host} needs more rights: give a --port from 1024 on",
        "{host} 的端口 {port} 需要更高权限：请使用 1024 以上的 --port",
    ),
    "port.elsewhere": (
        "{host} is no address of this machine: give another --host",
        "{host} 不是本机地址：请换一个 --host",
    ),
}
