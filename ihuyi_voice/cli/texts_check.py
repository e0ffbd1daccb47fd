"""The words of `check`: key → (English, Chinese)."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "check.help": (
        "Look at settings, network, account and clock, and say what to do; nobody is called.",
        "检查配置、网络、密钥、余额和时钟，并说明如何处理；不会拨打任何电话。",
    ),
    "check.line": ("{mark}  {name}: {words}", "{mark}  {name}：{words}"),
    "check.todo": ("      -> {words}", "      → {words}"),
    "mark.ok": ("ok  ", "正常"),
    "mark.bad": ("BAD ", "异常"),
    "mark.unknown": ("?   ", "未知"),
    "mark.info": ("-   ", "信息"),
    "thing.version": ("version", "版本"),
    "thing.settings": ("settings", "配置"),
    "thing.proxy": ("proxy", "代理"),
    "thing.address": ("address", "地址"),
    "thing.tls": ("TLS", "TLS"),
    "thing.key": ("key", "密钥"),
    "thing.balance": ("balance", "余额"),
    "thing.clock": ("clock", "时钟"),
    "thing.limits": ("limits", "频率限制"),
    "thing.extras": ("extras", "附加组件"),
    "check.version.both": (
        "ihuyi-voice {version}, Python {python}",
        "ihuyi-voice {version}，Python {python}",
    ),
    "check.settings.right": (
        "account {account}, address {url}",
        "账号 {account}，地址 {url}",
    ),
    "check.settings.wrong": ("{reason}", "{reason}"),
    "check.proxy.used": ("requests go through {proxy}", "请求经由 {proxy} 发出"),
    "check.proxy.none": ("none, requests go out directly", "无，请求直接发出"),
    "check.address.reached": ("{host} answers", "{host} 有应答"),
    "check.address.lost": ("{host} was not reached: {reason}", "未能连接 {host}：{reason}"),
    "check.address.strange": (
        "what answers at {host} is not the vendor's voice.php: {reason}",
        "{host} 的应答不是平台的 voice.php：{reason}",
    ),
    "check.tls.works": (
        "works; the certificate is trusted",
        "可用，证书可信",
    ),
    "check.tls.failed": ("did not come about: {reason}", "未能建立：{reason}"),
    "check.tls.plain": (
        "plain http: what is sent can be read on the way",
        "使用明文 http：内容在途中可被读取",
    ),
    "check.tls.unknown": ("can't be known, nothing was reached", "无法判断，未能连接"),
    "check.key.right": ("the vendor takes it", "平台认可"),
    "check.key.refused": ("the vendor says {code}: {text}", "平台返回 {code}：{text}"),
    "check.key.unknown": ("can't be known, nobody was asked", "无法判断，未能询问平台"),
    "check.balance.left": ("{left:,} notifications left", "剩余 {left:,} 条"),
    "check.balance.none": ("{left} left: nobody can be called", "剩余 {left} 条：无法呼叫"),
    "check.clock.right": (
        "right to the second (off by {seconds:g} s)",
        "准确到秒（偏差 {seconds:g} 秒）",
    ),
    "check.clock.ahead": ("{seconds:g} s ahead of the vendor's", "比平台快 {seconds:g} 秒"),
    "check.clock.behind": ("{seconds:g} s behind the vendor's", "比平台慢 {seconds:g} 秒"),
    "check.clock.unknown": (
        "can't be known, no reply named its time",
        "无法判断，没有应答说明其时间",
    ),
    "check.limits.memory": (
        "for each number {second} a second, {minute} a minute, {day} a day, kept by each process",
        "每个号码每秒 {second} 次、每分钟 {minute} 次、每天 {day} 次，各进程分别计数",
    ),
    "check.extras.all": ("all installed: {installed}", "已全部安装：{installed}"),
    "check.extras.some": (
        "installed: {installed}; missing: {missing}",
        "已安装：{installed}；未安装：{missing}",
    ),
    "check.good": ("Everything is ready to send.", "一切就绪，可以发送。"),
    "check.bad": ("Not ready to send: see BAD above.", "尚不能发送：请处理上面的异常项。"),
    "check.do.settings": (
        (
            "set IHUYI_ACCOUNT and IHUYI_API_KEY, both from the vendor's console; "
            "IHUYI_BASE_URL only for another address"
        ),
        (
            "请设置 IHUYI_ACCOUNT 和 IHUYI_API_KEY，均可在平台控制台查看；"
            "仅在使用其他地址时设置 IHUYI_BASE_URL"
        ),
    ),
    "check.do.network": (
        "check the network, the firewall and IHUYI_BASE_URL; behind a proxy, set HTTPS_PROXY",
        "请检查网络、防火墙和 IHUYI_BASE_URL；如需经代理上网，请设置 HTTPS_PROXY",
    ),
    "check.do.proxy": (
        "check the proxy (HTTPS_PROXY, HTTP_PROXY), or name the host in NO_PROXY",
        "请检查代理（HTTPS_PROXY、HTTP_PROXY），或将该主机列入 NO_PROXY",
    ),
    "check.do.address": (
        "IHUYI_BASE_URL must be the full address of voice.php; a portal of the network may answer",
        "IHUYI_BASE_URL 应为 voice.php 的完整地址；也可能是网络认证页面作出的应答",
    ),
    "check.do.tls": (
        (
            "check this machine's date; where a company's proxy opens TLS, name its certificate in "
            "SSL_CERT_FILE"
        ),
        "请检查本机日期；如公司代理会解密 TLS，请用 SSL_CERT_FILE 指定其证书",
    ),
    "check.do.https": (
        "use https:// unless it is a simulator",
        "除非是模拟器，请使用 https://",
    ),
    "check.do.clock": (
        "set the clock by the network (NTP): dynamic passwords and quiet hours go by it",
        "请通过网络校时（NTP）：动态密码和免打扰时段都依赖时钟",
    ),
    "check.do.limits": (
        "several processes or machines share them by a RedisGuard",
        "多个进程或机器可用 RedisGuard 共用计数",
    ),
    "check.do.extras": (
        "install what you need: pip install 'ihuyi-voice[excel]'",
        "按需安装，例如：pip install 'ihuyi-voice[excel]'",
    ),
}
