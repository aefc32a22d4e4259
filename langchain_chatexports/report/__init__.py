"""Reports about exports, as figures and as one HTML page; counts only.

```python
from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.report import build_report, write_report

report = build_report(IMessageChatLoader("chat.db"), ai="Tortoise")
print(report.messages, report.lengths.ai.median)
write_report(report, "report.html")
```
"""

from __future__ import annotations

from langchain_chatexports.report.build import TOKEN_LIMIT, build_report
from langchain_chatexports.report.figures import ExportReport
from langchain_chatexports.report.page import render_report, write_report

__all__ = [
    "TOKEN_LIMIT",
    "ExportReport",
    "build_report",
    "render_report",
    "write_report",
]
