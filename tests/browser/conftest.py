"""A real browser for the tests in this folder; they are skipped, with the reason, where there is none."""

import signal
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from servers import free_port, web_app

LIMIT: Final = 300  # seconds of a test and what it needs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder, and no others, with `browser`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Ends a test that waits for ever, for instance for a promise of the page, which Playwright does not limit."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"{item.name} took more than {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def dropped() -> Callable[[Any, str, str, dict[str, Any]], None]:
    """A function that drops a file on an element of a page (`drop`), or pastes it there (`paste`)."""
    script = """([target, kind, name, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name));
      const options = { bubbles: true, cancelable: true };
      const event = kind === "paste"
        ? new ClipboardEvent(kind, { ...options, clipboardData: data })
        : new DragEvent(kind, { ...options, dataTransfer: data });
      document.querySelector(target).dispatchEvent(event);
    }"""

    def drop(page: Any, target: str, kind: str, file: dict[str, Any]) -> None:
        page.evaluate(script, [target, kind, file["name"], b64encode(file["buffer"]).decode()])

    return drop


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `petseg app`, running."""
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    with web_app(tmp_path_factory.mktemp("app"), free_port()) as server:
        yield server.address
