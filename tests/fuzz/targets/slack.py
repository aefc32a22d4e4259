"""Slack exports: lists and days of any shape, in folders and zips."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports import SlackChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.slack import SlackExport, stamp

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

_KEYS: dict[str, Any] = {
    "thread_ts": stamp(1, 1),
    "subtype": "file_share",
    "edited": {"user": "U1", "ts": stamp()},
    "reactions": [{"name": "tada", "users": ["U1"], "count": 2**40}],
    "files": [{"name": MARK, "mimetype": "image/png", "mode": "hosted"}],
    "attachments": [{"is_share": True, "text": MARK, "from_url": "https://s/1"}],
    "blocks": [{"type": "rich_text", "elements": [{"elements": [{"text": MARK}]}]}],
    "bot_id": "B1",
    "user_profile": {"display_name": NAME},
    "slackdump_thread_replies": [{"ts": stamp(2), "user": "U2", "text": MARK}],
}


def attack(case: Case, _: None) -> None:
    """Read an export that somebody has spoiled."""
    random = case.random
    export = SlackExport()
    export.user("U1", NAME)
    export.user("U2", "Grace Hopper")
    general = export.channel("C1", "general")
    direct = export.direct("D01ABCDEF", "U1", "U2")
    for number in range(12):
        keys = dict(random.sample(sorted(_KEYS.items()), random.randrange(3)))
        folder = random.choice((general, direct))
        text = f"{MARK} <@U{number % 3}> &lt;{number}"
        folder.says(f"U{number % 3}", text, day=1 + number % 3, **keys)
    files = export.files()
    export.lists, export.folders = {}, {}
    for name, data in files.items():
        spoiled = random.random() < 0.4
        export.others[name] = _spoiled(random, data) if spoiled else data
    if random.random() < 0.2:
        dump = {"channel_id": "C7", "name": NAME, "messages": [MARK, {"ts": stamp()}]}
        export.others["C7.json"] = _spoiled(random, json.dumps(dump).encode())
    if random.random() < 0.5:
        path = export.to_zip(case.export / "slack.zip")
        if random.random() < 0.3:
            path.write_bytes(mutated(random, path.read_bytes(), (b"PK\x01\x02",)))
    else:
        path = export.to_folder(case.export)
    with case.judged():
        if random.random() < 0.3:
            loader: Any = open_export(path).loader
        else:
            loader = SlackChatLoader(
                path,
                threads=random.choice(("sessions", "channel")),
                owner=random.choice((None, None, "U1", NAME)),
                include_bots=random.random() < 0.5,
                **loader_options(random),
            )
        read_somehow(random, loader)


def _spoiled(random: Random, data: bytes) -> bytes:
    if random.random() < 0.3:
        return mutated(random, data, (b'"ts":', b"\\ud83d", b"{", b"\xff\xfe"))
    value = mutated_json(random, json.loads(data), share=random.choice((0.02, 0.1)))
    return json_bytes(random, value, indent=random.choice((None, 4)))
