"""A small embedding model that is in its wheel, as LangChain `Embeddings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from langchain_chatexports.exceptions import MissingExtraError

__all__ = ["WordLlamaEmbeddings"]


class WordLlamaEmbeddings(Embeddings):
    """Vectors of WordLlama: 16 MB of static vectors for word pieces, mostly English.

    The model is in the wheel of the package `wordllama`; nothing is downloaded, and
    texts stay on this machine.
    """

    def __init__(self) -> None:
        """Load the model.

        Raises:
            MissingExtraError: If the extra `retrieval` is not installed.
        """
        try:
            import wordllama
        except ImportError as error:
            feature = "The embedding model"
            raise MissingExtraError(feature, "retrieval") from error
        # It looks for its tokenizer, which is in the wheel, in a cache only, and would
        # download it otherwise (wordllama 0.4).
        self._model: Any = wordllama.WordLlama.load(
            cache_dir=Path(wordllama.__file__).parent, disable_download=True
        )

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        vectors: list[list[float]] = self._model.embed(texts, norm=True).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]
