"""A server in Python that answers as POST /predict of trainer serve does, by ONNX Runtime or PyTorch; serve.py starts it.

It is what one would write with the usual pieces: uvicorn (httptools, uvloop) for HTTP, Pillow for the pictures, and in the mode
"batched" the same idea as in trainer serve: while the network computes, the pictures that arrive wait, and the next pass takes them
together. In the mode "plain" every request has a pass of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import io
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

TOP = 5  # classes in an answer
Network = Callable[[np.ndarray], np.ndarray]  # uint8 [n h w c] to probabilities [n classes]


def onnxruntime_network(model: Path, threads: int) -> Network:
    """The network in ONNX Runtime, with as many threads within an operation and none between operations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that spin take the clients' processors
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["probabilities"], {"images": pixels})[0]


def torch_network(model: Path, threads: int) -> Network:
    """The network in PyTorch, from the folder that trainer export -to pytorch wrote."""
    import torch

    torch.set_num_threads(threads)
    spec = importlib.util.spec_from_file_location("model", model / "model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load().eval()

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module.probabilities(network, torch.from_numpy(pixels)).numpy()

    return probabilities


class Server:
    """An ASGI application."""

    def __init__(self, network: Network, shape: tuple[int, int, int], classes: list[str], batch: int) -> None:
        self.network, self.shape, self.classes, self.batch = network, shape, classes, batch
        self.waiting: asyncio.Queue[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = asyncio.Queue()
        self.batcher: asyncio.Task[None] | None = None

    def decode(self, body: bytes) -> np.ndarray:
        """The pixels [h w c] of a picture file of the network's size."""
        h, w, c = self.shape
        picture = Image.open(io.BytesIO(body)).convert("L" if c == 1 else "RGB")
        if picture.size != (w, h):
            picture = picture.resize((w, h), Image.Resampling.BILINEAR)
        return np.array(picture, dtype=np.uint8).reshape(h, w, c)

    async def ask(self, pixels: np.ndarray) -> np.ndarray:
        """The probabilities of a picture."""
        if self.batch == 1:
            return self.network(pixels[None])[0]
        if self.batcher is None:
            self.batcher = asyncio.create_task(self.answer_batches())
        reply = asyncio.get_running_loop().create_future()
        await self.waiting.put((pixels, reply))
        return await reply

    async def answer_batches(self) -> None:
        """Answers the pictures that wait, again and again. The network computes in a thread, so that requests are read meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            asked = [await self.waiting.get()]
            while len(asked) < self.batch and not self.waiting.empty():
                asked.append(self.waiting.get_nowait())
            pixels = np.stack([p for p, _ in asked])
            for row, (_, reply) in zip(await loop.run_in_executor(None, self.network, pixels), asked):
                if not reply.done():
                    reply.set_result(row)

    def line(self, p: np.ndarray) -> bytes:
        """The answer as trainer predict -json has it."""
        ranked = [{"index": int(k), "class": self.classes[k], "probability": float(p[k])} for k in np.argsort(-p)[:TOP]]
        return json.dumps({"path": "", "class": ranked[0]["class"], "probability": ranked[0]["probability"], "top": ranked}).encode() + b"\n"

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        answer = self.line(await self.ask(self.decode(body)))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": answer})


def main() -> None:
    parser = argparse.ArgumentParser(description="a server of serve.py: run that instead")
    parser.add_argument("--engine", required=True, choices=["onnxruntime", "torch"])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--shape", required=True, help="height,width,channels")
    parser.add_argument("--classes", required=True, help="a JSON list")
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--batch", required=True, type=int, help="pictures per pass; 1: plain")
    args = parser.parse_args()
    make = onnxruntime_network if args.engine == "onnxruntime" else torch_network
    h, w, c = map(int, args.shape.split(","))
    server = Server(make(args.model, args.threads), (h, w, c), json.loads(args.classes), args.batch)
    server.network(np.zeros((args.batch, h, w, c), np.uint8))  # warm
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(server, http="httptools", loop="uvloop", log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
