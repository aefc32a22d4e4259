"""The screen of a talk: a messenger whose other side is a model."""

from functools import partial

from langchain_chatexports.page.bubbles import build_bubbles
from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.elements import (
    Element,
    FailureBox,
    KeyedList,
    WorkBar,
    add,
    button,
    line_form,
    link,
)
from langchain_chatexports.page.frame import ADD, add_avatar, add_back
from langchain_chatexports.page.languages import (
    _,
    format_duration,
    format_size,
    join_parts,
)
from langchain_chatexports.page.messages import TalkState, Version
from langchain_chatexports.page.people import Person, find_person, state_text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk_menus import (
    build_bubble_menu,
    build_menu,
    show_facts,
)


def build_talk(session: PageSession, conversation: Conversation) -> None:
    _build_head(session, conversation)
    label = _("Talk with {name}", name=conversation.person.name)
    with add("div", classes="talk-body"):
        # The style sheet turns the box upside down, so that its end stays in view.
        box = add("div", classes="bubbles", role="region", tabindex=0, id="bubbles")
        box.props["aria-label"] = label
        with box, add("div", classes="inner"):
            _build_empty(conversation)
            edit = build_bubbles(conversation)
            _build_end(session, conversation)
        pill = add("button", classes="pill", type="button", hidden=True)
        pill.props["aria-label"] = _("To the newest message")
        pill.on("click", js_handler="(event) => page.toEnd()")
    _build_composer(session, conversation)
    build_bubble_menu(conversation, edit)


def _build_head(session: PageSession, conversation: Conversation) -> None:
    person = conversation.person
    with add("header", classes="bar talk-head") as head:
        add_back()
        add_avatar(person.name, is_model=True)
        with button("", lambda: show_facts(conversation), "who"):
            with add("span", classes="name-line"):
                add("h1", person.name, "name", dir="auto")
                activity = add("span", classes="activity", role="status")
            add("span", _("written by a model on this computer"), "mark")
        with add("fieldset", classes="switch") as switch:
            add("legend", _("Before or after training"), "visually-hidden")
            _build_version(conversation, "before", _("Before"))
            _build_version(conversation, "after", _("After"))
            # Only in wide windows.
            _build_version(conversation, "both", _("Both"))
        build_menu(conversation)

    def show(_part: object) -> None:
        known = conversation.person  # Without its model, if that was deleted.
        text = _activity_text(conversation.state)
        if session.published.value.downloading.is_running and conversation.state.offer:
            text = _("downloading …")
        elif not text and known.training is not None:
            text = state_text(known, session.published.value.trainings)
        activity.set_text(text)
        has_model = known.model is not None
        head.set_class("comparable", is_on=has_model)
        switch.set_visibility(has_model or known.training is not None)
        switch.set_prop("disabled", not has_model)
        switch.set_prop("title", "" if has_model else text)

    conversation.published.watch(lambda s: s, show)
    session.published.watch(
        lambda s: (find_person(s, person.key), s.downloading.is_running), show
    )


def _activity_text(state: TalkState) -> str:
    if not state.waited:
        return _("before training") if state.version == "before" else ""
    seconds = state.expected_seconds
    time = "" if seconds is None else format_duration(seconds)
    if state.phase == "waking":
        return _("waking up, about {time}", time=time) if time else _("waking up …")
    usual = _("usually {time}", time=time) if time and state.waited != "shortly" else ""
    return join_parts(_("is typing …"), usual)


def _build_version(conversation: Conversation, version: Version, title: str) -> None:
    with add("label", classes=version):
        radio = add("input", type="radio", name="version")
        add("span", title)
    radio.on("change", lambda _event: conversation.set_version(version))
    conversation.published.watch(
        lambda s: s.version == version, partial(radio.set_prop, "checked")
    )


def _build_empty(conversation: Conversation) -> None:
    """Build what an empty talk shows: what this is, and how to begin."""
    name = conversation.person.name
    with add("div", classes="empty") as empty:
        add(
            "p",
            _(
                "This is a model that writes like {name}. It makes things up.",
                name=name,
            ),
        )
        title = add("p", _("For example:"), "quiet")

        def build(_row: Element, text: str) -> None:
            # Others really wrote this to the person.
            button(text, partial(conversation.send, text), "opening", dir="auto")

        openings = KeyedList(build).classes("openings")

    def show(state: TalkState) -> None:
        empty.set_visibility(not state.messages and state.offer is None)
        openings.show(state.openings)
        title.set_visibility(bool(state.openings))

    conversation.published.watch(lambda s: s, show)


def _build_end(session: PageSession, conversation: Conversation) -> None:
    # A script draws what is on its way to the server.
    add("ul", classes="messages pending").props("id=pending")
    with add("div", classes="entry theirs dots", aria_hidden="true") as dots:
        for _number in range(3):
            add("span")
    slow = add("p", classes="notice", role="status")
    with add("div", classes="end") as end:
        mark = add("span", "!", "bad-mark", aria_hidden="true")
        failure = FailureBox()
        stopped = add("p", _("Stopped."), "quiet")
        again = button(_("Try again"), conversation.answer, "quiet")
    keep_failure = FailureBox()
    _build_offer(session, conversation)

    def show(state: TalkState) -> None:
        dots.set_visibility(bool(state.waited))
        slow_text = _("Slow today: something else uses this computer.")
        slow.set_text(slow_text if state.waited == "very long" else "")
        end.set_visibility(state.failure is not None or state.is_stopped)
        mark.set_visibility(state.failure is not None)
        failure.show(state.failure)
        stopped.set_visibility(state.is_stopped)
        again.set_visibility(state.is_unanswered)
        keep_failure.show(state.keep_failure)

    conversation.published.watch(lambda s: s, show)


def _build_offer(session: PageSession, conversation: Conversation) -> None:
    """Build the card that offers a language model to download."""

    def use_local() -> None:
        if (offer := conversation.state.offer) and offer.local:
            conversation.use_base(offer.local)

    with add("div", classes="offer card") as card:
        question = add("p")
        bar = WorkBar()
        with add("div", classes="buttons"):
            download = button("", conversation.download, "primary")
            cancel = button(_("Cancel"), session.downloading.stop, "quiet")
            smaller = _("Use the smaller model that is here")
            local = button(smaller, use_local, "quiet")

    def show(_part: object) -> None:
        offer = conversation.state.offer
        work = session.published.value.downloading
        card.set_visibility(offer is not None)
        if offer is None:
            return
        size = format_size(offer.base.download_bytes())
        text = _(
            "To talk, this computer needs a language model: {size}, once.", size=size
        )
        question.set_text(text)
        bar.show(work)
        has_failed = work.error is not None
        download.set_text(_("Try the download again") if has_failed else _("Download"))
        download.set_visibility(not work.is_running)
        cancel.set_visibility(work.is_running)
        local.set_visibility(offer.local is not None and not work.is_running)

    conversation.published.watch(lambda s: s.offer, show)
    session.published.watch(lambda s: s.downloading, show)


def _build_composer(session: PageSession, conversation: Conversation) -> None:
    key = conversation.person.key
    form = line_form(
        _("Message"),
        _("Send"),
        conversation.send,
        text=conversation.draft,
        icon="➤",
        classes="composer",
        enterkeyhint="send",
        data_pending=1,
    )
    field = form.mark("composer").default_slot.children[0]
    field.on(
        "input",
        lambda event: conversation.set_draft(str(event.args)),
        js_handler="(event) => page.draft(event, emit)",
    )
    field.on("vnodeMounted", js_handler="(node) => page.openTalk(node.el)")
    with form:
        button("■", conversation.stop, "stop", aria_label=_("Stop")).mark("stop")
    with add("div", classes="closed") as closed:
        reason = add("p")
        link(_("Add chats"), ADD, "primary")

    def show(person: Person | None) -> None:
        can_talk = person is not None and person.can_talk
        form.set_visibility(can_talk)
        closed.set_visibility(not can_talk)
        reason.set_text("" if can_talk else _closed_text(person))

    session.published.watch(lambda s: find_person(s, key), show)
    conversation.published.watch(
        lambda s: s.is_busy, lambda is_on: form.set_class("busy", is_on=is_on)
    )


def _closed_text(person: Person | None) -> str:
    if person is None:
        return _("This model was deleted, and its chats with it.")
    if person.training is not None and person.talk is None:
        is_active = person.training.job.is_active
        still, over = _("This person is still learning."), _("Learning has stopped.")
        return still if is_active else over
    return _("The export of this chat was removed: add it again to go on.")
