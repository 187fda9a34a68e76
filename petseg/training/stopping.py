"""How the processes of a training end: all together, within seconds, whatever ended the first of them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_only

#: The environment variable with the number of the process that started the others of a training.
FIRST_PROCESS = "PETSEG_FIRST_PROCESS"


class StopTogether(L.Callback):
    """Ends all processes of a training with the first: they would wait for it, for up to half an hour.

    A signal ends the first at once, for `last.ckpt` is always whole. Lightning's own handler of SIGTERM lets the
    processes wait for each other, and its end after Ctrl-C has status 1. A process that Lightning started ends also
    where the first is killed and can do nothing.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal

    def end(self, number: int, _: Any = None) -> None:
        """Handles a signal."""
        self.number = number
        raise SystemExit(128 + number)

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Exits with 143 after SIGTERM, so that `petseg fit && petseg release` ends there; Ctrl-C gets a sentence."""
        in_main = threading.current_thread() is threading.main_thread()  # no other may handle signals
        numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if in_main and signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, self.end) for number in numbers}
        if os.environ.get("LOCAL_RANK", "0") == "0":
            os.environ[FIRST_PROCESS] = str(os.getpid())  # Lightning hands it on
        elif FIRST_PROCESS in os.environ and sys.platform != "win32":  # which keeps the number of a parent that ended
            threading.Thread(target=_end_after, args=[int(os.environ[FIRST_PROCESS])], daemon=True).start()
        try:
            yield
        except BaseException as error:
            if not self.number:
                raise
            # what the signal interrupted may have raised another error
            if self.number == signal.SIGINT and getattr(rank_zero_only, "rank", 0) == 0:
                raise KeyboardInterrupt("stopped; --ckpt_path last goes on after the last whole epoch") from error
            raise SystemExit(128 + self.number) from error
        finally:
            os.environ.pop(FIRST_PROCESS, None)  # torchrun from the same notebook would hand it on as well
            for number, handler in before.items():
                signal.signal(number, handler)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Replaces Lightning's handler before it is registered."""
        trainer._signal_connector._sigterm_notifier_fn = self.end  # type: ignore[assignment]

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends the process if what the signal interrupted, such as code in C++, lost the exception."""
        if self.number:
            self.end(self.number)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Kills the processes that this one started, whatever ended it."""
        processes = getattr(trainer.strategy.launcher, "procs", [])
        while processes:  # emptied, or Lightning's observer would kill this process as well
            process = processes.pop()
            process.kill()
            process.wait()


def _end_after(process: int) -> None:
    """Kills this process once another, its parent, is gone."""
    while os.getppid() == process:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
