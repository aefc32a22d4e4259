import json
import sys
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage
from pydantic import ValidationError

from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.exceptions import ChatExportError, MissingExtraError
from langchain_chatexports.redaction import restore
from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.steps import Redact, SessionTransform
from tests.unit_tests.builders.sessions import ListLoader, said, texts

NAMES = {"Tortoise Brown", "Hare", "speedy_99"}
KEY = "the key of the tests"


class TestRedact(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[Redact]:
        return Redact

    @property
    def transform_params(self) -> Any:
        return {"key": KEY, "names": NAMES}

    @pytest.mark.xfail(
        strict=True, reason="dumps contain neither key nor names, on purpose"
    )
    def test_serializes(self, step: SessionTransform) -> None:
        super().test_serializes(step)


def _session() -> Any:
    messages = [
        said("Hare", "Tortoise, call me: +49 171 2345678", message_id="m1"),
        said(
            "Tortoise Brown",
            "ok HARE, my mail is slow@example.org",
            reactions=[{"reaction": "👍", "sender": "Hare"}],
            reply_to={"id": "m1", "text": "Tortoise, call me"},
            edits=["ok Hare, 0049 171 2345678?"],
            attachments=[{"type": "image", "uri": "photos/hare_12345678.jpg"}],
        ),
    ]
    metadata = {
        "id": "iMessage;-;+491712345678#2",
        "thread_id": "iMessage;-;+491712345678",
        "title": "Tortoise Brown",
        "platform": "imessage",
        "participants": ["Hare", "Tortoise Brown"],
        "owner": "Me",
        "is_group": False,
        "nicknames": {"Hare": "speedy_99"},
    }
    return {"messages": messages, "metadata": metadata}


def _redact(**params: Any) -> Redact:
    return Redact(**{"key": KEY, "names": NAMES, **params})


def test_no_private_data_is_left() -> None:
    (output,) = _redact().invoke(_session())
    fields = [[m.content, m.name, m.additional_kwargs] for m in output["messages"]]
    left = json.dumps([fields, metadata_of(output)], ensure_ascii=False).casefold()
    for private in ("hare,", '"hare', "tortoise", "brown", "speedy", "1712345678"):
        assert private not in left
    assert "slow@" not in left


def test_sender_and_mention_have_the_same_stand_in() -> None:
    (output,) = _redact().invoke(_session())
    hare, tortoise = (m.additional_kwargs["sender"] for m in output["messages"])
    assert texts(output)[1].startswith(f"ok {hare.upper()}, ")
    assert texts(output)[0].startswith(f"{tortoise.split()[0]}, ")
    assert output["messages"][1].additional_kwargs["reactions"][0]["sender"] == hare


def test_ids_and_platform_are_kept() -> None:
    (output,) = _redact().invoke(_session())
    first, second = output["messages"]
    assert first.id == "m1"
    assert second.additional_kwargs["reply_to"]["id"] == "m1"
    assert metadata_of(output)["platform"] == "imessage"
    assert metadata_of(output)["owner"] == "Me"


def test_session_ids_are_replaced_consistently() -> None:
    metadata: Any = metadata_of(_redact().invoke(_session())[0])
    assert metadata["id"] == f"{metadata['thread_id']}#2"
    assert metadata["thread_id"].startswith("chat-")


def test_unknown_sender_is_replaced() -> None:
    (output,) = _redact(names=()).invoke({"messages": [said("Fox", "Fox says hi")]})
    assert output["messages"][0].additional_kwargs["sender"] != "Fox"
    assert texts(output) == ["Fox says hi"]


def _redacted_kwargs(**kwargs: Any) -> dict[str, Any]:
    message = HumanMessage("hi", additional_kwargs=kwargs)
    (output,) = _redact().invoke({"messages": [message]})
    return output["messages"][0].additional_kwargs


def test_author_of_forwarded_text_is_replaced() -> None:
    kwargs = {"forwarded_from": "Fox Red", "forwarded": True}
    message = HumanMessage("Fox wrote this", additional_kwargs=kwargs)
    session: ChatSession = {"messages": [message]}
    (output,) = Redact.for_export(session, key=KEY).invoke(session)
    assert "Fox" not in repr(output)
    assert output["messages"][0].additional_kwargs["forwarded"] is True


def test_attachment_name_without_suffix_is_replaced() -> None:
    kwargs = _redacted_kwargs(attachments=[{"type": "file", "name": "HaresPassport"}])
    assert kwargs["attachments"][0]["name"].startswith("[path-")


def test_attachment_paths_only_keep_their_suffix() -> None:
    uri = "messages/inbox/tortoisebrown_10203040/photos/1_n.jpg"
    photo = {"type": "photo", "uri": uri, "name": "My CV.pdf"}
    (attachment,) = _redacted_kwargs(attachments=[photo])["attachments"]
    assert attachment["type"] == "photo"
    assert attachment["uri"].startswith("[path-")
    assert attachment["uri"].endswith("].jpg")
    assert attachment["name"].endswith("].pdf")
    assert "CV" not in attachment["name"]


@pytest.mark.parametrize(
    "value",
    [
        "said by Hare",
        ["Hare"],
        {"by": {"whom": ("Hare",)}},
        {"Hare": 1},
        "inbox/hare_10203040",
        "hare10203040.jpg",
        b"Hare",
        {"phone": 491712345678, "text": "+491712345678"},
        pytest.param(10**5000, id="a number of 5,001 digits"),
    ],
)
def test_unknown_keys_are_redacted(value: Any) -> None:
    left = repr(_redacted_kwargs(unknown=value)).casefold()
    assert "hare" not in left
    assert "1712345678" not in left


def test_values_that_are_not_json_are_dropped() -> None:
    assert _redacted_kwargs(unknown=object())["unknown"] is None


def test_message_ids_with_numbers_are_replaced() -> None:
    own = "true_491712345678@example.us_3EB0"
    messages = [
        said("Hare", "hi", message_id=own),
        said("Fox", "ho", reply_to={"id": own}),
    ]
    (output,) = _redact().invoke({"messages": messages})
    first, second = output["messages"]
    assert first.id is not None
    assert first.id.startswith("chat-")
    assert second.additional_kwargs["reply_to"]["id"] == first.id


def test_repr_and_dumps_hide_key_and_names() -> None:
    step = _redact()
    dumped = (dumps(step), str(step.model_dump()), step.model_dump_json())
    for shown in (repr(step), str(step), *dumped):
        for private in (KEY, "Hare", "Tortoise", "speedy"):
            assert private not in shown


def test_validation_error_hides_names() -> None:
    with pytest.raises(ValidationError) as caught:
        Redact(key=KEY, names="Hare")  # A text is not a list of names.
    assert "Hare" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_step_loaded_from_a_dump_has_no_key() -> None:
    again = loads(
        dumps(_redact()),
        allowed_objects=[Redact],
        valid_namespaces=["langchain_chatexports"],
    )
    with pytest.raises(ChatExportError, match="for_export"):
        again.invoke(_session())


@pytest.mark.parametrize("library", ["phonenumbers", "stdnum"])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[redact\]"):
        Redact(key="another key", names=NAMES).invoke(_session())
    loader = ListLoader([_session()])
    with pytest.raises(MissingExtraError, match="redact"):
        Redact.for_export(loader)
    assert loader.reads == 0


def test_undo_map_restores_texts() -> None:
    redact = _redact()
    (output,) = redact.invoke(_session())
    undo_map = redact.undo_map(_session())
    assert [restore(text, undo_map) for text in texts(output)] == texts(_session())


def test_originals_are_collected_while_redacting() -> None:
    undo_map: dict[str, str] = {}
    redact = _redact().collecting(undo_map)
    assert redact.invoke(_session()) == _redact().invoke(_session())
    assert undo_map == _redact().undo_map(_session())


def test_default_key_is_new_for_each_export() -> None:
    first, second = (Redact.for_export([]).key for _ in range(2))
    assert first is not None
    assert first != second


def test_names_that_differ_in_accents_remain_two_people() -> None:
    step = Redact(key=KEY, names=("Thảo", "Thạo", "Zoe", "Zoë"))
    first, second = step.pseudonym("Thảo"), step.pseudonym("Thạo")
    assert first != second
    assert step.pseudonym("THẢO") == first.upper()
    assert step.pseudonym("Zoe") == step.pseudonym("Zoë")
    (session,) = step.invoke([{"messages": [said("Thạo", "thảo, Thao?", at=0)]}])
    (message,) = session["messages"]
    assert message.additional_kwargs["sender"] == second
    assert str(message.content).startswith(f"{first.lower()}, ")
    assert "thao" not in str(message.content).lower()
    assert {step.undo_map()[first], step.undo_map()[second]} == {"Thảo", "Thạo"}
