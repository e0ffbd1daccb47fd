"""What errors say in words of their own: as the library writes it in English, and in Chinese.

What stands in braces is whatever the library fills in, a reason inside a reason among it. The more
special ones come first.
"""

from typing import Final

from ihuyi_voice.cli import texts_files, texts_system

TEXTS: Final[dict[str, tuple[str, str]]] = {
    **texts_files.TEXTS,
    "reason.none": ("none", "无"),
    # Numbers
    "reason.number.empty": ("the number is empty", "号码为空"),
    "reason.number.cell": ("the cell held no number", "单元格中没有号码"),
    "reason.number.excel": (
        "Excel shortened it: format the column as text",
        "Excel 用科学计数法缩短了号码：请将该列设为文本格式",
    ),
    "reason.number.nothing": ("there is nothing behind the country code", "国家代码后没有号码"),
    "reason.number.thousands": (
        "formatted with thousands separators; format the column as text",
        "带有千位分隔符；请将该列设为文本格式",
    ),
    "reason.number.long_distance": (
        "a mobile with the 0 of long-distance calls; leave the 0 out",
        "手机号前多了长途 0，请去掉",
    ),
    "reason.number.086": (
        "the country code is written +86 or 0086, not 086",
        "国家代码应写作 +86 或 0086，不是 086",
    ),
    "reason.number.service": (
        "service numbers (400, 800) can't be called",
        "不能呼叫 400、800 服务号码",
    ),
    "reason.number.area": (
        "a landline needs its area code in front, as in 021…",
        "固定电话前须加区号，如 021…",
    ),
    "reason.number.extension": (
        "an extension can't be dialled; give the number without it",
        "无法拨打分机号，请去掉分机",
    ),
    "reason.number.last_digit": (
        (
            "the last digit looks like an extension, which can't be dialled; leave it out, or, if "
            "it belongs to the number, write no blank or hyphen before it"
        ),
        "最后一位像是分机号，无法拨打；请去掉，若属于号码本身，前面不要留空格或连字符",
    ),
    "reason.number.several": (
        "several numbers; only one can be submitted at a time",
        "含有多个号码，每次只能提交一个",
    ),
    "reason.number.america": (
        (
            "written like a number of North America; a mainland mobile has no blank or hyphen "
            "behind its 1"
        ),
        "像北美号码的写法；大陆手机号的 1 后面没有空格或连字符",
    ),
    "reason.number.86": (
        (
            "86 may be the country code or begin a number with an extension; write +86, or the "
            "area code"
        ),
        "86 可能是国家代码，也可能是带分机号码的开头；请写 +86 或区号",
    ),
    "reason.number.foreign": (
        "a number of another country; only those of the mainland (+86) can be called",
        "境外号码；只能呼叫大陆（+86）号码",
    ),
    "reason.number.lost_zero": (
        (
            "a landline whose area code lost its leading 0, as spreadsheets do; put the 0 in front "
            "and format the column as text"
        ),
        "固定电话区号开头的 0 被表格软件去掉了；请补上 0，并将该列设为文本格式",
    ),
    "reason.number.strange": ("{char} can't be part of a number", "号码中不能有 {char}"),
    "reason.number.behind": ("behind {prefix}, {reason}", "{prefix} 之后：{reason}"),
    "reason.number.digits": (
        "a mobile has 11 digits, this has {count}",
        "手机号应为 11 位，这里是 {count} 位",
    ),
    "reason.number.begins": (
        "no mainland mobile begins with {digits}",
        "大陆没有 {digits} 开头的手机号",
    ),
    "reason.number.landline": (
        "area code and number have 10 to 12 digits, this has {count}",
        "区号加号码应为 10 到 12 位，这里是 {count} 位",
    ),
    "reason.number.no_area": (
        "no area code of the mainland, or not 7 or 8 digits behind it",
        "不是大陆的区号，或区号后不是 7 到 8 位",
    ),
    "reason.number.neither": (
        "neither a mobile (1…) nor a landline with its area code (0…)",
        "既不是手机号（1…），也不是带区号的固定电话（0…）",
    ),
    "reason.number.type": (
        "the number is of type {kind}; give it as text{more}",
        "号码的类型是 {kind}，应为文本",
    ),
    "reason.number.none": ("there is no number ({number})", "没有号码（{number}）"),
    # Contents and templates
    "reason.content.empty": ("the content is empty", "内容为空"),
    "reason.content.failed": (
        "the content is an error of a spreadsheet: {mark}",
        "内容是表格公式的错误值：{mark}",
    ),
    "reason.template.strange": (
        "template_id is {given}, which the vendor gives to none",
        "模板编号 template_id 为 {given}，平台没有这样的编号",
    ),
    "reason.template.empty": ("template_id is empty", "模板编号 template_id 为空"),
    "reason.content.nothing": ("the content has nothing to say", "内容没有可朗读的文字"),
    "reason.content.char": (
        "the content has the character U+{code} at place {place}, which can't be said",
        "内容第 {place} 个字符 U+{code} 无法朗读",
    ),
    "reason.content.long": (
        "the content has {count} characters; at most {most} are allowed",
        "内容有 {count} 个字符，最多允许 {most} 个",
    ),
    "reason.template.text": (
        "a template needs some text beside its variables",
        "模板除变量外还须有文字",
    ),
    "reason.template.departs": (
        "the content doesn't follow the template (the vendor's 4072): {reason}",
        "内容与模板不符（平台代码 4072）：{reason}",
    ),
    "reason.template.beginning": (
        "{words} is missing at its beginning",
        "开头缺少 {words}",
    ),
    "reason.template.end": ("{words} is missing at its end", "结尾缺少 {words}"),
    "reason.template.missing": (
        "{words} is missing behind value {place}",
        "第 {place} 个变量之后缺少 {words}",
    ),
    "reason.template.goes_on": ("it goes on behind {words}", "{words} 之后还有内容"),
    "reason.template.count": (
        "the template takes {count} values, {given} were given",
        "模板有 {count} 个变量，给出了 {given} 个",
    ),
    "reason.template.chars": (
        "value {place} has {char}; digits, letters and Chinese characters are allowed",
        "第 {place} 个变量含有 {char}；只允许数字、字母和汉字",
    ),
    "reason.template.too_long": (
        "value {place} has {count} characters, at most {most} are allowed (the vendor's 40722)",
        "第 {place} 个变量有 {count} 个字符，最多允许 {most} 个（平台代码 40722）",
    ),
    # Lists
    "reason.list.line": ("{file}, line {line}: {reason}", "{file} 第 {line} 行：{reason}"),
    "reason.list.header": (
        "the header of {file} can't be read: {reason}",
        "无法读取 {file} 的表头：{reason}",
    ),
    "reason.list.cells": (
        "{count} cells instead of {width}",
        "有 {count} 个单元格，应为 {width} 个",
    ),
    "reason.list.bytes": (
        "bytes that make no sense in the file's encoding",
        "含有文件编码中不存在的字节",
    ),
    "reason.list.kind": (
        "{file} is {kind}: save it as .xlsx or as .csv",
        "{file} 不是可用的表格（{kind}）：请另存为 .xlsx 或 .csv",
    ),
    "reason.list.no_text": (
        "{file} is neither text nor a workbook; save it again as .xlsx or as .csv",
        "{file} 既不是文本，也不是工作簿；请重新保存为 .xlsx 或 .csv",
    ),
    "reason.list.workbook": (
        (
            "{file} is no workbook that can be read ({kind}); open it in Excel and save it again "
            "as .xlsx"
        ),
        "无法读取工作簿 {file}（{kind}）；请用 Excel 打开后重新保存为 .xlsx",
    ),
    "reason.list.sheet": ("{file} has no visible sheet", "{file} 没有可见的工作表"),
    "reason.list.no_column": (
        "{file} has no column {name} for the {wanted}; it has: {columns}",
        "{file} 没有 {name} 列（用作 {wanted}）；现有列：{columns}",
    ),
    "reason.list.other_column": (
        "{file} has {count} {name} for the {wanted}; it has: {columns}",
        "{file} 中没有唯一的 {name} 列（用作 {wanted}）；现有列：{columns}",
    ),
    "reason.list.columns": (
        "{file} has several columns for the {wanted}: {columns}; say which by {option}=…",
        "{file} 有多列可作 {wanted}：{columns}；请用 --column {option}=… 指定",
    ),
    "reason.list.values": (
        (
            "the template takes {count} values, and {file} has {found} columns for them "
            "({columns}); say which by 1=…, 2=…"
        ),
        "模板有 {count} 个变量，{file} 中可用的列有 {found} 个（{columns}）；请用 1=…、2=… 指定",
    ),
    "reason.list.content": (
        "a content has {name}, and there is no column {wanted}; there are: {columns}",
        "内容中有 {name}，但没有 {wanted} 列；现有列：{columns}",
    ),
    "reason.list.both": (
        "the template has both {one} and {other}; use one of them",
        "模板中同时有 {one} 和 {other}，请只用一种",
    ),
    "reason.list.some": (
        (
            "the template takes {count} values, and only {named} has a column named; name all of "
            "them or none"
        ),
        "模板有 {count} 个变量，只有 {named} 指定了列；请全部指定，或都不指定",
    ),
    "reason.template.side": (
        (
            "two {variable} stand side by side, and nobody could tell their values apart; put "
            "text between them"
        ),
        "两个 {variable} 相邻，无法区分其内容；请在中间加上文字",
    ),
    "reason.content.type": (
        "the content is of type {kind}, not text",
        "内容的类型是 {kind}，应为文本",
    ),
    "reason.list.not_needed": (
        "no column is needed for {name}; there are: {columns}",
        "不需要 {name} 列；可用的有：{columns}",
    ),
    # Settings
    "reason.variable": (
        "the environment variable {name} is not set",
        "没有设置环境变量 {name}",
    ),
    "reason.console": (
        "{name} is empty; the vendor's console shows it",
        "{name} 为空；可在平台控制台查看",
    ),
    "reason.quotes": (
        "{name} has quotes around it; leave them out",
        "{name} 前后有引号，请去掉",
    ),
    "reason.full_width": (
        "{name} has full-width letters or digits; type them in half width",
        "{name} 中有全角字母或数字，请改用半角",
    ),
    "reason.invisible": (
        "{name} has a blank or an invisible character inside; copy it again",
        "{name} 中有空格或不可见字符，请重新复制",
    ),
    "reason.base_url": (
        "base_url {fault}; it must be the full address of voice.php, like {example}",
        "服务地址有误（{fault}）；应为 voice.php 的完整地址，如 {example}",
    ),
    "reason.base_url.scheme": (
        "begins with neither http:// nor https://",
        "不以 http:// 或 https:// 开头",
    ),
    "reason.base_url.host": ("has no host", "缺少主机名"),
    "reason.choice": (
        "{name} is {value}; it can be {choices}",
        "{name} 为 {value}，可选 {choices}",
    ),
    "reason.negative": ("{name} is {value}; it can't be negative", "{name} 为 {value}，不能是负数"),
    "reason.finite": ("{name} is {value}; it must be finite", "{name} 为 {value}，应为有限的数"),
    "reason.slow": (
        "{name} is {value}, slower than one a day ({least}): nothing would come to an end",
        "{name} 为 {value}，低于每天一次（{least}），任务永远不会结束",
    ),
    "reason.above": ("{name} is {value}; it must be above 0", "{name} 为 {value}，应大于 0"),
    "reason.below": ("{name} is {value}, below {least}", "{name} 为 {value}，小于 {least}"),
    "reason.not": ("{name} is {value}, not {a} to {b}", "{name} 为 {value}，应为 {a} 到 {b}"),
    "reason.whole": ("{name} is {value}; it must be a whole number", "{name} 为 {value}，应为整数"),
    "reason.quiet.read": (
        'quiet hours {hours} can\'t be read: write them as "22:00-08:00"{more}',
        "无法识别免打扰时段 {hours}：请写成 22:00-08:00",
    ),
    "reason.quiet.none": (
        "quiet hours from {begin} to {end} are none, or all: give two different times",
        "免打扰时段的起止时间相同（{begin}）：请给出两个不同的时间",
    ),
    "reason.quiet.time": (
        "quiet hours {hours}: {fault}",
        "免打扰时段 {hours} 中有不存在的时间（{fault}）",
    ),
    # Sending
    "reason.tls": (
        (
            "the request never went out ({reason}); the vendor's document gives the address "
            "{url}, without TLS: with it, the key or the password, and the number, can be read on "
            "the way. Nothing is sent so by itself"
        ),
        (
            "请求未能发出（{reason}）；平台文档给出的地址是 {url}，不经 TLS：使用它时，"
            "密钥或密码以及号码在途中可被读取。程序不会自动改用该地址"
        ),
    ),
    "reason.never": ("the request never went out ({reason})", "请求未能发出（{reason}）"),
    "reason.never_hint": (
        "the request never went out ({reason}){hint}",
        "请求未能发出（{reason}）{hint}",
    ),
    "reason.may": ("the request may have gone out ({reason})", "请求可能已经发出（{reason}）"),
    "reason.nothing_read": (
        "a reply came, and nothing of it could be read",
        "收到了应答，但无法读取",
    ),
    "reason.redirect": (
        "unreadable reply (HTTP {status} to {place}): {reason}",
        "无法识别的应答（HTTP {status}，重定向到 {place}）：{reason}",
    ),
    "reason.unreadable": (
        "unreadable reply ({status}): {reason}",
        "无法识别的应答（{status}）：{reason}",
    ),
    "reason.neither": ("neither XML nor JSON", "既不是 XML 也不是 JSON"),
    "reason.empty_body": ("empty body", "应答为空"),
    "reason.timeout": (
        "it was not sent within its timeout of {seconds} s: {reason}",
        "在 {seconds} 秒内未能发送：{reason}",
    ),
    "reason.connections": (
        "it waited for one of our own connections, or for the vendor to take one",
        "一直在等待空闲连接，或等待平台接受连接",
    ),
    "reason.guard_silent": ("the guard did not answer", "限流器没有响应"),
    "reason.ledger_silent": ("the ledger did not answer", "账本没有响应"),
    "reason.cut_off": ("the call was cut off in flight", "呼叫在提交途中被中断"),
    "reason.cut_off_unknown": (
        "the call was cut off in flight, and its end is not known",
        "呼叫在提交途中被中断，结果未知",
    ),
    "reason.cut_before": (
        "the call was cut off before it was sent ({reason})",
        "呼叫在发出之前被中断（{reason}）",
    ),
    "reason.cut_before_that": ("it was cut off before that", "在此之前已被中断"),
    "reason.cut_short": ("the attempt was cut short", "提交被中断"),
    "reason.guard_asked": (
        "the guard could not be asked ({reason})",
        "无法询问限流器（{reason}）",
    ),
    "reason.lease_asked": (
        "the lease could not be asked ({reason})",
        "无法询问限流器的租约（{reason}）",
    ),
    "reason.guard_told": ("the guard could not be told ({reason})", "无法更新频率限制（{reason}）"),
    "reason.ledger_asked": ("the ledger could not be asked ({reason})", "无法读取账本（{reason}）"),
    "reason.ledger_run": ("the run could not be opened ({reason})", "无法打开任务（{reason}）"),
    **texts_system.TEXTS,
    "reason.forbidden": (
        (
            "a request was about to go to {host}, the vendor's real host, and nothing was sent. "
            "{more}. It is forbidden by {whom}"
        ),
        "禁止连接供应商的主机 {host}，没有发送（由 {whom} 设定）",
    ),
    # Held back, and what is waited for
    "reason.quiet": ("quiet hours until {time}", "免打扰时段，到 {time} 为止"),
    "reason.second": ("its second", "每秒限制"),
    "reason.minute": ("its minute", "每分钟限制"),
    "reason.day": ("its day", "每天限制"),
    "reason.flight": ("a call to it in flight", "该号码正在提交"),
    "reason.earlier": ("an earlier call to its number", "同一号码的前一条"),
    "reason.rate": ("the account's rate", "账号频率限制"),
    "reason.next_try": ("its next try", "下一次重试"),
    "reason.held": (
        "held back by the guard, nothing was sent: {reason}; not before {when} UTC [{code}]",
        "本地暂缓，没有发送：{reason}（UTC {when} 之后可发）",
    ),
    "reason.held_on": (
        "held back by the guard, nothing was sent: {reason} [{code}]",
        "本地暂缓，没有发送：{reason}",
    ),
    "reason.of_number": (
        "此号码的提交频率已达上限; this number may not be called again yet",
        "此号码的提交频率已达上限",
    ),
    "reason.of_account": (
        "账户的提交频率已达上限; the account may not call anybody yet",
        "账户的提交频率已达上限",
    ),
    "reason.vendor": ("{operation} {code}: {text} [{action}]", "{operation} {code}：{text}"),
}
