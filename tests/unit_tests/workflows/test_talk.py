"""Talks with a tuned model, and with a person in exports."""

from dataclasses import replace
from pathlib import Path

import pytest

from langchain_chatexports.datasets.replies import extract_replies
from langchain_chatexports.exceptions import ChatExportError, FineTuningError
from langchain_chatexports.local_server import Workspace
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.talk import (
    ChatSettings,
    RecalledMessages,
    Turn,
)
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import load_person
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.remote_training import get_api_key
from langchain_chatexports.workflows.saved_talks import (
    delete_person_talks,
    model_talks,
    person_talks,
)
from langchain_chatexports.workflows.talk import (
    RemoteServer,
    Speaker,
    answer_untrained,
    create_talks,
    find_served_base,
    load_tuned_speaker,
    talk,
)
from langchain_chatexports.workflows.train import train
from tests.unit_tests.builders.local_jobs import count_steps
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.builders.workspaces import add_model

GROUP = "You are Tortoise. You are chatting with Hare and Fox."


@pytest.fixture
def tuned(workspace: Workspace, server: OpenAIServer) -> Speaker:
    """A model that the replaced server has."""
    model = add_model(workspace, results={"system_prompt": GROUP, "user_label": "Hare"})
    server.models[model.name] = None
    return load_tuned_speaker(workspace, model)


@pytest.mark.parametrize(
    ("settings", "user", "system"),
    [
        (ChatSettings(), "Hare", GROUP),
        (ChatSettings(label="Fox"), "Fox", GROUP.replace("Hare and Fox", "Fox")),
        (ChatSettings("Run.", label="Fox"), "Fox", "Run."),
    ],
)
def test_prompt_is_that_of_the_examples(
    workspace: Workspace,
    server: OpenAIServer,
    tuned: Speaker,
    settings: ChatSettings,
    user: str,
    system: str,
) -> None:
    with talk(tuned, workspace=workspace, settings=settings) as ask:
        assert ask("Ready?")
    first, last = server.chats[-1]["messages"]
    assert first == {"role": "system", "content": system}
    assert last == {"role": "user", "content": f"{user}: Ready?"}


def test_answers_have_a_maximum_length(tuned: Speaker) -> None:
    assert tuned.tuned is not None
    voice = VoicePrompt(limits=ReplyLimits.from_replies(["Slow. " * 39] * 10))
    person = Speaker(voice=voice)
    assert person.settings(ChatSettings()).max_tokens == 168
    assert person.settings(ChatSettings(max_tokens=9)).max_tokens == 9
    limited = replace(tuned, voice=voice, tuned=replace(tuned.tuned, reply_tokens=40))
    assert limited.settings(ChatSettings()).max_tokens == 40


def test_compared_base_has_no_memory(server: OpenAIServer, tuned: Speaker) -> None:
    settings = ChatSettings(memory=lambda *_: RecalledMessages(refusal="No idea"))
    remote = RemoteServer(server.base_url, KEY, BASE_MODEL)
    base, own = create_talks(remote, tuned, settings, with_base=True)
    assert (base.title, base.name) == ("base model", BASE_MODEL)
    for voice in (base, own):
        voice.add_line("When was the race?")
    assert "".join(own.answer()) == "No idea" != "".join(base.answer())
    assert own.name == tuned.model
    assert create_talks(remote, tuned, ChatSettings()) != []


def test_base_recalls_facts(
    workspace: Workspace, server: OpenAIServer, tuned: Speaker
) -> None:
    def recall(line: str, _talk: str) -> RecalledMessages:
        return RecalledMessages(
            "You remember: at nine.", asks_for_fact=line.startswith("When")
        )

    settings = ChatSettings(memory=recall)
    with talk(tuned, workspace=workspace, settings=settings) as ask:
        ask("When was the race?")
        ask("The race was nice.")
    recalling, other = server.chats[-2:]
    assert (recalling["model"], other["model"]) == (BASE_MODEL, tuned.model)
    system = recalling["messages"][0]["content"]
    assert system.startswith(f"{GROUP}\n\nYou remember: at nine.")
    assert recalling["messages"][-1]["content"] == "Hare: When was the race?"
    assert other["messages"][0]["content"] == f"{GROUP}\n\nYou remember: at nine."


def test_reply_limits_come_from_the_examples(workspace: Workspace) -> None:
    speaker = load_tuned_speaker(workspace, add_model(workspace))
    assert speaker.voice is not None
    assert speaker.voice.k == 0
    replies = [
        one.reply for example in speaker.examples for one in extract_replies(example)
    ]
    limits = ReplyLimits.from_replies(replies)
    assert speaker.voice.limits == replace(limits, bubbles=None)


def test_answer_has_as_many_messages_as_usual(
    workspace: Workspace, server: OpenAIServer, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for number in range(12):
        chat.says("Hare", f"Are you there, {number}?")
        chat.says("Tortoise", f"I am, {number}.").says("Tortoise", f"So, {number}?")
    export = chat.to_file(tmp_path / "_chat.txt")
    person = load_person(export, PrepareOptions(ai=("Tortoise",)))
    assert (person.title, person.replies_per_prompt) == ("Tortoise", 8)
    server.words = ["One.\n", "Two.\n", "Three.\n", "Four."]
    with talk(person, workspace=workspace) as ask:
        assert ask("Hello?") == "One.\n\nTwo."


def test_docstring_example_runs(
    workspace: Workspace,
    server: OpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The example in the package's docstring, without a real training."""
    count_steps(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_imessage(tmp_path / "chat.db")
    data = prepare("chat.db", PrepareOptions(ai=("Tortoise",)))
    model = train(data, workspace=workspace, on_event=str)
    server.models[model.name] = None
    with talk(model, workspace=workspace) as ask:
        assert ask("Are you ready for the race?")


def test_untrained_base_answers_held_out_questions(
    workspace: Workspace, server: OpenAIServer, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for number in range(40):
        mark = "?" if number % 2 else "."
        chat.says("Hare", f"I am at mile {number} of the race{mark}")
        chat.says("Tortoise", f"I see you at mile {number}, take your time.")
    export = chat.to_file(tmp_path / "_chat.txt")
    data = prepare(export, PrepareOptions(ai=("Tortoise",)))
    server.words = ["Hello Tortoise", ", how are you"]
    turns = answer_untrained(data, workspace=workspace)
    assert len(turns) == 3
    assert all(turn.line.endswith("?") for turn in turns)
    # It greets the person herself, so each answer is drawn again once.
    assert len(server.chats) == 6
    prompt = str(server.chats[0]["messages"])
    assert "I see you at mile" in prompt
    assert f"> {turns[0].line}" not in prompt
    server.words = ["Slow and", " steady."]
    assert len(answer_untrained(data, workspace=workspace)) == 3
    assert len(server.chats) == 9


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("ollama:llama3.2", ("http://127.0.0.1:11434/v1", "llama3.2")),
        ("Qwen/Qwen3.5-2B", None),
        ("./model.gguf", None),
    ],
)
def test_ollama_base_is_on_another_server(
    base: str, found: tuple[str, str] | None
) -> None:
    assert find_served_base(base) == found


def test_base_is_found_by_server_url(server: OpenAIServer) -> None:
    assert find_served_base(server.base_url) == (server.base_url, BASE_MODEL)
    server.models["another"] = None
    with pytest.raises(ChatExportError, match=f"has 2 models: another, {BASE_MODEL}"):
        find_served_base(server.base_url)
    with pytest.raises(ChatExportError, match="does its address end in /v1"):
        find_served_base("http://127.0.0.1:9/v1")


def test_local_servers_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert get_api_key("http://127.0.0.1:11434/v1")
    with pytest.raises(FineTuningError, match="OPENAI_API_KEY"):
        get_api_key("https://example.com/v1")


def test_talks_are_saved(workspace: Workspace) -> None:
    model = add_model(workspace)
    assert model.folder is not None
    talks = model_talks(model)
    assert talks.list() == []
    turns = [Turn("Hello", "Hi")]
    talks.save("1", turns)
    talks.save("2", [Turn("And now?", "Yes")])
    talks.save("1", turns)
    found = [(talk.id, talk.turns) for talk in talks.list()]
    assert found == [("1", turns), ("2", [Turn("And now?", "Yes")])]
    file = model.folder / "talks" / "1.json"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
    talks.save("1", [])
    assert not file.exists()
    file.write_text("damaged")
    assert [talk.id for talk in talks.list()] == ["2"]
    workspace.delete(model.name)
    assert not file.exists()


def test_talks_without_a_model_are_kept_until_deleted(tmp_path: Path) -> None:
    folder = person_talks(tmp_path / "indexes")
    assert folder.list() == []
    turn = Turn("Hello", sent=[1.5])  # Not answered yet.
    folder.save("1", [turn], person="Rosa Vogt", draft="and")
    folder.save("2", [turn], person="Tim")
    folder.save("3", [], person="Tim")
    talk = folder.get("1")
    assert talk is not None
    assert (talk.turns, talk.person, talk.draft) == ([turn], "Rosa Vogt", "and")
    file = tmp_path / "indexes" / "talks" / "1.json"
    assert file.stat().st_mode & 0o077 == 0
    assert delete_person_talks(tmp_path / "indexes", ["rosa vogt"]) == 1
    assert [talk.person for talk in folder.list()] == ["Tim"]
    assert delete_person_talks(tmp_path / "indexes") == 1
    assert not folder.path.exists()
