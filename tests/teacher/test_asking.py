import asyncio
from collections.abc import Sequence

from tracekd.teacher.local import Ask, in_rounds
from tracekd.teacher.prompts import TeacherRequest
from tracekd.teacher.replies import Reply


def asked(text: str) -> TeacherRequest:
    return TeacherRequest(({"role": "user", "content": text},))


def test_requests_that_wait_are_answered_together() -> None:
    batches: list[list[str]] = []

    def answer(requests: Sequence[TeacherRequest]) -> list[Reply]:
        texts = [one.messages[0]["content"] for one in requests]
        batches.append(texts)
        return [Reply(f"{text}!") for text in texts]

    def chain(name: str, length: int):  # type: ignore[no-untyped-def]
        async def run(ask: Ask) -> str:
            text = name
            for _ in range(length):
                text = (await ask(asked(text))).content
            return text

        return run

    chains = [chain("a", 1), chain("b", 3), chain("c", 0), chain("d", 2)]
    found = asyncio.run(in_rounds(chains, answer, lambda _: None))
    assert found == ["a!", "b!!!", "c", "d!!"]
    assert batches == [["a", "b", "d"], ["b!", "d!"], ["b!!"]]
