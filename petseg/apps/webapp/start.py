"""Starting the web app; what Gradio has to find when it is imported is set here, before that."""

from __future__ import annotations

import os
from pathlib import Path

from petseg.errors import MissingError


def serve(
    model: str | Path | None = None, host: str = "127.0.0.1", port: int = 7860, device: str | None = None
) -> None:
    """Serves the page until Ctrl+C or SIGTERM ends the program; see `server.serve`.

    From then on this process uses no proxy: the app needs no other server, and Gradio cannot be imported where a SOCKS
    proxy is set whose package is missing.

    Raises:
        MissingError: Gradio is not installed, or the address is not available.
        ModelError: the model cannot be loaded.
    """
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    try:
        from petseg.apps.webapp import server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "gradio":
            raise
        raise MissingError('the web app needs Gradio. Install it with: pip install "petseg[web]"') from error
    server.serve(model, host, port, device)
