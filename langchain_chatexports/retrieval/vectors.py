"""Vectors of windows: stored as bytes, compared in one multiplication."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError
from langchain_chatexports.retrieval.rows import stored_lines
from langchain_chatexports.retrieval.storage import set_setting, setting, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from langchain_core.embeddings import Embeddings

    from langchain_chatexports.chat_loaders.documents import ChatLine

__all__ = ["WindowVectors"]

_BATCH = 512
_MAX_BYTE = 127
_ROWS_AT_ONCE = 16_384


class _Matrix(NamedTuple):
    state: tuple[int, int]
    windows: Any
    values: Any


class WindowVectors:
    """The vectors of an index, by one embedding model."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        embeddings: Embeddings,
        min_similarity: float,
    ) -> None:
        """Initialize the vectors.

        Args:
            connection: The index.
            embeddings: Makes vectors of texts.
            min_similarity: The cosine from which on a window is near.

        Raises:
            MissingExtraError: If numpy is not installed.
        """
        try:
            import numpy as np
        except ImportError as error:
            feature = "Finding by meaning"
            raise MissingExtraError(feature, "retrieval") from error
        self._np = np
        self._connection = connection
        self._embeddings = embeddings
        self._min_similarity = min_similarity
        self._matrix: _Matrix | None = None

    def fill(self) -> None:
        """Make the vectors that are missing, a batch a transaction."""
        name = _model_name(self._embeddings)
        if setting(self._connection, "embeddings") != name:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM vector")
                set_setting(self._connection, "embeddings", name)
        missing = self._connection.execute(
            "SELECT id, chat, start, stop, digest FROM window "
            "WHERE id NOT IN (SELECT window FROM vector) ORDER BY id"
        ).fetchall()
        rows = iter(missing)
        while batch := [*islice(rows, _BATCH)]:
            texts = [
                _text(stored_lines(self._connection, chat, start, stop))
                for _, chat, start, stop, _ in batch
            ]
            vectors = self._unit(self._embeddings.embed_documents(texts))
            values = self._np.rint(vectors * _MAX_BYTE).astype(self._np.int8)
            with transaction(self._connection):
                # Meanwhile another process can have made it, or forgotten the window.
                self._connection.executemany(
                    "INSERT OR REPLACE INTO vector SELECT id, ? FROM window "
                    "WHERE id = ? AND digest = ?",
                    (
                        (value.tobytes(), row[0], row[-1])
                        for row, value in zip(batch, values, strict=True)
                    ),
                )

    def nearest(
        self, query: str, limit: int, among: Collection[int] | None = None
    ) -> list[int]:
        """Return the windows nearest to a question, nearest first.

        Args:
            query: The question.
            limit: Maximum number of windows.
            among: The windows that may be found; `None` for all.

        Raises:
            ExportFormatError: If the vectors are of another model.
        """
        matrix = self._loaded()
        if not len(matrix.windows):
            return []
        name = _model_name(self._embeddings)
        wanted = self._unit([self._embeddings.embed_query(query)])[0]
        is_other = setting(self._connection, "embeddings") != name
        if is_other or len(wanted) != matrix.values.shape[1]:
            msg = (
                "The index has vectors of another embedding model. Update it with this "
                "one, or use the other."
            )
            raise ExportFormatError(msg)
        scores = self._scores(matrix.values, wanted)
        if among is not None:
            is_out = ~self._np.isin(matrix.windows, [*among])
            scores[is_out] = -self._np.inf
        order = self._np.argsort(-scores, kind="stable")[:limit]
        return [
            int(matrix.windows[i]) for i in order if scores[i] >= self._min_similarity
        ]

    def best_line(self, query: str, lines: Sequence[ChatLine]) -> int:
        """Return the position of the message nearest to a question."""
        texts = [line.text for line in lines]
        vectors = self._unit(self._embeddings.embed_documents(texts))
        wanted = self._unit([self._embeddings.embed_query(query)])[0]
        return int(self._np.argmax(vectors @ wanted))

    def _scores(self, values: Any, wanted: Any) -> Any:
        np = self._np
        # Not all at once: as floats they are four times as large.
        parts = [
            values[i : i + _ROWS_AT_ONCE].astype(np.float32) @ wanted
            for i in range(0, len(values), _ROWS_AT_ONCE)
        ]
        return np.concatenate(parts) / _MAX_BYTE

    def _loaded(self) -> _Matrix:
        state = (
            self._connection.execute("PRAGMA data_version").fetchone()[0],
            self._connection.total_changes,
        )
        if self._matrix is None or self._matrix.state != state:
            self._matrix = self._read(state)
        return self._matrix

    def _read(self, state: tuple[int, int]) -> _Matrix:
        np = self._np
        rows = self._connection.execute(
            "SELECT window, value FROM vector ORDER BY window"
        ).fetchall()
        windows = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        joined = np.frombuffer(b"".join(row[1] for row in rows), np.int8)
        return _Matrix(
            state, windows, joined.reshape(len(rows), -1) if rows else joined
        )

    def _unit(self, vectors: Sequence[Sequence[float]]) -> Any:
        np = self._np
        matrix = np.asarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        return matrix / np.where(lengths > 0, lengths, 1)


def _text(lines: Sequence[ChatLine]) -> str:
    return "\n".join(line.text for line in lines)


def _model_name(embeddings: Embeddings) -> str:
    kind = type(embeddings)
    model = getattr(embeddings, "model", None) or getattr(embeddings, "model_name", "")
    # Some models make vectors of several sizes.
    size = getattr(embeddings, "dimensions", None) or ""
    return " ".join(f"{kind.__module__}.{kind.__qualname__} {model} {size}".split())
