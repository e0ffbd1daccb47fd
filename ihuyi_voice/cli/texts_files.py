"""What is wrong with a file of recipients as a whole, or with where a database is said to be.

In both languages; see `texts_reasons`.
"""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # Records of a table
    "reason.record.quote": ("a quote that is closed nowhere", "有一个引号没有结束"),
    "reason.record.long": (
        "field larger than field limit ({count})",
        "单元格内容超过 {count} 个字",
    ),
    "reason.record.behind": ("'{mark}' expected after '\"'", "引号之后应为 {mark}"),
    "reason.file.stdin": (
        "stdin is closed, so there is no list to be read from it",
        "标准输入已关闭，无法从中读取名单",
    ),
    "reason.file.cut_line": (
        (
            "the list ends in the middle of a line, as if its writer had been cut off; if it is "
            "whole, put a line end there"
        ),
        "名单没有以换行结束，写入方可能中途中断；如果名单完整，请在末尾补一个换行",
    ),
    "reason.file.formula": (
        (
            "the cell below {name} has a formula, and the workbook lacks its value: open it in "
            "Excel or WPS, and save it"
        ),
        "{name} 列的单元格是公式，而工作簿中没有它的值：请用 Excel 或 WPS 打开并保存一次",
    ),
    # What a file is that is no table
    "reason.file.xls": (
        "an .xls of Excel 97, or a workbook with a password",
        "Excel 97 的 .xls，或有密码的工作簿",
    ),
    "reason.file.word": ("a text of Word", "Word 文本"),
    "reason.file.docx": ("a document of Word", "Word 文档"),
    "reason.file.ods": ("a sheet of OpenDocument (.ods)", "OpenDocument 表格（.ods）"),
    "reason.file.xlsb": ("a binary workbook (.xlsb)", "二进制工作簿（.xlsb）"),
    "reason.file.picture": ("a picture", "图片"),
    "reason.file.sqlite": ("a database of SQLite", "SQLite 数据库"),
    "reason.file.page": ("a web page, or a table of XML", "网页，或 XML 表格"),
    "reason.file.cut": ("a .zip archive that was cut off", "不完整的 .zip 压缩包"),
    # Where a database is
    "reason.database.kind": (
        "{scheme}:// is neither sqlite:// nor postgresql://",
        "{scheme}:// 既不是 sqlite:// 也不是 postgresql://",
    ),
    "reason.database.memory": (
        "a database in memory would lose what it is to keep; name a file",
        "内存数据库会丢失要保存的内容；请指定一个文件",
    ),
    "reason.database.sqlite": (
        "not a URL of SQLite: sqlite:///relative, sqlite:////absolute",
        "不是 SQLite 的地址：应为 sqlite:///相对路径 或 sqlite:////绝对路径",
    ),
    "reason.database.name": (
        ("the database's name has a blank, a line end or an invisible character too many: {name}"),
        "数据库文件名中有多余的空格、换行或不可见字符：{name}",
    ),
    "reason.database.address": (
        (
            "the address of the database has no port from 1 to 65535, or can't be read; in a "
            "password, characters like @ : / ? # are written as %40 %3A %2F %3F %23"
        ),
        (
            "数据库地址无法识别，或端口不在 1 到 65535 之间；密码中的 @ : / ? # 等字符应写作 "
            "%40 %3A %2F %3F %23"
        ),
    ),
    "reason.file.archive": ("a {kind} archive", "{kind} 压缩包"),
}
