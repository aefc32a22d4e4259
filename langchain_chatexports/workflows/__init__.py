"""The whole way from exports to a talk, as functions: what the commands do."""

from langchain_chatexports.workflows.evaluate import evaluate_model

__all__ = ["evaluate_model"]
