"""A teacher behind the chat completions API, asked by the `openai` client.

The client retries by itself, with backoff and the server's Retry-After. What is still an error then
ends the run with one sentence, except a request that the server refuses as such (HTTP 400, 413,
422), such as a prompt that is too long: it is counted as refused. Every reply is kept when it
arrives, so the next run asks only for the others.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
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
_REMEDIES = {
    404: "check base_url and model in this entry",
    429: "ask less at once (endpoint.concurrency), or later",
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

        try:
            return await in_parallel(
                plan, ask, self._endpoint.concurrency, self._spec.budget.tokens
            )
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
            cause = " ".join(str(error.__cause__ or error).split())[:200]
            what = f"cannot be reached or broke off ({cause or type(error.__cause__).__name__})"
            raise self._failure(what, "start the server, or check base_url and network") from error
        except (ValueError, openai.APIResponseValidationError) as error:
            what = f"sent something else than a chat completion ({' '.join(str(error).split())})"
            raise self._failure(what[:300], "check base_url, or try again later") from error
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
        said = body.get("message") if isinstance(body, dict) else None
        text = " ".join(str(said or error.message).split()).replace(self._key, "***")[:200]
        if status in _REFUSED:
            self._refused += 1
            if self._answered or self._refused < _MOST_REFUSED:
                return Reply("", refused=f"{_HTTP} {status}: {text}")
        remedy = _REMEDIES.get(status, "try again later")
        if status in (401, 403):
            remedy = f"check the key in the environment variable {self._endpoint.key}"
            if self._endpoint.key is None:
                remedy = "name the environment variable with its key as endpoint.key"
        if status in _REFUSED:
            remedy = "check model, sampling and prompts in this entry"
        raise self._failure(f"answers HTTP {status} ({text})", remedy) from error

    def _failure(self, what: str, remedy: str) -> TracekdError:
        return TracekdError(
            f"teachers.yaml: {self._spec.name}: {self._endpoint.base_url} {what}; {remedy}; "
            "replies so far are kept: run again to go on"
        )


def _reply(completion: Any) -> Reply:
    """Return the parts of a chat completion that count; ValueError if it is none."""
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list):
        raise ValueError(_beginning(completion))  # noqa: TRY004
    usage = getattr(completion, "usage", None)
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    given = Reply(
        "",
        finish_reason="",
        model=str(getattr(completion, "model", None) or ""),
        prompt_tokens=int(counts[0] or 0),
        completion_tokens=int(counts[1] or 0),
    )
    message = getattr(choices[0], "message", None) if choices else None
    if message is None:
        return given
    texts = [
        getattr(message, name, None)
        for name in ("content", "reasoning_content", "reasoning", "refusal")
    ]
    content, apart, reasoning, refusal = (t if isinstance(t, str) else "" for t in texts)
    finish = str(getattr(choices[0], "finish_reason", None) or "")
    return replace(
        given,
        content=content,
        reasoning=apart or reasoning,
        finish_reason=finish,
        refused=refusal,
    )


def _beginning(completion: Any) -> str:
    text = completion if isinstance(completion, str) else json.dumps(completion, default=str)
    return repr(text[:100])
