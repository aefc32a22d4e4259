import pytest

from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
    is_by_owner,
    is_deleted_account,
)

ADA, GRACE = "Ada Byron", "Grace Hopper"


@pytest.fixture
def reader() -> LineReader:
    return LineReader([ADA, GRACE], owner=GRACE)


# By kind; in some exports, a space follows.
LINES = {
    "attachment": """
        Ada sent an attachment. | Moon 🌙 sent an attachment. | Ada sent a link. |
        Ada Byron sent a location. | A contact sent a link. |
        Ada sent a live location. | Ada csatolt fájlt küldött. |
        Ada hivatkozást küldött. | Ada elküldött egy helyszínt. | Ada enviou um anexo. |
        Enviaste um anexo. | Ada enviou uma ligação. |
        Ada enviou a sua localização atual. | Ada đã gửi một file đính kèm. |
        Ada đã gửi một liên kết. | Ada hat einen Anhang gesendet.
    """,
    "members": """
        A contact left the group. | Ada added Grace to the group. |
        Ada added participants. | Ada removed Grace from the group. |
        Ada left the group. | Ada created the group. | Grace is now an admin. |
        Ada removed Grace as an admin. |
        Ada turned on member approval and will review requests. |
        Ada adicionou Grace ao grupo. | Ada eliminou Grace do grupo.
    """,
    "reaction": """
        Reacted 😂 to your message | Reacted ❤️ to your message |
        Grace reacted 👍 to your message | Liked a message
    """,
    "call": """
        Ada called you. | You missed a call from Ada. | Grace missed your call. |
        You missed a video chat with Ada. | You missed a video call with Ada. |
        Grace missed your video chat. | The video chat ended. | The video call ended. |
        Ada started a call. | Ada started a video chat. | Ada joined the call. |
        Ada joined the video chat. | Ada started sharing video. |
        You and Ada can now see each other. | Hívott fél: Ada. |
        Nem fogadott hívás: Ada | Nem fogadott videohívás: Ada. |
        Ada nem fogadta a hívásodat. | Ada nem fogadta a videochatedet. |
        Ada đã bỏ lỡ lần chat video với bạn. | Bạn đã bỏ lỡ lần chat video với Ada. |
        Đoạn chat video này đã kết thúc. | Bạn bỏ lỡ một cuộc gọi của Ada. |
        Ada đã gọi cho bạn.
    """,
    "look": """
        Ada named the group Engines!. | Ada removed the group name. |
        Ada changed the group photo. | Ada changed the theme to Ocean. |
        Ada changed the chat theme. | Ada set the emoji to 🦊. |
        Ada set the quick reaction to 🦊. | Ada set the nickname for Grace to Admiral. |
        Ada set your nickname to Admiral. | Ada set her own nickname to Countess. |
        Ada set his own nickname to Countess. |
        Ada set their own nickname to Countess. | Ada cleared the nickname for Grace. |
        Ada alterou o tema da conversa para Oceano.
    """,
    "status": """
        You are now connected on Messenger | You are now connected on Messenger. |
        Say hi to your new Facebook friend, Ada. |
        You can now message and call each other and see info like Active Status. |
        Ada waved at you! | Ada is waving at you! | Ada pinned a message. |
        Ada unpinned a message. | This chat is read-only. |
        An admin, moderator or host removed Grace's message. |
        An admin, moderator or host removed Grace\u2019s message. |
        Ada turned on disappearing messages. They go after a day.
    """,
    "poll": """
        Ada created a poll: Pizza or pasta?. |
        Ada voted for "Pizza" in the poll: Pizza or pasta?. |
        Ada changed vote to "Pasta" in the poll: Pizza or pasta?. |
        Ada removed vote for "Pasta" in the poll: Pizza or pasta?. |
        This poll is no longer available. | Ada started a plan. |
        Ada named the plan Dinner. | Ada responded Going to Dinner. |
        Ada responded Can't Go to Dinner. | Ada created the reminder: Dinner. |
        Ada criou uma sondagem: Pizza?.
    """,
    "game": """
        Ada scored 1,204 points playing Basketball. | Ada challenged you in Chess. |
        Ada is now in first place in Chess. |
        Words: Ada just played QUIZ for 48 points!
    """,
}
SENTENCES = [
    (sentence.strip(), kind)
    for kind, sentences in LINES.items()
    for sentence in sentences.split("|")
]


@pytest.mark.parametrize("end", ["", " "])
@pytest.mark.parametrize(("text", "kind"), SENTENCES)
def test_system_lines_are_recognized(
    reader: LineReader, text: str, kind: str, end: str
) -> None:
    assert reader.classify(text + end, ADA) == kind


@pytest.mark.parametrize(
    "text",
    [
        "who added him to the group?",
        "who added him to the group.",
        "Who named the group Engines.",
        "I sent a link.",
        "She sent an attachment.",
        "Mom called you.",
        "he left the group.",
        "They changed the group photo.",
        "We started a call.",
        "It is happening now.",
        "I liked a message",
        "Reacted badly to your message",
        "Did you see that Ada sent an attachment. ?",
        "Ada sent an attachment. Did you see it?",
        "My cat left the group.",
        "You called me yesterday",
        "Nothing is happening now.",
        "",
        "   ",
    ],
)
def test_typed_text_is_not_a_system_line(reader: LineReader, text: str) -> None:
    assert reader.classify(text, ADA) is None


def test_nickname_is_known_after_it_is_set(reader: LineReader) -> None:
    assert reader.classify("Bubbles left the group.", ADA) is None
    reader.classify("Grace set the nickname for Ada to Bubbles.", GRACE)
    assert reader.classify("Bubbles left the group.", ADA) == "members"


@pytest.mark.parametrize("people", [[ADA, GRACE], [ADA, GRACE, "Bob Ray"]])
def test_untypable_line_may_have_unknown_nickname(people: list[str]) -> None:
    reader = LineReader(people)
    assert reader.classify("Bubbles set the emoji to 🦊.", ADA)
    assert reader.classify("Bubbles left the group.", ADA) is None
    assert reader.classify("She set the emoji to 🦊.", ADA) is None


TYPED = """
    You called me. | You called it. | You called the police. | You called my mom. |
    You waved at me! | You and I can now see each other. |
    You and Tom can now see each other. | You missed a call from my mom. |
    You missed a call from Tom. | You missed a video chat with us. |
    You added him to the group. | You removed my sister from the group. |
    Dinner is happening now. | Mom sent a link. | Mom sent an attachment. |
    Tom sent a location. | Tom called you. | Tom missed your call. |
    Tom left the group. | Tom started a call. |
    Tom scored 20 points playing basketball. | Tom challenged you in chess. |
    Tom is now in first place in the league. | Guys: Tom just played a solo! |
    Tom is now an admin. | Tom named the group Engines. |
    Tom created a poll: pizza or pasta. | Tom turned on disappearing messages, why? |
    My sister changed the group photo. | My sister set the emoji to 🦊. |
    you sent a link. | Mein Bruder hat einen Anhang gesendet.
"""


@pytest.mark.parametrize("people", [[ADA, GRACE], [ADA, GRACE, "Bob Ray"]])
@pytest.mark.parametrize("sender", [ADA, GRACE])
@pytest.mark.parametrize("text", [text.strip() for text in TYPED.split("|")])
def test_sentence_about_stranger_is_not_a_system_line(
    people: list[str], sender: str, text: str
) -> None:
    assert LineReader(people, owner=GRACE).classify(text, sender) is None


@pytest.mark.parametrize(
    "text",
    [
        *("You called Ada.", "You sent a link.", "You sent an attachment."),
        *("You named the group Engines.", "You waved at Ada!", "You left the group."),
        "You set the nickname for Ada to Countess.",
    ],
)
def test_second_person_line_requires_owner(reader: LineReader, text: str) -> None:
    assert reader.classify(text, GRACE)
    assert reader.classify(text, ADA) is None
    assert LineReader([ADA, GRACE]).classify(text, ADA)


@pytest.mark.parametrize(
    "line",
    [
        "Ada named the plan Dinner.",
        "Ada responded Going to Dinner.",
        "Ada responded Can't Go to Dinner.",
        "Ada created the reminder: Dinner.",
    ],
)
def test_plan_is_known_after_it_is_named(reader: LineReader, line: str) -> None:
    assert reader.classify("Dinner is happening now.", ADA) is None
    assert reader.classify(line, ADA)
    assert reader.classify("Dinner is happening now.", ADA) == "poll"
    assert reader.classify("Lunch is happening now.", ADA) is None


def test_attachment_allows_unknown_name(reader: LineReader) -> None:
    assert reader.classify("Moon sent a link.", ADA) is None
    assert reader.classify("Moon sent a link.", ADA, has_attachment=True)
    assert reader.classify("Moon called you.", ADA, has_attachment=True) is None
    assert reader.classify("I sent a link.", ADA, has_attachment=True) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "Facebook user", "facebook User", "Facebook-Nutzer", "Instagram User"),
        *("Utilisateur de Facebook", "Người dùng Facebook"),
    ],
)
def test_deleted_accounts_are_known_in_languages(name: str) -> None:
    assert is_deleted_account(name)
    assert not is_deleted_account(f"{name} Byron")


@pytest.mark.parametrize(
    ("text", "is_mine"),
    [
        ("You sent an attachment.", True),
        ("You called Ada.", True),
        ("Enviaste um anexo.", True),
        ("Bạn đã gửi một liên kết.", True),
        ("You missed a call from Ada.", False),
        ("You are now connected on Messenger", False),
        ("You and Ada can now see each other.", False),
        ("Ada sent an attachment.", False),
    ],
)
def test_lines_by_the_owner_are_recognized(text: str, is_mine: bool) -> None:
    assert is_by_owner(text) is is_mine
