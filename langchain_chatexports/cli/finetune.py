"""`chatexports finetune`: train a model on exports or examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_chatexports._extras import require_local
from langchain_chatexports._terminal import printable
from langchain_chatexports._translation import _, ngettext
from langchain_chatexports.cli._console import (
    confirm,
    get_speaker_chooser,
    print_json,
    print_line,
    say,
    say_count,
    show_progress,
    show_waiting,
    stdin_is_terminal,
)
from langchain_chatexports.cli._errors import error_text
from langchain_chatexports.cli._options import (
    AsJson,
    Base,
    BaseUrl,
    ChatOptions,
    DataDir,
    ExampleOptions,
    check,
    command,
    flag,
    option,
    parse_duration,
    print_owners,
)
from langchain_chatexports.cli._training import (
    TrainingDisplay,
    chat_command,
    print_base,
    select_base,
)
from langchain_chatexports.datasets.splits import MIN_EXAMPLES as MIN_SPLIT_EXAMPLES
from langchain_chatexports.exceptions import (
    ChatExportError,
)
from langchain_chatexports.local_server import Model, Workspace, find_base
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.workflows.bases import (
    choose_base,
    detect_language,
    measure_speed,
)
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.remote_training import (
    OPENAI_URL,
    get_api_key,
    train_remotely,
)
from langchain_chatexports.workflows.talk import (
    answer_tuned,
    answer_untrained,
    sample_replies,
)
from langchain_chatexports.workflows.train import find_earlier_model, train
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import (
    JobEvent,
    TrainingEvent,
)

_FEW_EXAMPLES = 100


@command
def finetune(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Exports, or the output of prepare: JSONL files, or a folder "
            "from --split.",
            readable=False,
        ),
    ],
    *,
    options: ExampleOptions,
    chats: ChatOptions,
    base: Base = None,
    time: Annotated[
        str | None,
        option(
            "DURATION",
            "Choose the best base that can be trained in this time (30m, 2h).",
        ),
    ] = None,
    base_url: BaseUrl = None,
    openai: Annotated[
        bool, flag("--openai", "Upload the examples to OpenAI and train there.")
    ] = False,
    data_dir: DataDir = None,
    yes: Annotated[bool, flag("--yes", "Upload or download without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model on exports or examples.

    The job runs on this machine, or on a server with --base-url or --openai. The last
    line of output is the command to talk to the new model.

    For example:
        chatexports finetune chat.db --ai Tortoise
        chatexports finetune examples.jsonl --base Qwen/Qwen3.5-0.8B
    """
    choices = options.to_prepare_options(chats)
    seconds = None
    if time is not None:
        seconds = parse_duration(time, "--time").total_seconds()
    url = base_url or (OPENAI_URL if openai else None)
    is_on_other_server = (base or "").startswith(("ollama:", "http://", "https://"))
    check(
        (openai and base_url, "Use --openai or --base-url, not both."),
        (time and base, "Use --time or --base, not both: --time chooses the base."),
        (
            is_on_other_server,
            "--base must be a local model or a hub id, not a model on another server.",
        ),
        (
            url and (time or data_dir),
            "Remove --time and --data-dir: they are for training on this machine.",
        ),
        (
            url and not base,
            "Add --base NAME, the name of the base model on the server.",
        ),
    )

    def read(limit: int | None) -> TrainingData:
        data = prepare(
            paths,
            replace(choices, limit=limit),
            validation=None if url else "auto",
            choose_speaker=get_speaker_chooser(),
            watch=show_progress,
        )
        data.check_size()
        return data

    if url is not None and base is not None:
        get_api_key(url)
        data = read(choices.limit)
        _print_data(data)
        name = _train_remotely(data, base, url, yes=yes)
        chat = chat_command(name, base_url=url)
    else:
        require_local()
        workspace = Workspace(data_dir)
        data = read(choices.limit)
        _print_data(data, holds_out=True)
        base, limit = _choose_base(data, base, seconds, workspace, yes=yes)
        data = data if limit is None else read(limit)
        _print_earlier_model(data, workspace)
        with TrainingDisplay(workspace) as display:

            def on_event(event: TrainingEvent) -> None:
                is_new = isinstance(event, JobEvent) and event.state == "new"
                if is_new and stdin_is_terminal():
                    _show_untrained(data, base, workspace)
                display(event)

            model = train(
                *(data, base),
                workspace=workspace,
                on_event=on_event,
                watch=show_progress,
            )
        name = model.name
        if stdin_is_terminal():
            _show_tuned(data, model, workspace)
        chat = chat_command(name, workspace=workspace)
    if as_json:
        counts = {"examples": len(data.examples), "validation": len(data.validation)}
        print_json({**counts, "model": name, "chat": chat})
        return
    say("To talk to it:")
    # Not wrapped, so that users and programs can copy it.
    typer.echo(printable(chat))


def _print_data(data: TrainingData, *, holds_out: bool = False) -> None:
    for export, summary in data.preparation.summaries():
        say_count(
            "{export}, {kept} of {count} message kept",
            "{export}, {kept} of {count} messages kept",
            summary.found,
            export=export,
            kept=summary.kept,
        )
    print_owners(data.preparation)
    print_line(data)
    notes = []
    if len(data.examples) < _FEW_EXAMPLES:
        notes.append(
            _(
                "From so few, a model learns how the person writes, not what the "
                "person knows, and many answers will not fit."
            )
        )
    if holds_out and not data.validation:
        notes.append(
            _(
                "None are held out for evaluate, because there are fewer than {count}.",
                count=MIN_SPLIT_EXAMPLES,
            )
            if len(data.examples) < MIN_SPLIT_EXAMPLES
            else _(
                "None are held out for evaluate, because these chats repeat themselves."
            )
        )
    if notes:
        print_line(" ".join(notes))
    if not data.has_replies:
        say(
            "warning: The person answers nobody in these chats, so the model will "
            "not learn to answer."
        )


def _choose_base(
    data: TrainingData,
    base: str | None,
    seconds: float | None,
    workspace: Workspace,
    *,
    yes: bool,
) -> tuple[str | None, int | None]:
    """Return a base that can be trained in time, and a limit of examples if needed."""
    if base is not None:
        language = detect_language(data.examples)
        print_base(find_base(base), language, data.examples, workspace)
        return base, None
    choice, base = select_base(
        lambda downloads: choose_base(
            data,
            seconds,
            seconds_per_token=measure_speed(workspace),
            downloads=downloads,
        ),
        yes=yes,
    )
    if choice.limit is not None:
        option = f"--limit {choice.limit}"
        say_count(
            "Even the smallest base would take longer. There is time for the "
            "newest example ({option}).",
            "Even the smallest base would take longer. There is time for the "
            "newest {count} examples ({option}).",
            choice.limit,
            option=option,
        )
        refusal = _(
            "Nothing was trained. Add {option}, or allow more time.", option=option
        )
        question = ngettext(
            "Train on the newest one only?",
            "Train on the newest {count} only?",
            choice.limit,
        )
        if not confirm(question, yes=yes, refusal=refusal):
            raise ChatExportError(refusal)
    return base, choice.limit


def _print_earlier_model(data: TrainingData, workspace: Workspace) -> None:
    """Print whether a model of the person exists, and what is new since."""
    if earlier := find_earlier_model(data, workspace):
        model, new = earlier
        day = datetime.fromtimestamp(model.created_at).astimezone().date()
        say_count(
            "{person} already has a model from {day}, {model}; {count} of these "
            "examples is new. This trains another from the start: continuing with "
            "only what is new made replies worse.",
            "{person} already has a model from {day}, {model}; {count} of these "
            "examples are new. This trains another from the start: continuing with "
            "only what is new made replies worse.",
            new,
            person=model.title,
            day=day,
            model=model.short_name,
        )


def _ask(waiting: str, ask: Callable[[], list[Turn]]) -> list[Turn] | None:
    """Return a model's answers; `None`, with a warning, if it could not answer."""
    try:
        with show_waiting(waiting):
            return ask()
    except ChatExportError as error:
        say("warning: The model could not answer: {error}", error=error_text(error))
        return None


def _show_untrained(data: TrainingData, base: str | None, workspace: Workspace) -> None:
    """Print what the base answers before it is trained."""
    turns = _ask(
        _("Asking the base before it is trained"),
        lambda: answer_untrained(data, base, workspace=workspace),
    )
    if not turns:
        return
    say("Without training, the base answers:")
    for turn in turns:
        print_line(f"  > {turn.line}\n  {' / '.join(split_bubbles(turn.answer))}")
    say(
        "If these make no sense, training will give the person's tone, but not "
        "sense. Choose a larger base with --base or --time."
    )


def _show_tuned(data: TrainingData, model: Model, workspace: Workspace) -> None:
    """Print what the new model answers, beside what the person wrote."""
    turns = _ask(
        _("Asking the new model"),
        lambda: answer_tuned(data, model, workspace=workspace),
    )
    if not turns:
        return
    if data.validation:
        say("The new model answers messages that it has not seen:")
    else:
        say("The new model answers messages from its training:")
    for turn, asked in zip(turns, sample_replies(data), strict=True):
        said = " / ".join(split_bubbles(asked.reply))
        answer = " / ".join(split_bubbles(turn.answer))
        answered = _("model: {answer}", answer=answer)
        wrote = (
            _("{person} wrote: {said}", person=data.person, said=said)
            if data.person
            else _("The person wrote: {said}", said=said)
        )
        print_line(f"  > {turn.line}\n  {answered}\n  {wrote}")


def _train_remotely(data: TrainingData, base: str, url: str, *, yes: bool) -> str:
    def confirm_upload(host: str, estimate: Any) -> bool:
        examples = ngettext("{count} example", "{count} examples", estimate.examples)
        say_count(
            "This uploads {examples}, about {tokens} tokens ({billed} billed over "
            "{count} epoch), to {host}.",
            "This uploads {examples}, about {tokens} tokens ({billed} billed over "
            "{count} epochs), to {host}.",
            estimate.epochs,
            examples=examples,
            tokens=estimate.tokens,
            billed=estimate.billed_tokens,
            host=host,
        )
        refusal = _(
            "Nothing was sent. Add --yes to agree to the upload to {host}.", host=host
        )
        return confirm(_("Upload?"), yes=yes, refusal=refusal)

    with TrainingDisplay() as display:
        return train_remotely(data, base, url, confirm=confirm_upload, on_event=display)
