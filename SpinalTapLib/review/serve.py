"""Serve a review on this computer only, and open the browser."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from .app import Review, make_app

HOST = "127.0.0.1"
_TOKEN_BYTES = 18
_LAST_REQUESTS_S = 5  # a page that waits for its file may finish


class Server:
    """A review at an address of its own.

    Parameters
    ----------
    root, reader
        As for `Review`.
    port : int
        Port on the loopback interface; 0 for any free one.

    Attributes
    ----------
    address : str
        The address to open, with its secret token.

    Raises
    ------
    ValueError
        If there is nothing to review, or the port is in use.
    """

    def __init__(self, root: Path, reader: str, port: int = 0) -> None:
        review = Review(root, reader)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind((HOST, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ValueError(
                f"Port {port} cannot be used ({error}); choose another one, or leave --port out."
            ) from None
        port = self._socket.getsockname()[1]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.address = f"http://{HOST}:{port}/{token}/"
        app = make_app(review, token, (f"{HOST}:{port}", f"localhost:{port}"))
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_REQUESTS_S,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until Ctrl+C or `stop`."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run` soon; may be called from another thread."""
        self._server.should_exit = True


def open_browser(address: str, opener: Callable[[str], bool] = webbrowser.open) -> None:
    """Open an address in the user's browser, without waiting for it."""
    threading.Thread(target=opener, args=(address,), daemon=True).start()
