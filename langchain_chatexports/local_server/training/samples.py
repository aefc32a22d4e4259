"""What the model in training would answer now to a message of its examples."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.local_server.bases.cache import write_json
from langchain_chatexports.local_server.bases.labels import encode_prompt
from langchain_chatexports.local_server.bases.template import ChatTemplate
from langchain_chatexports.local_server.workspace.jobs import SAMPLE

if TYPE_CHECKING:
    from langchain_chatexports.local_server.training.trainer import Progress

_SECONDS = 60.0
# Samples may take a fiftieth of the training.
_SHARE = 50
_MAX_PROMPT_TOKENS, _MAX_TOKENS = 256, 32
_PENALTY = 1.1


class SampleCallback(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Writes a message and the model's answer to the job's folder, now and then."""

    def __init__(
        self,
        progress: "Progress",
        examples: Sequence[Mapping[str, Any]],
        tokenizer: Any,
        template: ChatTemplate,
    ) -> None:
        """Initialize; `examples` are in OpenAI's shape."""
        self._progress, self._examples = progress, examples
        self._tokenizer, self._template = tokenizer, template
        self._due = time.monotonic() + _SECONDS
        self._count = 0

    def on_step_end(self, *_: Any, model: Any = None, **__: Any) -> None:
        """Write the next sample when it is due."""
        began = time.monotonic()
        if began < self._due or self._progress.is_stopping:
            return
        # Other examples each time, from the whole file.
        index = self._count * 7919 % len(self._examples)
        self._count += 1
        try:
            self._write(model, self._examples[index])
        except Exception as error:  # noqa: BLE001 - no training ends for a sample.
            log_error_location(error)
            began = -math.inf  # There is no other one.
        now = time.monotonic()
        self._due = now + max(_SECONDS, _SHARE * (now - began))

    def _write(self, model: Any, example: Mapping[str, Any]) -> None:
        messages = example["messages"]
        roles = [message["role"] for message in messages]
        end = max(i for i, role in enumerate(roles) if role == "assistant")
        asked = [m.get("content") for m in messages[:end] if m["role"] == "user"]
        prompt = encode_prompt(self._tokenizer, self._template, messages[:end])
        if len(prompt) > _MAX_PROMPT_TOKENS or not asked or not asked[-1]:
            return
        answer = self._generate(model, prompt)
        sample = {"message": asked[-1], "answer": answer}
        write_json(self._progress.folder / SAMPLE, sample)

    def _generate(self, model: Any, prompt: list[int]) -> str:
        tokenizer, is_training = self._tokenizer, model.training
        end = tokenizer.convert_tokens_to_ids(self._template.markup.end_token)
        ends = {end, tokenizer.eos_token_id} - {None}
        model.eval()
        try:
            # No random numbers: a resumed training must equal an uninterrupted one.
            result = model.generate(
                input_ids=torch.tensor([prompt], device=model.device),
                attention_mask=torch.ones(1, len(prompt), device=model.device),
                max_new_tokens=_MAX_TOKENS,
                do_sample=False,
                repetition_penalty=_PENALTY,
                pad_token_id=min(ends),
                eos_token_id=sorted(ends),
            )
        finally:
            model.train(is_training)
        text = tokenizer.decode(result[0, len(prompt) :], skip_special_tokens=True)
        return str(text).strip()
