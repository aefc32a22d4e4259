"""Whom one can talk with: everyone with a model, a training, a talk or an export."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.local_server import Job, Model, State
from langchain_chatexports.page.exports import count_senders, owner_keys
from langchain_chatexports.page.languages import _, time_left
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.stored import Training
from langchain_chatexports.workflows.saved_talks import SavedTalk


@dataclass(frozen=True)
class Person:
    key: str
    """Names the person in addresses; it cannot be read."""

    name: str
    model: Model | None = None
    training: Training | None = None
    talk: SavedTalk | None = None
    messages: int = 0
    """The number of their messages in the exports."""

    is_owner: bool = False

    @property
    def can_talk(self) -> bool:
        """Whether a model or an export can answer."""
        return self.model is not None or self.messages > 0

    @property
    def has_chat(self) -> bool:
        """Whether the person has a row of their own."""
        return bool(self.model or self.training or self.talk)

    @property
    def time(self) -> float:
        """When something last happened, in Unix seconds."""
        job_time = self.training.job.created_at if self.training else 0.0
        talk_time = self.talk.changed_at.timestamp() if self.talk else 0.0
        return max(talk_time, job_time, self.model.created_at if self.model else 0.0)


@lru_cache(4096)
def person_key(name: str) -> str:
    """Return the key of a person: the same for spellings of one name."""
    return sha256(name_key(name).encode("utf-8", "replace")).hexdigest()[:16]


def list_people(snapshot: Snapshot) -> tuple[Person, ...]:
    """Return everyone: first those with a chat, newest first, then by messages."""
    found: dict[str, Person] = {}

    def add(name: str, **values: object) -> None:
        key = person_key(name)
        known = found.get(key, Person(key, name))
        # Of each kind, the first one is the newest.
        new = {k: v for k, v in values.items() if not getattr(known, k)}
        found[key] = Person(**{**vars(known), **new})

    for talk in snapshot.talks:
        add(talk.person, talk=talk)
    for model in snapshot.stored.models:
        add(model.person or model.title, model=model)
    for training in snapshot.trainings:
        add(job_person(training.job), training=training)
    owners = owner_keys(snapshot.exports)
    for name, messages in count_senders(snapshot.exports).items():
        add(name, messages=messages, is_owner=name_key(name) in owners)
    return tuple(sorted(found.values(), key=_rank))


def find_person(snapshot: Snapshot, key: str) -> Person | None:
    return next((one for one in list_people(snapshot) if one.key == key), None)


def job_person(job: Job) -> str:
    """Return the name under which a training is listed."""
    return job.person or job.label or job.base_model


def state_text(person: Person, trainings: Iterable[Training]) -> str:
    """Return the state of a person's row in a few words."""
    if person.training is not None:
        return _training_text(person.training, trainings)
    if person.model is not None:
        return ""
    return _("before training") if person.messages else _("its export was removed")


def _training_text(training: Training, trainings: Iterable[Training]) -> str:
    state = training.job.state
    if state is State.RUNNING:
        if training.seconds_left is None:
            return _("learning …")
        return _("learning: {left}", left=time_left(training.seconds_left))
    if state is not State.QUEUED:
        return _("learning stopped")
    for other in trainings:
        if other.job.state is State.RUNNING:
            return _("waits for {name}", name=job_person(other.job))
    return _("waiting to learn")


def _rank(person: Person) -> tuple[bool, float, bool, int]:
    return not person.has_chat, -person.time, person.is_owner, -person.messages
