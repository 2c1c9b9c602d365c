"""A teacher behind the chat completions API, asked by the `openai` client.

The client retries by itself, with backoff and the server's Retry-After. What is still an error then
ends the run, except a request that the server refuses as such, for instance since its prompt is too
long: it is counted as refused. Replies are kept as they arrive: the next run asks for the others.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

from tracekd.config import TeacherSpec
from tracekd.errors import TracekdError
from tracekd.teacher.asking import Chain, in_parallel
from tracekd.teacher.cache import ReplyCache
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply
from tracekd.teacher.table import Draft

#: Requests refused in a row, before any was answered, from which the fault is not in a question.
_MOST_REFUSED = 5
_HTTP = "HTTP"
_REFUSED = (400, 413, 422)
_KEY = "check the key: endpoint.key is the environment variable that has it, now {}"
_REMEDIES = {
    401: _KEY,
    403: _KEY,
    404: "check base_url and model in this entry",
    429: "ask less at once (endpoint.concurrency), or later",
    **dict.fromkeys(_REFUSED, "check model, sampling and prompts in this entry"),
}


class Endpoint:
    """Asks one server; used within one event loop."""

    def __init__(self, spec: TeacherSpec) -> None:
        """Take an entry with an endpoint; nothing is connected or imported yet."""
        if spec.endpoint is None:
            raise ValueError(f"teacher {spec.name} has no endpoint")
        self._spec, self._endpoint = spec, spec.endpoint
        self._client: Any = None
        self._key = ""
        self._answered = self._refused = 0
        self._sampling = spec.sampling.model_dump(exclude_none=True)

    def identity(self) -> dict[str, Any]:
        """Return what replies depend on besides messages and sample."""
        keys = {"base_url": self._endpoint.base_url, "model": self._endpoint.model}
        return {**keys, "sampling": self._sampling}

    async def run(self, plan: Sequence[Chain], kept: ReplyCache) -> list[Draft]:
        """Return what all chains wrote, or the first of them, if the budget is used up.

        Raises:
            TracekdError: if the server cannot be reached, fails, or refuses the key or model.
        """

        async def ask(request: TeacherRequest) -> Reply:
            if (reply := kept.get(request)) is None:
                reply = await self._ask(request)
                if not reply.refused.startswith(_HTTP):
                    kept.keep(request, reply)
            return reply

        most_tokens = self._spec.budget.tokens or math.inf
        try:
            return await in_parallel(plan, ask, self._endpoint.concurrency, most_tokens)
        finally:
            if self._client is not None:
                await self._client.close()

    async def _ask(self, request: TeacherRequest) -> Reply:
        import openai

        client = self._connected()
        sampling = dict(self._sampling)
        extra = sampling.pop("extra")
        if "seed" in sampling:
            sampling["seed"] += request.sample
        try:
            completion = await client.chat.completions.create(
                model=self._endpoint.model,
                messages=list(request.messages),
                extra_body=extra or None,
                **sampling,
            )
            reply = _reply(completion)
        except openai.APIStatusError as error:
            return self._refusal(error)
        except openai.APITimeoutError as error:
            timeout = f"gave no reply within {self._endpoint.timeout:g} s"
            raise self._failure(timeout, "raise endpoint.timeout, or try again later") from error
        except openai.APIConnectionError as error:
            cause = _shown(error.__cause__ or error) or type(error.__cause__).__name__
            what = f"cannot be reached or broke off ({cause})"
            raise self._failure(what, "start the server, or check base_url and network") from error
        except (ValueError, openai.APIResponseValidationError) as error:
            what = f"sent something else than a chat completion ({_shown(error)})"
            raise self._failure(what, "check base_url, or try again later") from error
        self._answered += 1
        return reply

    def _connected(self) -> Any:
        if self._client is None:
            import openai

            name = self._endpoint.key
            self._key = "none" if name is None else os.environ.get(name, "")
            if not self._key:
                raise TracekdError(
                    f"teachers.yaml: {self._spec.name}: the environment variable {name} is not "
                    "set; put the endpoint's key into it"
                )
            self._client = openai.AsyncOpenAI(
                base_url=self._endpoint.base_url,
                api_key=self._key,
                timeout=self._endpoint.timeout,
                max_retries=self._endpoint.retries,
            )
        return self._client

    def _refusal(self, error: Any) -> Reply:
        """Return the refusal of one request; raise if the error concerns all of them."""
        status, body = error.status_code, error.body
        message = body.get("message") if isinstance(body, dict) else None
        text = _shown(message or error.message).replace(self._key, "***")
        if status in _REFUSED:
            self._refused += 1
            if self._answered or self._refused < _MOST_REFUSED:
                return Reply("", refused=f"{_HTTP} {status}: {text}")
        remedy = _REMEDIES.get(status, "try again later").format(self._endpoint.key)
        raise self._failure(f"answers HTTP {status} ({text})", remedy) from error

    def _failure(self, what: str, remedy: str) -> TracekdError:
        return TracekdError(
            f"teachers.yaml: {self._spec.name}: {self._endpoint.base_url} {what}; {remedy}; "
            "replies so far are kept: run again to go on"
        )


def _reply(completion: Any) -> Reply:
    """Return the parts of a chat completion that count; ValueError if it is none."""
    try:
        found = completion.to_dict(warnings=False)
        choice = found["choices"][0] if len(found["choices"]) else {}
        message, usage = choice.get("message") or {}, found.get("usage") or {}
        return Reply(
            message.get("content") or "",
            reasoning=message.get("reasoning_content") or message.get("reasoning") or "",
            finish_reason=choice.get("finish_reason") or "",
            model=found.get("model") or "",
            prompt_tokens=usage.get("prompt_tokens") or 0,
            completion_tokens=usage.get("completion_tokens") or 0,
            refused=message.get("refusal") or "",
        )
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(str(completion)) from error


def _shown(text: object) -> str:
    """Return the beginning of a text in one line."""
    return " ".join(str(text).split())[:200]
