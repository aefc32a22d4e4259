"""Emoji as Android phones wrote them before Unicode had them.

Messages up to 2016 may hold private-use code points from U+FE000 to U+FEFFF. The table
is the mapping that Google and Unicode published with the first emoji (the `google`
column of the public emoji data tables).
"""

# ruff: noqa: RUF001 (emoji that look like letters are meant)

from __future__ import annotations

import re
from functools import cache

__all__ = ["replace_private_emoji"]

_PRIVATE = re.compile("[\U000fe000-\U000fefff]")

# First code point of a run without holes, and its emoji in order.
_RUNS = {
    0xFE000: (
        "☀️ ☁️ ☔ ⛄ ⚡ 🌀 🌁 🌂 🌃 🌄 🌅 🌆 🌇 🌈 ❄️ ⛅ 🌉 🌑 🌔 🌓 🌙 🌕 🌛 "
        "🎑 🔜 🔛 🔚 ⏳ ⌛ ⌚ 🕐 🕑 🕒 🕓 🕔 🕕 🕖 🕗 🕘 🕙 🕚 🕛 ⏰ ♈ ♉ ♊ "
        "♋ ♌ ♍ ♎ ♏ ♐ ♑ ♒ ♓ ⛎ 🌊 🌏 🌋 🌌 🍀 🌷 🌱 🍁 🌸 🌹 🍂 🍃 🔰 "
        "🌺 🌻 🌴 🌵 🌾 🌽 🍄 🌰 🌼 🌿 🍒 🍌 🍎 🍊 🍓 🍉 🍅 🍆 🍈 🍍 🍇 🍑 🍏"
    ),
    0xFE190: (
        "👀 👂 👃 👄 👅 💄 💅 💆 💇 💈 👤 👦 👧 👨 👩 👪 👫 👮 👯 👰 👱 👲 👳 "
        "👴 👵 👶 👷 👸 👹 👺 👻 👼 👽 👾 👿 💀 💁 💂 💃 🐶 🐱 🐌 🐤 🐥 🐧 🐟 "
        "🐴 🐷 🐯 🐻 🐭 🐳 🐵 🐙 🐚 🐬 🐦 🐠 🐹 🐛 🐘 🐨 🐒 🐑 🐺 🐮 🐰 🐍 🐔 "
        "🐗 🐫 🐸 🐩 🐡 🐜 🐾 🐢 🐣 🐲 🐼 🐽 🐝 🐞"
    ),
    0xFE320: ("😠 😩 😲 😞 😵 😰 😒 😍 😤 😜 😝 😋 😘 😚 😷 😳 😃 😅 😆 😁 😂 😊 ☺️"),
    0xFE338: (
        "😄 😢 😭 😨 😣 😡 😌 😖 😔 😱 😪 😏 😓 😥 😫 😉 😺 😸 😹 😽 😻 😿 😾 "
        "😼 🙀 🙅 🙆 🙇 🙈 🙊 🙉 🙋 🙌 🙍 🙎 🙏"
    ),
    0xFE4B0: ("🏠 🏡 🏢 🏣 🏥 🏦 🏧 🏨 🏩 🏪 🏫 ⛪ ⛲ 🏬 🏯 🏰 🏭 ⚓ 🏮 🗻 🗼"),
    0xFE4C6: (
        "🗽 🗾 🗿 🔧 🔨 🔩 👞 👟 👓 👕 👖 👑 🔱 👔 👒 👗 👠 👡 👢 👘 👙 👚 👛 "
        "💰 💱 💹 💲 💳 💴 💵 💸 🇯🇵 🇺🇸 🇫🇷 🇩🇪 🇮🇹 🇬🇧 🇪🇸 🇷🇺 🇨🇳 🇰🇷 📷 👜 👝 🔔 🚪 "
        "💩 🔫 🔥 🔮 🔯 📹 🔪 🔦 🔋 📜 🔌 📗 📘 📙 📕 📚 📛 🛀 🚻 🚽 🚾 💉 💊 "
        "🅰️ 🅱️ 🆎 🅾️ 🎀 🎁 🎂 🎄 🎅 🎌 🎆 🎈 🎉 🎍 🎎 🎓 🎒 🎏 🎇 🎐 🎃 🎊 🎋 "
        "📟 ☎️ 📞 📱 📲 📝 📠 ✉️ 📨 📩 📪 📫 📮 📢 📣 📡 💬 📤 📥 📦 ✒️ 💺 💻 "
        "✏️ 📎 💼 💽 💾 ✂️ 📍 📃 📄 📅 📁 📂 📓 📖 📔 📋 📆 📊 📈 📉 📇 📌 📒 "
        "📏 📐 📑 👣"
    ),
    0xFE7D0: (
        "🎽 ⚾ ⛳ 🎾 ⚽ 🎿 🏀 🏁 🏂 🏃 🏄 🏆 🐎 🏈 🏊 🚃 🚇 Ⓜ️ 🚄 🚅 🚗 🚙 🚌 "
        "🚏 🚢 ✈️ ⛵ 🚲 🚉 🚀 🚤 🚕 🚶 🚚 🚒 🚑 🚓 ⛽ 🅿️ 🚥 🚧 🚨 ♨️ ⛺ 🎠 🎡 "
        "🎢 🎣 🎤 🎥 🎦 🎧 🎨 🎩 🎪 🎫 🎬 🎭 🎮 🀄 🎯 🎰 🎱 🎲 🎳 🎴 🃏 🎵 🎶 "
        "🎷 🎸 🎹 🎺 🎻 🎼 〽️ 📺 💿 📀 📻 📼 🔊 📰 💋 💌 💍 💎 💏 💐 💑 💒 ➿ "
        "#️⃣"
    ),
    0xFE82E: ("1️⃣ 2️⃣ 3️⃣ 4️⃣ 5️⃣ 6️⃣ 7️⃣ 8️⃣ 9️⃣ 0️⃣ 📶 📳 📴 🔟"),
    0xFE960: (
        "🍔 🍙 🍰 🍜 🍞 🍳 🍦 🍟 🍡 🍘 🍚 🍝 🍛 🍢 🍣 🍱 🍲 🍧 🍖 🍥 🍠 🍕 🍗 "
        "🍨 🍩 🍪 🍫 🍬 🍭 🍮 🍯 🍤 🍴 ☕ 🍸 🍺 🍵 🍶 🍷 🍻 🍹"
    ),
    0xFEAF0: (
        "↗️ ↘️ ↖️ ↙️ ⤴️ ⤵️ ↔️ ↕️ ⬆️ ⬇️ ➡️ ⬅️ ▶️ ◀️ ⏩ ⏪ 🔽 🔼 ⏬ ⏫ ❗ ⁉️ ‼️ "
        "〰️ ➰ ❓ ❔ ❕ ❤️ 💓 💔 💕 💖 💗 💘 💙 💚 💛 💜 💝 💞 💟 ♥️ ♠️ ♦️ ♣️ "
        "🚬 🚭 ♿ 🆓 🚩 ⚠️ 🈁 🔞 ⛔ 🆗 🆖 ©️ ™️ ㊙️ ♻️ ®️ 🈲 🈳 🈴 🈵 🆚 🚹 🚺 "
        "🚼 🆕 🆙 🆒 🈶 🈚 🈷️ 🈸 🉐 🈹 🈂️ 🈯 🈺 🔝 ㊗️ ⭕ ❌ ❎ ℹ️ 🚫 ✔️ ✅ "
        "🔗"
    ),
    0xFEB4F: (
        "🆘 🉑 ➕ ➖ ✖️ ➗ 💠 💡 💢 💣 💤 💥 💦 💧 💨 💪 💫 ✨ ✴️ ✳️ 🔴 🔲 ⚪ "
        "⚫ 🔳 ⭐ 🌟 🌠 ⬜ ⬛ ▫️ ▪️ ◽ ◾ ◻️ ◼️ 🔶 🔷 🔸 🔹 ❇️ 🔺 🔻 💮 💯 🔠 "
        "🔡 🔢 🔣 🔤 🆔 🔑 ↩️ 🆑 🔍 🔒 🔓 ↪️"
    ),
    0xFEB8A: ("🔐 ☑️ 🔘 🔎 🔙 🔖 🔏 🔃 📧 ✊ ✌️ ✋ 👊 👍 ☝️ 👆 👇 👈 👉 👋 👏 👌 👎 👐"),
}


@cache
def _table() -> dict[str, str]:
    return {
        chr(first + offset): emoji
        for first, run in _RUNS.items()
        for offset, emoji in enumerate(run.split(" "))
    }


def replace_private_emoji(text: str) -> str:
    """Replace private-use emoji by Unicode's own, and remove those that have none."""
    table = _table()
    return _PRIVATE.sub(lambda match: table.get(match.group(), ""), text)
