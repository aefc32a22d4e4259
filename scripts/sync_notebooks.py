"""Update the tutorial notebooks from docs/tutorials.md, and run them.

`python scripts/sync_notebooks.py` copies the page's code to the code cells of each
notebook, with comments and prints in the notebook's language. With `--run`, it then
runs them, which trains on this machine, and stores their outputs. Names of notebooks,
such as `imessage.es`, select notebooks.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTEBOOKS = DOCS / "notebooks"
SECTIONS = {"imessage": "iMessage", "facebook_messenger": "Facebook Messenger"}
MAX_CELL_SECONDS = 3_600
_CODE = re.compile(r"^```python(?: no-run)?\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
# Comments and prints of the page, by language.
WORDS = {
    "es": {
        "# One message for each run of messages by the same sender.": (
            "# Un solo mensaje por cada serie de mensajes seguidos de una persona."
        ),
        "# Tortoise's messages become AI messages, Hare's stay human.": (
            "# Los mensajes de Tortoise pasan a ser de la IA; los de Hare, no."
        ),
        "# The training file never touches the disk on this side.": (
            "# El archivo de entrenamiento no toca el disco de este equipo."
        ),
        "# The local server checks a file at once, OpenAI within some minutes.": (
            "# El servidor local revisa un archivo al instante; OpenAI, en minutos."
        ),
        "# The dialogues alternate, so a window holds four turns of each side.": (
            "# Los diálogos se alternan: cada ventana tiene cuatro turnos por parte."
        ),
        "File {path} written.": "Archivo {path} escrito.",
        "Folder {folder} written.": "Carpeta {folder} escrita.",
        "Prepared {len(training_data)} dialogues for training": (
            "{len(training_data)} diálogos preparados para entrenar"
        ),
        "Status=": "Estado=",
        "File {training_file.id} ready after {time.time() - start_time:.2f} seconds.": (
            "Archivo {training_file.id} listo en {time.time() - start_time:.2f} "
            "segundos."
        ),
    },
    "hi": {
        "# One message for each run of messages by the same sender.": (
            "# एक ही व्यक्ति के लगातार भेजे गए संदेश मिलकर एक संदेश बनते हैं।"
        ),
        "# Tortoise's messages become AI messages, Hare's stay human.": (
            "# Tortoise के संदेश AI के संदेश बन जाते हैं, Hare के इंसान के ही रहते हैं।"
        ),
        "# The training file never touches the disk on this side.": (
            "# प्रशिक्षण की फ़ाइल इस कंप्यूटर की डिस्क पर कभी नहीं लिखी जाती।"
        ),
        "# The local server checks a file at once, OpenAI within some minutes.": (
            "# लोकल सर्वर फ़ाइल को तुरंत जाँचता है, OpenAI कुछ मिनटों में।"
        ),
        "File {path} written.": "फ़ाइल {path} लिखी गई।",
        "Prepared {len(training_data)} dialogues for training": (
            "प्रशिक्षण के लिए {len(training_data)} बातचीतें तैयार हैं"
        ),
        "Status=": "स्थिति=",
        "File {training_file.id} ready after {time.time() - start_time:.2f} seconds.": (
            "फ़ाइल {training_file.id} {time.time() - start_time:.2f} सेकंड में तैयार हुई।"
        ),
    },
    "ko": {
        "# One message for each run of messages by the same sender.": (
            "# 한 사람이 연달아 보낸 메시지를 하나로 합칩니다."
        ),
        "# Tortoise's messages become AI messages, Hare's stay human.": (
            "# Tortoise의 메시지는 AI 메시지가 되고, Hare의 메시지는 그대로 남습니다."
        ),
        "# The training file never touches the disk on this side.": (
            "# 학습 파일은 이 컴퓨터의 디스크에 저장되지 않습니다."
        ),
        "# The local server checks a file at once, OpenAI within some minutes.": (
            "# 로컬 서버는 파일을 바로 확인하고, OpenAI는 몇 분 안에 확인합니다."
        ),
        "File {path} written.": "{path} 파일을 만들었습니다.",
        "Prepared {len(training_data)} dialogues for training": (
            "학습용 대화 {len(training_data)}개를 준비했습니다"
        ),
        "Status=": "상태=",
        "File {training_file.id} ready after {time.time() - start_time:.2f} seconds.": (
            "{training_file.id} 파일이 {time.time() - start_time:.2f}초 만에 "
            "준비되었습니다."
        ),
    },
    "zh": {
        "# The training file never touches the disk on this side.": (
            "# 训练文件不会写入这台电脑的磁盘。"
        ),
        "# The local server checks a file at once, OpenAI within some minutes.": (
            "# 本地服务器会立即检查文件，OpenAI 需要几分钟。"  # noqa: RUF001 - its comma
        ),
        "# The dialogues alternate, so a window holds four turns of each side.": (
            "# 双方轮流发言，所以一个窗口里每一方各有四条消息。"  # noqa: RUF001 - its comma
        ),
        "Folder {folder} written.": "文件夹 {folder} 已写入。",
        "Prepared {len(training_data)} dialogues for training": (
            "已准备 {len(training_data)} 段对话用于训练"
        ),
        "Status=": "状态=",
        "File {training_file.id} ready after {time.time() - start_time:.2f} seconds.": (
            "文件 {training_file.id} 在 {time.time() - start_time:.2f} 秒后可用。"
        ),
    },
}
# A status line that overwrites itself is not a result.
_NOISE = re.compile(r"^.*\r", re.MULTILINE)


def tutorial_code(tutorial: str, language: str = "en") -> list[str]:
    """Return the code cells of a tutorial: the set-up and its section of the page.

    Args:
        tutorial: `imessage` or `facebook_messenger`.
        language: The language of comments and prints.
    """
    page = (DOCS / "tutorials.md").read_text(encoding="utf-8")
    sections = {
        part.partition("\n")[0]: _CODE.findall(part) for part in page.split("\n## ")
    }
    code = [*sections["Set-up"], *sections[SECTIONS[tutorial]]]
    for english, translated in WORDS.get(language, {}).items():
        code = [each.replace(english, translated) for each in code]
    return code


def sync(path: Path) -> None:
    """Copy the page's code to a notebook, and remove outputs of changed cells."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code = tutorial_code(*path.name.split(".")[:-1])
    for cell, source in zip(cells, code, strict=True):
        if cell.source != source:
            cell.source, cell.outputs, cell.execution_count = source, [], None
    nbformat.write(notebook, path)


def run(path: Path) -> None:
    """Run a notebook in an empty folder, and store its outputs."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=MAX_CELL_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(filter(None, map(_clean_output, cell.outputs)))
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def _clean_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if output.output_type != "stream":
        return output
    if output.name == "stderr":
        return None
    output.text = _NOISE.sub("", output.text)
    return output if output.text else None


if __name__ == "__main__":
    chosen = set(sys.argv[1:]) - {"--run"}
    for notebook_path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if chosen and notebook_path.stem not in chosen:
            continue
        sync(notebook_path)
        if "--run" in sys.argv[1:]:
            run(notebook_path)
