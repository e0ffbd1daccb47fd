"""What is wrong with a file of recipients as a whole, in both languages; see `texts_reasons`."""

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
    "reason.file.archive": ("a {kind} archive", "{kind} 压缩包"),
}
