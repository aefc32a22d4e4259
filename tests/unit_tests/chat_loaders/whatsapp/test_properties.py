"""Any content: sessions, counted skips, or one of our errors; and in linear time."""

import json
import time
import warnings
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.exceptions import ChatExportError
from tests.unit_tests.builders.whatsapp import LRM, RLM, WhatsAppChat

PIECES = [
    *(
        "[",
        "] ",
        " - ",
        ": ",
        "\n",
        "\r\n",
        "/",
        ".",
        ", ",
        ":",
        " ",
        "<",
        ">",
        "(",
        ")",
    ),
    *("Ann", "Bob: ", "~ ", '"', "You deleted this message", "<Media omitted>", "null"),
    *(LRM, RLM, "\u202f", "\ufeff", "\u2068", "AM", "PM", "下午", "オ", "R4", "BE"),
    *("18/03/2022, 14:56 - Ann: ", "[3/4/22, 2:56:01 PM] Bob: ", "99/99/99, 99:99 - "),
    *("1443/8/15, 10:00 - ", "٢٧/٣/٢٠٢٢", "9999", "0", "12", "31", "65"),
    *("IMG-20220327-WA0001.jpg (file attached)", f"{LRM}<attached: a.jpg>", "😂"),
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map(
    "".join
)
contents = st.binary(max_size=300) | texts.map(
    lambda text: text.encode("utf-8", "replace")
)
lines = st.lists(
    st.tuples(st.sampled_from(["Ann", "Bob", "Work: Cleo", '"x', "~ Dan", ""]), texts),
    max_size=12,
)


def check(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loader = WhatsAppChatLoader(
            path, timezone="Europe/Berlin", keep=("system", "media")
        )
        with suppress(ChatExportError):
            summary = loader.inspect()
            sessions = loader.load()
            assert summary.found == summary.kept + sum(summary.skipped.values())
            assert summary.kept == sum(len(s["messages"]) for s in sessions)
            json.dumps(summary.to_dict())
            for session in sessions:
                for message in session["messages"]:
                    json.dumps(message.additional_kwargs)
                    assert message.content
                    assert message.additional_kwargs["sender"]


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=contents)
def test_any_content_is_sessions_or_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    path.write_bytes(content)
    check(path)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=lines, kind=st.sampled_from(["ios", "android", "web"]))
def test_any_messages_are_accounted_for(
    tmp_path: Path, said: list[tuple[str, str]], kind: str
) -> None:
    chat: WhatsAppChat = getattr(WhatsAppChat, kind)()
    for name, text in said:
        chat.says(name, text)
    path = tmp_path / "WhatsApp Chat with Ann.txt"
    path.write_bytes(chat.text().encode("utf-8", "replace"))
    check(path)


def test_time_grows_with_the_length_of_a_chat(tmp_path: Path) -> None:
    def seconds(length: int) -> float:
        chat = WhatsAppChat.ios()
        for number in range(length):
            chat.says(f"Person {number}: x", f'{LRM}"<{number}: (.b>\n' * 3)
        path = chat.to_file(tmp_path / f"{length}.txt")
        begin = time.process_time()
        check(path)
        return time.process_time() - begin

    seconds(100)  # Imports.
    small, large = seconds(1_000), seconds(8_000)
    assert large < 20 * small + 0.5
