"""Reports about exports, as data or as an HTML page, without message text.

```python
from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.report import build_report, write_report

report = build_report(IMessageChatLoader("chat.db"), ai="Tortoise")
print(report.messages, report.examples.examples)
write_report(report, "report.html")
```
"""

from langchain_chatexports.report.build import build_report
from langchain_chatexports.report.figures import ExportReport
from langchain_chatexports.report.page import render_report, write_report

__all__ = ["ExportReport", "build_report", "render_report", "write_report"]
