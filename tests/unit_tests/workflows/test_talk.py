"""Talks: with a tuned model, with the person of exports, with what was said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.replies import replies_of
from langchain_chatexports.exceptions import ChatExportError, FineTuningError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.talk import ChatSettings, Recalled, Turn, Voice
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import person_of, prepare, talk, train
from langchain_chatexports.workflows.models import delete, find_tuned
from langchain_chatexports.workflows.talk import (
    Speaker,
    continue_talk,
    save_turns,
    saved_talks,
    served_base,
    tuned_speaker,
    voices_on,
)
from langchain_chatexports.workflows.train_elsewhere import key_for
from tests.unit_tests.builders.kept_models import keep_adapter, keep_model
from tests.unit_tests.builders.openai_server import BASE_MODEL, OpenAIServer
from tests.unit_tests.builders.whatsapp import WhatsAppChat

GROUP = "You are Tortoise. You are chatting with Hare and Fox."


@pytest.fixture
def tuned(here: Any) -> Speaker:
    data = DataDirectory(here.data_dir)
    data.prepare()
    facts = {"system_prompt": GROUP, "user_label": "Hare", "job_id": "ftjob-1"}
    keep_adapter(data, "1" * 12, **facts)
    return tuned_speaker(find_tuned(None, here.data_dir))


@pytest.mark.parametrize(
    ("given", "user", "system"),
    [
        (ChatSettings(), "Hare", GROUP),
        (
            ChatSettings(label="Fox"),
            "Fox",
            "You are Tortoise. You are chatting with Fox.",
        ),
        (ChatSettings("Run.", label="Fox"), "Fox", "Run."),
    ],
)
def test_a_model_is_asked_as_its_examples_were(
    here: Any,
    server: OpenAIServer,
    tuned: Speaker,
    given: ChatSettings,
    user: str,
    system: str,
) -> None:
    with talk(tuned, data_dir=here.data_dir, settings=given) as ask:
        assert ask("Ready?")
    first, last = server.chats[-1]["messages"]
    assert first == {"role": "system", "content": system}
    assert last == {"role": "user", "content": f"{user}: Ready?"}


def test_answers_are_about_as_long_as_the_persons(tuned: Speaker) -> None:
    assert tuned.tuned is not None
    voice = VoicePrompt(limits=ReplyLimits.of(["Slow. " * 39] * 10))
    person = Speaker(voice=voice)
    assert person.settings(ChatSettings()).max_tokens == 168
    assert person.settings(ChatSettings(max_tokens=9)).max_tokens == 9
    limited = replace(tuned, voice=voice, tuned=replace(tuned.tuned, reply_tokens=40))
    assert limited.settings(ChatSettings()).max_tokens == 40


def test_the_base_beside_it_is_shown_as_it_is(here: Any, tuned: Speaker) -> None:
    settings = ChatSettings(memory=lambda *_: Recalled(refusal="No idea"))
    base, own = voices_on(here, tuned, settings, with_base=True)
    assert (base.title, base.name) == ("base model", BASE_MODEL)
    for voice in (base, own):
        voice.hear("When was the race?")
    assert "".join(own.answer()) == "No idea" != "".join(base.answer())
    assert own.name == tuned.model
    assert voices_on(here, tuned, ChatSettings()) != []


def test_the_base_answers_a_question_if_the_memory_found_something(
    here: Any, server: OpenAIServer, tuned: Speaker
) -> None:
    def recall(line: str, _talk: str) -> Recalled:
        return Recalled("You remember: at nine.", is_fact=line.startswith("When"))

    settings = ChatSettings(memory=recall)
    with talk(tuned, data_dir=here.data_dir, settings=settings) as ask:
        ask("When was the race?")
        ask("The race was nice.")
    recalling, other = server.chats[-2:]
    assert (recalling["model"], other["model"]) == (BASE_MODEL, tuned.model)
    system = recalling["messages"][0]["content"]
    assert system.startswith(f"{GROUP}\n\nYou remember: at nine.")
    assert recalling["messages"][-1]["content"] == "Hare: When was the race?"
    assert other["messages"][0]["content"] == f"{GROUP}\n\nYou remember: at nine."


def test_how_long_answers_are_comes_from_what_it_was_trained_on(tmp_path: Path) -> None:
    keep_model(tmp_path, "1" * 12)
    speaker = tuned_speaker(find_tuned(None, tmp_path))
    assert speaker.voice is not None
    assert speaker.voice.k == 0
    replies = [one.reply for example in speaker.examples for one in replies_of(example)]
    assert speaker.voice.limits == ReplyLimits.of(replies)


def test_an_answer_has_at_most_as_many_messages_as_the_person_sent_in_a_row(
    here: Any, server: OpenAIServer, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for number in range(12):
        chat.says("Hare", f"Are you there, {number}?")
        chat.says("Tortoise", f"I am, {number}.").says("Tortoise", f"So, {number}?")
    export = chat.to_file(tmp_path / "_chat.txt")
    person = person_of(export, PrepareOptions(ai=("Tortoise",)))
    assert (person.title, person.shown_replies) == ("Tortoise", 8)
    server.words = ["One.\n", "Two.\n", "Three.\n", "Four."]
    with talk(person, data_dir=here.data_dir) as ask:
        assert ask("Hello?") == "One.\n\nTwo."


def test_five_lines_from_an_export_to_a_talk(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the package's docstring shows, with a server that stands in."""
    pytest.importorskip("trl", reason="needs the extra `local`")
    monkeypatch.chdir(tmp_path)
    write_imessage(tmp_path / "chat.db")
    data = prepare("chat.db", PrepareOptions(ai=("Tortoise",)))
    model = train(data, data_dir=here.data_dir, on_event=print)
    with talk(model, data_dir=here.data_dir) as ask:
        assert ask("Are you ready for the race?")


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("ollama:llama3.2", ("http://127.0.0.1:11434/v1", "llama3.2")),
        ("Qwen/Qwen3.5-2B", None),
        ("./model.gguf", None),
    ],
)
def test_a_base_can_be_what_ollama_has(
    base: str, found: tuple[str, str] | None
) -> None:
    assert served_base(base) == found


def test_a_base_can_be_the_only_model_of_a_server(server: OpenAIServer) -> None:
    assert served_base(server.base_url) == (server.base_url, BASE_MODEL)
    server.models["another"] = None
    with pytest.raises(ChatExportError, match=f"has 2 models: another, {BASE_MODEL}"):
        served_base(server.base_url)
    with pytest.raises(ChatExportError, match="Check the address"):
        served_base("http://127.0.0.1:9/v1")


def test_servers_of_this_machine_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert key_for("http://127.0.0.1:11434/v1")
    with pytest.raises(FineTuningError, match="OPENAI_API_KEY"):
        key_for("https://example.com/v1")


def test_talks_are_saved_with_their_model_and_continued(tmp_path: Path) -> None:
    name = keep_model(tmp_path, "1" * 12)
    model = find_tuned(None, tmp_path)
    assert saved_talks(model) == []
    turns = [Turn("Hello", "Hi"), Turn("No answer yet")]
    save_turns(model, turns, "1")
    save_turns(model, [Turn("And now?", "Yes")], "2")
    save_turns(model, turns, "1")
    found = [(talk.id, talk.turns) for talk in saved_talks(model)]
    assert found == [("1", turns[:1]), ("2", [Turn("And now?", "Yes")])]
    file = model.path / "talks" / "1.json"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
    base, own = Voice("base", FakeListChatModel(responses=["x"])), Voice("Ann", None)  # type: ignore[arg-type] # not asked
    assert continue_talk([base, own], model) == "1"
    assert (own.turns, base.turns) == (turns[:1], [Turn("Hello")])
    assert continue_talk([own], model, "2") == "2"
    assert [turn.line for turn in own.turns] == ["And now?"]
    save_turns(model, [], "1")
    assert not file.exists()
    file.write_text("damaged")
    assert [talk.id for talk in saved_talks(model)] == ["2"]
    delete(name, data_dir=tmp_path)
    assert not file.exists()
