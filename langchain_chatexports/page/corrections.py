"""What the person would have written, in place of what the model did."""

from functools import partial

from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.elements import Show, add, ask, set_prop
from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import _
from langchain_chatexports.personas.talk import CORRECTED


def ask_for_correction(
    conversation: Conversation,
    turn: int,
    failure: Failure | None = None,
) -> None:
    """Ask what the person would have written; after a failure, again.

    What was written is there again after *Cancel*, a reload or a failure.
    """
    bubbles = (m for m in conversation.state.messages if m.turn == turn)
    reply = "\n".join(m.text for m in bubbles if m.author == "model")
    unsent = conversation.unsent_corrections

    async def keep(better: str) -> None:
        unsent[turn, reply] = better
        problem = await conversation.correct(turn, better)
        if problem is None:
            del unsent[turn, reply]
        else:
            ask_for_correction(conversation, turn, problem)

    note = _(
        "The chat continues with your text. An empty field only marks the reply as "
        "wrong."
    )
    ask(
        _("They would not say that"),
        _("Keep"),
        keep,
        failure.message if failure else note,
        label=_("What would {name} write?", name=conversation.person.name),
        value=unsent.get((turn, reply), reply),
        is_long=True,
        on_draft=partial(unsent.__setitem__, (turn, reply)),
    )


def build_mark() -> Show[bool]:
    """Build the mark of a bubble that was corrected."""
    mark = add("span", "✎", "corrected", role="img")
    set_prop(mark, "aria-label", _("corrected by you"))
    set_prop(mark, "title", _("corrected by you"))
    return mark.set_visibility


def cited_correction(line: str) -> str | None:
    """Return a cited correction in the language of the page; `None` for others."""
    if not line.startswith(CORRECTED):
        return None
    return f"{_('corrected by you')}: {line.removeprefix(CORRECTED)}"
