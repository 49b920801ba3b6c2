from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette

from bartizan.cli.demo import chat_server, model_server
from bartizan.cli.demo.digits import Classifier, Split, split, train


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application on a free port and yield its host and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def data() -> Split:
    return split()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return train()


@pytest.fixture(scope="session")
def model_address(classifier: Classifier) -> Iterator[str]:
    with served(model_server.create_app(classifier)) as address:
        yield address


@pytest.fixture(scope="session")
def chat_address() -> Iterator[str]:
    with served(chat_server.create_app(clock=lambda: 1_750_000_000.0)) as address:
        yield address
