"""Why a connection, or the system, says no: what stands within other reasons.

English and Chinese; see `texts`.
"""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "reason.no_connection_tls_proxy": (
        "no connection to the proxy {place}, or no TLS answer, within {seconds} s",
        "{seconds} 秒内未能连接代理 {place}，或没有 TLS 应答",
    ),
    "reason.no_connection_tls": (
        "no connection to {place}, or no TLS answer, within {seconds} s",
        "{seconds} 秒内未能连接 {place}，或没有 TLS 应答",
    ),
    "reason.no_connection_proxy": (
        "no connection to the proxy {place} within {seconds} s",
        "{seconds} 秒内未能连接代理 {place}",
    ),
    "reason.no_connection": (
        "no connection to {place} within {seconds} s",
        "{seconds} 秒内未能连接 {place}",
    ),
    "reason.no_tls_proxy": (
        "connected to the proxy {place}, but no TLS answer within {seconds} s",
        "已连接代理 {place}，但 {seconds} 秒内没有 TLS 应答",
    ),
    "reason.no_connect": (
        "connected to the proxy {place}, but no answer to CONNECT within {seconds} s",
        "已连接代理 {place}，但 {seconds} 秒内没有对 CONNECT 的应答",
    ),
    "reason.no_tls": (
        "connected to {place}, but no TLS answer within {seconds} s",
        "已连接 {place}，但 {seconds} 秒内没有 TLS 应答",
    ),
    "reason.no_tls_behind": (
        "the proxy {place} connected to {origin}, but no TLS answer within {seconds} s",
        "代理 {place} 已连接 {origin}，但 {seconds} 秒内没有 TLS 应答",
    ),
    "reason.connect": ("ConnectError: {reason}", "连接失败：{reason}"),
    "reason.connect_bare": ("ConnectError", "连接失败"),
    "reason.connect_timeout": ("ConnectTimeout: {reason}", "连接超时：{reason}"),
    "reason.connect_timeout_bare": ("ConnectTimeout", "连接超时"),
    "reason.read_timeout": ("ReadTimeout: {reason}", "等待应答超时：{reason}"),
    "reason.read_timeout_bare": ("ReadTimeout", "等待应答超时"),
    "reason.read_error": ("ReadError: {reason}", "读取应答时连接中断：{reason}"),
    "reason.proxy": ("ProxyError: {reason}", "代理出错：{reason}"),
    "reason.refused": ("[Errno {number}] Connect call failed {address}", "对方拒绝连接 {address}"),
    "reason.encoding": (
        (
            "the encoding of the database is {encoding}, which can't hold every text: give the "
            "address of one in UTF8"
        ),
        "数据库的编码是 {encoding}，无法存放所有文字：请改用 UTF8 编码的数据库",
    ),
    "reason.sqlite.open": (
        "OperationalError: unable to open database file: {name}",
        "无法打开数据库文件 {name}",
    ),
    "reason.sqlite.missing": (
        "FileNotFoundError: there is no such file: {name}",
        "没有这个文件：{name}",
    ),
    "reason.sqlite.replaced": (
        "OSError: the file, or its -wal, was deleted or replaced while it was open: {name}",
        "数据库文件（或它的 -wal 文件）在使用中被删除或替换：{name}",
    ),
    # What the system says
    "reason.os.at": ("[Errno {number}] {reason}: {name}", "{reason}：{name}"),
    "reason.os": ("[Errno {number}] {reason}", "{reason}"),
    "reason.os.missing": ("No such file or directory", "没有这个文件或文件夹"),
    "reason.os.forbidden": ("Permission denied", "没有权限"),
    "reason.os.not_permitted": ("Operation not permitted", "不允许此操作"),
    "reason.os.folder": ("Is a directory", "这是一个文件夹"),
    "reason.os.no_folder": ("Not a directory", "不是文件夹"),
    "reason.os.exists": ("File exists", "文件已存在"),
    "reason.os.long": ("File name too long", "文件名太长"),
    "reason.os.full": ("No space left on device", "磁盘空间不足"),
    "reason.os.quota": ("Disk quota exceeded", "超出磁盘配额"),
    "reason.os.large": ("File too large", "文件太大"),
    "reason.os.read_only": ("Read-only file system", "文件系统只读"),
    "reason.os.broken": ("Input/output error", "读写出错"),
    "reason.os.no_host": ("Name or service not known", "找不到该主机"),
    "reason.os.no_name": ("Temporary failure in name resolution", "暂时无法解析主机名"),
    "reason.os.refused": ("Connection refused", "对方拒绝连接"),
    "reason.os.reset": ("Connection reset by peer", "连接被对方重置"),
    "reason.os.no_route": ("No route to host", "无法到达该主机"),
    "reason.os.no_network": ("Network is unreachable", "网络不可用"),
    "reason.os.scratch": ("database or disk is full", "临时文件夹的磁盘空间不足"),
}
