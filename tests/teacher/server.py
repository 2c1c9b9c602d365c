"""A small server on loopback that speaks the chat completions API, with faults on demand."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Server(ThreadingHTTPServer):
    """Replies as `reply` says; what `fault` returns for a body and its number comes first.

    A fault is a status with a header's value of Retry-After and text, or "hang", "cut", "garbage"
    or "empty".

    Attributes:
        asked: the body of every request, as JSON -> how often it came in.
        busiest: most requests in work at the same time.
    """

    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.reply: Callable[[Message], Message] = reasoned
        self.fault: Callable[[Message, int], Any] = lambda _body, _number: None
        self.seconds = 0.0
        self.asked: Counter[str] = Counter()
        self.keys: set[str | None] = set()
        self.busiest = self.working = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = server.asked.total()
            server.asked[json.dumps(body, sort_keys=True)] += 1
            server.keys.add(self.headers["Authorization"])
            server.working += 1
            server.busiest = max(server.busiest, server.working)
        time.sleep(server.seconds)
        with server.lock:
            server.working -= 1
        status, wait, text = 200, "", json.dumps(server.reply(body))
        fault = server.fault(body, number)
        if fault == "hang":
            time.sleep(30)
        elif fault == "cut":
            self.send_head(200, 5000)
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
            return
        elif fault == "garbage":
            text = '{"choices": [{"mess'
        elif fault == "empty":
            text = json.dumps({**completion(""), "choices": []})
        elif fault is not None:
            status, wait, text = fault
        self.send_head(status, len(text.encode()), wait)
        self.wfile.write(text.encode())

    def send_head(self, status: int, length: int, wait: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        if wait:
            self.send_header("Retry-After", wait)
        self.end_headers()
