"""The SDK's clients, and the chat model that talks to the same server."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import FineTuningError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_openai.chat_models.base import BaseChatOpenAI

__all__ = ["AZURE_HOSTS", "ServerAccess", "public_url", "scrub_secrets"]

_MIN_SECRET_LENGTH = 6
AZURE_HOSTS = (
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
)

_DEPLOY_FIRST = (
    "On Azure a tuned model can be asked only after it has been deployed, under the "
    "deployment's name. Order with submit(), wait(), deploy the model in the Azure "
    "portal, then run.chat_model(azure_deployment='<name>'). If you know the name "
    "beforehand: chat_model_kwargs={'azure_deployment': '<name>'}."
)


@dataclass(frozen=True)
class ServerAccess:
    """The server and its key: settings, or the user's own clients.

    Attributes:
        settings: Arguments of the SDK's clients.
        client: A sync client to use instead.
        async_client: An async client to use instead.
        timeout: Seconds without a byte after which a request ends.
        resolved: A client that knows the server and the key; it may be closed.
    """

    settings: Mapping[str, Any] = field(repr=False)
    client: Any = None
    async_client: Any = None
    timeout: float = 30.0
    resolved: Any = None

    def open(self, *, is_async: bool) -> tuple[Any, ServerAccess]:
        """Return a client, and access to the same server with the same key for later.

        The tuner retries by itself, after a look; this client does not. With an event
        loop it may be a sync one of the user's.
        """
        given = self._given(is_async=is_async)
        client = given or self._made(is_async=is_async)
        client = client.with_options(max_retries=0, timeout=self.timeout)
        if given is not None:
            resolved = self.client or self.async_client
            return _without_redirects(client), replace(self, resolved=resolved)
        # Whatever the environment says later. The client may be closed by then.
        names = ("api_key", "base_url", "organization", "project")
        settings = {**self.settings, **{name: getattr(client, name) for name in names}}
        return client, replace(self, settings=settings, resolved=client)

    @property
    def is_given(self) -> bool:
        """Whether the clients are the user's own."""
        return (self.client or self.async_client) is not None

    def _given(self, *, is_async: bool) -> Any:
        from openai import AsyncOpenAI

        if is_async:
            return self.async_client or self.client
        is_mistaken = isinstance(self.client, AsyncOpenAI)
        if is_mistaken or (self.client is None and self.async_client is not None):
            given = "`client` is an async client" if is_mistaken else "it is missing"
            msg = (
                f"The sync methods need a sync client as `client`: {given}. The async "
                "one, as `async_client`, serves ainvoke, asubmit and so on."
            )
            raise FineTuningError(msg)
        return self.client

    def _made(self, *, is_async: bool) -> Any:
        from openai import AsyncOpenAI, OpenAI

        from langchain_chatexports.finetuning import http_clients

        self._require_one_server()
        guarded = (
            http_clients.AsyncGuardedClient if is_async else http_clients.GuardedClient
        )
        kind: Any = AsyncOpenAI if is_async else OpenAI
        http = guarded()
        try:
            return kind(**self.settings, http_client=http)
        except Exception as error:
            msg = (
                f"The OpenAI client cannot be made ({type(error).__name__}): set "
                "OPENAI_API_KEY or give `api_key`, and check `base_url`. Nothing was "
                "sent."
            )
            raise FineTuningError(msg) from error

    def chat_model(
        self, name: str, *, base_model: str, **kwargs: Any
    ) -> BaseChatOpenAI:
        """Build the chat model of a tuned model; the access must be a connection's.

        Args:
            name: The tuned model.
            base_model: The model it was tuned from, whose tokens it counts.
            **kwargs: Arguments of the chat model.

        Returns:
            A `ChatOpenAI` (an `AzureChatOpenAI` for Azure's client) that asks the
            server that trained the model, whatever the environment says.
        """
        from langchain_openai import AzureChatOpenAI, ChatOpenAI
        from openai import AsyncAzureOpenAI, AzureOpenAI

        client = self.resolved
        is_azure = isinstance(client, (AzureOpenAI, AsyncAzureOpenAI))
        # Azure's own OpenAI-compatible route is asked with a plain client.
        host = urlsplit(str(client.base_url)).hostname or ""
        deployment = kwargs.pop("azure_deployment", None)
        if deployment is None and (is_azure or host.endswith(AZURE_HOSTS)):
            raise FineTuningError(_DEPLOY_FIRST)
        arguments = {
            # A `codex` in the suffix would switch to the Responses API.
            "use_responses_api": False,
            # The counter of messages knows no tuned name.
            "tiktoken_model_name": base_model,
            "stream_usage": True,
            "organization": client.organization,
            "default_query": dict(getattr(client, "_custom_query", {})) or None,
            "default_headers": _headers(client) or None,
            **_guarded_http(kwargs),
        }
        if self.is_given:
            arguments.update(timeout=client.timeout, max_retries=client.max_retries)
        if is_azure:
            named = {"model": base_model, "azure_deployment": deployment}
            return AzureChatOpenAI(**named | _azure(client) | arguments | kwargs)
        named = {
            "model": deployment or name,
            "base_url": str(client.base_url).rstrip("/"),
            "api_key": getattr(client, "_api_key_provider", None) or client.api_key,
        }
        return ChatOpenAI(**named | arguments | kwargs)

    def _require_one_server(self) -> None:
        # LangChain's chat models read this variable, and OpenAI's client does not:
        # whoever set it would see the chats go to a server that it does not name.
        said = os.environ.get("OPENAI_API_BASE")
        clear = self.settings.get("base_url") or os.environ.get("OPENAI_BASE_URL")
        if said and not clear:
            msg = (
                f"OPENAI_API_BASE names {public_url(said)}, but OpenAI's client does "
                "not read it, and would send the examples to api.openai.com. Say which "
                "server you mean: ChatFineTuner(base_url=...). Nothing was sent."
            )
            raise FineTuningError(msg)


def _without_redirects(client: Any) -> Any:
    # `client` is a copy of ours. The SDK means this method to be overridden, and has no
    # public setting for redirects.
    prepare = client._prepare_options  # noqa: SLF001

    def prepared(options: Any) -> Any:
        options.follow_redirects = False
        return prepare(options)

    client._prepare_options = prepared  # noqa: SLF001 - see above
    return client


def scrub_secrets(said: str, client: Any) -> str:
    """Return a server's message without the secrets that the client sends.

    It is looked up after the request, which may be what fetched the key.
    """
    headers: Mapping[str, Any] = getattr(client, "_custom_headers", {})
    token = getattr(client, "_azure_ad_token", None)
    sent = {v for v in (client.api_key, token, *headers.values()) if v}
    texts = {text for text in sent if isinstance(text, str)}
    texts |= {text.split()[-1] for text in texts if text.split()}
    for text in sorted(texts, key=len, reverse=True):
        # A shorter value, such as the 7 of a version, stands everywhere.
        if len(text) >= _MIN_SECRET_LENGTH:
            said = said.replace(text, "…")
    return said


def public_url(url: object) -> str:
    """Return a URL without what may be secret in it: a password, a query."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")


def _guarded_http(kwargs: dict[str, Any]) -> dict[str, Any]:
    # For a chat model that has none of the user's own; takes what they are made with
    # out of `kwargs`.
    from langchain_chatexports.finetuning.http_clients import (
        AsyncGuardedClient,
        GuardedClient,
        transports,
    )

    own = {"http_client", "http_async_client"} & kwargs.keys()
    proxy = None
    if not own:
        # langchain-openai takes a proxy or HTTP clients, not both.
        proxy = kwargs.pop("openai_proxy", None) or os.environ.get("OPENAI_PROXY")
    sync: dict[str, Any] = {"proxy": proxy or None}
    parallel = sync
    if options := list(kwargs.pop("http_socket_options", None) or ()):
        sync, parallel = (
            {"transport": each} for each in transports(options, proxy or None)
        )
    guarded = {
        "http_client": GuardedClient(**sync),
        "http_async_client": AsyncGuardedClient(**parallel),
    }
    return guarded if own else {**guarded, "openai_proxy": None}


def _headers(client: Any) -> dict[str, str]:
    # `default_headers` of a client is public, but mixed with what it makes itself.
    custom: Mapping[str, Any] = getattr(client, "_custom_headers", {})
    headers = {k: v for k, v in custom.items() if isinstance(v, str)}
    # There is no field for the project.
    if client.project:
        headers["OpenAI-Project"] = client.project
    return headers


def _azure(client: Any) -> dict[str, Any]:
    from openai import AsyncAzureOpenAI

    is_async = isinstance(client, AsyncAzureOpenAI)
    provider = getattr(client, "_azure_ad_token_provider", None)
    token = getattr(client, "_azure_ad_token", None)
    return {
        "azure_endpoint": str(client.base_url).split("/openai", 1)[0],
        "api_version": getattr(client, "_api_version", None),
        "api_key": None if provider or token else client.api_key,
        "azure_ad_token": token,
        "azure_ad_token_provider": _async_only if provider and is_async else provider,
        "azure_ad_async_token_provider": provider if is_async else None,
    }


def _async_only() -> str:
    # A chat model has both sides, and an async client has a key for one.
    msg = (
        "The chat model was made from `async_client`, whose token provider is async. "
        "Use its async methods, or give the tuner `client`."
    )
    raise FineTuningError(msg)
