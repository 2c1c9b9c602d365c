"""A small server on loopback that speaks the chat completions API, with faults on demand."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tracekd.randomness import uniform

Message = dict[str, Any]


def completion(content: str | None, **message: Any) -> Message:
    """Return the body of a reply."""
    finish = message.pop("finish_reason", "stop")
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "teacher-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def reasoned(body: Message) -> Message:
    """Reply to any prompt with a trace and an answer that are functions of it."""
    text = body["messages"][-1]["content"]
    word = "home" if uniform(text, body.get("seed") or 0) < 0.6 else "bed"
    return completion(f"<answer>{word}</answer>", reasoning_content=f"Mary went {word}. So {word}.")


class Server:
    """Replies as `reply` says; what `faults` yields comes first.

    A fault is a status with headers and text, or "hang", "cut", "garbage" or "empty".

    Attributes:
        asked: the body of every request, as JSON -> how often it came in.
        busiest: most requests in work at the same time.
    """

    def __init__(self) -> None:
        self.reply: Callable[[Message], Message] = reasoned
        self.fault: Callable[[Message, int], Any] = lambda _body, _number: None
        self.seconds = 0.0
        self.asked: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.busiest = self._working = self._number = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                self.keys.add(headers.get("authorization", ""))
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                if not await self._answer(body, writer):
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: Message, writer: asyncio.StreamWriter) -> bool:
        name, number = json.dumps(body, sort_keys=True), self._number
        self._number += 1
        self.asked[name] += 1
        self._working += 1
        self.busiest = max(self.busiest, self._working)
        await asyncio.sleep(self.seconds)
        self._working -= 1
        status, extra, text = 200, "", json.dumps(self.reply(body))
        fault = self.fault(body, number)
        if fault == "hang":
            await asyncio.sleep(30)
        elif fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b'Content-Length: 5000\r\n\r\n{"choices": [')
            await writer.drain()
            return False
        elif fault == "garbage":
            text = '{"choices": [{"mess'
        elif fault == "empty":
            text = json.dumps({**completion(""), "choices": []})
        elif fault is not None:
            status, extra, text = fault
        data = text.encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        await writer.drain()
        return True


@contextmanager
def serving() -> Iterator[Server]:
    """Yield a server that runs in a thread."""
    server, ready, loops = Server(), threading.Event(), []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        opened = await asyncio.start_server(server.handle, "127.0.0.1", 0, backlog=512)
        server.url = f"http://127.0.0.1:{opened.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stop.wait()
        opened.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    ready.wait()
    yield server
    loop, stop = loops[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
