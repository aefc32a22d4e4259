"""The SDK's clients, and the chat model that talks to the same server."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import FineTuningError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from langchain_openai.chat_models.base import BaseChatOpenAI

    from langchain_chatexports.finetuning.protocol import Deadline

__all__ = ["AZURE_HOSTS", "ChatAccess", "ServerAccess", "public_url", "secrets_of"]

_REQUEST_TIMEOUT = 30.0
_MIN_SECRET = 6
_OWN_TRANSPORT = frozenset({"http_client", "http_async_client", "http_socket_options"})
AZURE_HOSTS = (
    ".openai.azure.com",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
)

DEPLOY_FIRST = (
    "On Azure a tuned model can be asked only after it has been deployed, under the "
    "deployment's name. Order with submit(), wait(), deploy the model in the Azure "
    "portal, then run.chat_model(azure_deployment='<name>'). If you know the name "
    "beforehand: chat_model_kwargs={'azure_deployment': '<name>'}."
)


class ServerAccess:
    """Who to ask and with which key: settings, or the user's own clients."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        client: Any = None,
        async_client: Any = None,
        timeout: float = _REQUEST_TIMEOUT,
    ) -> None:
        """Remember how to reach the server.

        Args:
            settings: Arguments of the SDK's clients.
            client: A sync client to use instead.
            async_client: An async client to use instead.
            timeout: Seconds without a byte after which a request ends.
        """
        self._settings = {k: v for k, v in settings.items() if v is not None}
        self._client = client
        self._async_client = async_client
        self._timeout = timeout

    @contextmanager
    def client(self, deadline: Deadline | None = None) -> Iterator[Any]:
        """Return a sync client; one that is made here is closed at the end.

        Args:
            deadline: When a request to a client that is made here ends. The user's own
                clients have timeouts of their own.
        """
        from openai import AsyncOpenAI, OpenAI

        if self._client is None and self._async_client is not None:
            msg = (
                "Only `async_client` is given, which serves ainvoke, asubmit and the "
                "other async methods. Give `client` for the sync ones."
            )
            raise FineTuningError(msg)
        if isinstance(self._client, AsyncOpenAI):
            msg = (
                "`client` is an async client, which cannot serve the sync methods. "
                "Give it as `async_client`, and a sync one as `client`."
            )
            raise FineTuningError(msg)
        if self._client is not None:
            yield _without_redirects(self._impatient(self._client))
            return
        from langchain_chatexports.finetuning.http_clients import GuardedClient

        made = self._made(
            OpenAI, GuardedClient(deadline.remaining if deadline else None)
        )
        try:
            yield self._impatient(made)
        finally:
            made.close()

    @asynccontextmanager
    async def async_client(
        self, deadline: Deadline | None = None
    ) -> AsyncIterator[Any]:
        """Return an async client, or the user's sync one if there is no other."""
        given = self._async_client or self._client
        if given is not None:
            yield _without_redirects(self._impatient(given))
            return
        from openai import AsyncOpenAI

        from langchain_chatexports.finetuning.http_clients import AsyncGuardedClient

        http_client = AsyncGuardedClient(deadline.remaining if deadline else None)
        # Closed here, or its connections outlive the event loop.
        made = self._made(AsyncOpenAI, http_client)
        try:
            yield self._impatient(made)
        finally:
            await made.close()

    def pinned(self, client: Any) -> ServerAccess:
        """Give access to the same server with the same key, whatever is set later.

        Args:
            client: A client that `client` or `async_client` gave.
        """
        if self._client is not None or self._async_client is not None:
            return self
        resolved = {
            "base_url": str(client.base_url),
            "api_key": client.api_key,
            "organization": client.organization,
            "project": client.project,
        }
        return ServerAccess(self._settings | resolved, timeout=self._timeout)

    def chat_access(self, client: Any) -> ChatAccess:
        """Remember for chats how a client reaches the server.

        Args:
            client: A client that `client` or `async_client` gave.
        """
        given = self._client or self._async_client
        return ChatAccess(given or client, is_given=given is not None)

    def _impatient(self, client: Any) -> Any:
        # The protocol retries by itself, after a look; the SDK must not.
        return client.with_options(max_retries=0, timeout=self._timeout)

    def _made(self, kind: Any, http_client: Any) -> Any:
        self._require_one_server()
        try:
            return kind(**self._settings, http_client=http_client)
        except Exception as error:
            msg = (
                f"The OpenAI client cannot be made ({type(error).__name__}): set "
                "OPENAI_API_KEY or give `api_key`, and check `base_url`. Nothing was "
                "sent."
            )
            raise FineTuningError(msg) from error

    def _require_one_server(self) -> None:
        # LangChain's chat models read this variable, and OpenAI's client does not:
        # whoever set it would see the chats go to a server that it does not name.
        said = os.environ.get("OPENAI_API_BASE")
        clear = "base_url" in self._settings or os.environ.get("OPENAI_BASE_URL")
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


def secrets_of(client: Any) -> list[str]:
    """Return what a client sends along and no error may show.

    Args:
        client: The SDK's client.
    """
    headers: Mapping[str, Any] = getattr(client, "_custom_headers", {})
    candidates = [
        client.api_key,
        getattr(client, "_azure_ad_token", None),
        *headers.values(),
    ]
    texts = {text for text in candidates if isinstance(text, str)}
    texts |= {text.split()[-1] for text in texts if text.split()}
    # A short value, such as the 7 of a version, is no secret, and stands everywhere.
    return sorted((t for t in texts if len(t) >= _MIN_SECRET), key=len, reverse=True)


def public_url(url: object) -> str:
    """Give a URL without what may be secret in it: a password, a query.

    Args:
        url: The URL.
    """
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")


class ChatAccess:
    """The server and the key of a client, for chats, whatever the environment says."""

    def __init__(self, client: Any, *, is_given: bool) -> None:
        """Remember a client; it may be closed.

        Args:
            client: The SDK's client.
            is_given: Whether it is the user's, with timeouts and retries of their own.
        """
        self._client = client
        self._is_given = is_given

    def chat_model(
        self, name: str, *, base_model: str, **kwargs: Any
    ) -> BaseChatOpenAI:
        """Build the chat model of a tuned model.

        Args:
            name: The tuned model.
            base_model: The model it was tuned from, whose tokens it counts.
            **kwargs: Arguments of the chat model.

        Returns:
            A `ChatOpenAI` (an `AzureChatOpenAI` for Azure's client) that asks the
            server that trained the model.
        """
        client = self._client
        common: dict[str, Any] = {
            # A `codex` in the suffix would switch to the Responses API.
            "use_responses_api": False,
            # The counter of messages knows no tuned name.
            "tiktoken_model_name": base_model,
            "stream_usage": True,
            "default_query": dict(getattr(client, "_custom_query", {})) or None,
            "default_headers": _headers(client) or None,
        }
        common |= _guarded_http(kwargs)
        if self._is_given:
            common.update(timeout=client.timeout, max_retries=client.max_retries)
        deployment = kwargs.pop("azure_deployment", None)
        if _is_azure_client(client):
            return _azure_chat_model(client, deployment, base_model, common | kwargs)
        if deployment is None and _is_azure_host(client):
            raise FineTuningError(DEPLOY_FIRST)
        from langchain_openai import ChatOpenAI

        provider = getattr(client, "_api_key_provider", None)
        arguments = {
            "model": deployment or name,
            "base_url": str(client.base_url).rstrip("/"),
            "api_key": provider or client.api_key,
            "organization": client.organization,
            **common,
            **kwargs,
        }
        return ChatOpenAI(**arguments)


def _guarded_http(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return HTTP clients for a chat model that has none of the user's own.

    Args:
        kwargs: Arguments of the chat model; the proxy is taken out of them.
    """
    if not _OWN_TRANSPORT.isdisjoint(kwargs):
        return {}
    from langchain_chatexports.finetuning.http_clients import (
        AsyncGuardedClient,
        GuardedClient,
    )

    # langchain-openai takes a proxy or HTTP clients, not both.
    proxy = kwargs.pop("openai_proxy", None) or os.environ.get("OPENAI_PROXY") or None
    return {
        "openai_proxy": None,
        "http_client": GuardedClient(proxy=proxy),
        "http_async_client": AsyncGuardedClient(proxy=proxy),
    }


def _is_azure_host(client: Any) -> bool:
    # Azure's own OpenAI-compatible route, asked with a plain client.
    host = urlsplit(str(client.base_url)).hostname or ""
    return host.endswith(AZURE_HOSTS)


def _is_azure_client(client: Any) -> bool:
    from openai import AsyncAzureOpenAI, AzureOpenAI

    return isinstance(client, (AzureOpenAI, AsyncAzureOpenAI))


def _headers(client: Any) -> dict[str, str]:
    # `default_headers` of a client is public, but mixed with what it makes itself.
    custom: Mapping[str, Any] = getattr(client, "_custom_headers", {})
    headers = {k: v for k, v in custom.items() if isinstance(v, str)}
    # There is no field for the project.
    if client.project:
        headers["OpenAI-Project"] = client.project
    return headers


def _azure_chat_model(
    client: Any, deployment: str | None, base_model: str, kwargs: dict[str, Any]
) -> BaseChatOpenAI:
    if deployment is None:
        raise FineTuningError(DEPLOY_FIRST)
    from langchain_openai import AzureChatOpenAI
    from openai import AsyncAzureOpenAI

    is_async = isinstance(client, AsyncAzureOpenAI)
    provider = getattr(client, "_azure_ad_token_provider", None)
    token = getattr(client, "_azure_ad_token", None)
    key = None if provider or token else client.api_key
    version = getattr(client, "_api_version", None)
    query = {
        k: v
        for k, v in (kwargs.pop("default_query") or {}).items()
        if k != "api-version"
    }
    arguments = {
        "azure_endpoint": str(client.base_url).split("/openai", 1)[0],
        "azure_deployment": deployment,
        "api_version": version,
        "api_key": key,
        "azure_ad_token": token,
        "azure_ad_token_provider": _async_only if provider and is_async else provider,
        "azure_ad_async_token_provider": provider if is_async else None,
        "organization": client.organization,
        "model": base_model,
        "default_query": query or None,
        **kwargs,
    }
    return AzureChatOpenAI(**{k: v for k, v in arguments.items() if v is not None})


def _async_only() -> str:
    # A chat model has both sides, and an async client has a key for one.
    msg = (
        "The chat model was made from `async_client`, whose token provider is async. "
        "Use its async methods, or give the tuner `client`."
    )
    raise FineTuningError(msg)
