"""Check digits of cards (Luhn) and bank accounts (IBAN)."""

from __future__ import annotations

__all__ = ["IBAN_LENGTHS", "has_luhn_digit", "iban_length"]

# Length of an IBAN by country (the registry at swift.com).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24,
    "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "XK": 20,
}  # fmt: skip

_IBAN_REMAINDER = 1
_MIN_CARD_DIGITS = 13


def has_luhn_digit(digits: str) -> bool:
    """Return whether the last digit is the check digit of the others, as on a card."""
    if len(digits) < _MIN_CARD_DIGITS or len(set(digits)) == 1:
        return False
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - its digits' sum
    return total % 10 == 0


def iban_length(text: str) -> int | None:
    """Return how many characters at the beginning of a text are a valid IBAN.

    Args:
        text: A text that starts with the country's letters, in any case; its groups
            may be separated by single spaces or hyphens.

    Returns:
        The length in characters, or `None`.
    """
    wanted = IBAN_LENGTHS.get(text[:2].upper())
    if wanted is None:
        return None
    letters: list[str] = []
    for index, character in enumerate(text):
        if character.isascii() and character.isalnum():
            letters.append(character.upper())
        elif character not in " -\u00a0" or not text[index - 1].isalnum():
            return None
        if len(letters) == wanted:
            after = text[index + 1 : index + 2]
            is_whole = not (after.isascii() and after.isalnum())
            return index + 1 if is_whole and _has_iban_check(letters) else None
    return None


def _has_iban_check(letters: list[str]) -> bool:
    digits = "".join(str(int(letter, 36)) for letter in (*letters[4:], *letters[:4]))
    return int(digits) % 97 == _IBAN_REMAINDER
