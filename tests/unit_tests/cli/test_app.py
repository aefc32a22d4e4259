"""The command `chatexports`, as a person types it."""

import sys

import pytest

from langchain_chatexports import __version__
from tests.unit_tests.cli.conftest import Command


def test_version_is_the_packages(chatexports: Command) -> None:
    for more in ((), ("models",)):
        assert chatexports("--version", *more).out.strip() == __version__


@pytest.mark.parametrize(
    ("value", "said"),
    [("abc", "It must be a valid integer."), ("0", "It must be greater than")],
)
def test_a_number_that_is_none_is_said_without_a_librarys_words(
    chatexports: Command, value: str, said: str
) -> None:
    done = chatexports("finetune", "chat.db", "--limit", value)
    assert done.status == 2
    assert said in done.err
    assert "Input should be" not in done.err


def test_without_arguments_there_is_help(chatexports: Command) -> None:
    done = chatexports()
    assert (done.status, "chatexports inspect PATH" in done.out) == (0, True)


def test_without_the_extra_the_command_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain_chatexports import cli

    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "langchain_chatexports.cli.app", raising=False)
    with pytest.raises(SystemExit, match=r"langchain-chatexports\[cli\]"):
        cli.main()


def test_an_unknown_command_gets_the_one_that_is_meant(chatexports: Command) -> None:
    done = chatexports("preprae")
    assert (done.status, "'prepare'" in done.err) == (2, True)
