"""Right answers to the gaps and exercises of notebook 08, and usual mistakes with words of their hints."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from queue import Queue
from threading import Thread

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from petseg.course.lesson_08_runs import accumulate, checkpoint


def timer(call, repeats, clock, finish):
    times = []
    for _ in range(repeats + 1):
        finish()
        start = clock()
        call()
        finish()
        times.append(clock() - start)
    return np.median(times[1:])


def counting(
    count=lambda counts, operator: counts.update([str(operator)]),
    call=lambda operator, args, kwargs: operator(*args, **(kwargs or {})),
):
    """A counter of operators; each argument is a usual mistake."""

    class Counting(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.counts = Counter()

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            count(self.counts, operator)
            return call(operator, args, kwargs)

    return Counting


class Unfilled(TorchDispatchMode):
    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        # ✎ a hint
        ...


def cross_entropies(weigh=lambda loss, x, image: loss * len(x) / len(image), before=lambda network: None):
    def answer(network, image, mask, parts):
        for x, y in zip(image.chunk(parts), mask.chunk(parts), strict=True):
            before(network)
            weigh(F.cross_entropy(network(x), y), x, image).backward()

    return answer


def emptied(network, image, mask, parts):
    accumulate(network, image, mask, parts)
    network.zero_grad()


def nothing(network, image, mask, parts):
    for _ in range(parts):
        ...


def changed(**entries):
    def answer(*training):
        state = checkpoint(*training) | {name: change(*training) for name, change in entries.items()}
        return {name: value for name, value in state.items() if value is not None}

    return answer


def absent(*training):
    return None


CHECKPOINTS = [
    (changed(network=absent), "'network' is missing"),
    (changed(optimizer=absent), "running means"),
    (changed(schedule=absent), "starts its cycle again"),
    (changed(epoch=absent), "'epoch' is missing"),
    (changed(random=absent), "'random' is missing"),
    (changed(random=lambda *_: torch.arange(5)), "not the state of PyTorch's generator"),
    (changed(network=lambda network, *_: network), "save its `state_dict()`"),
    (changed(network=lambda network, *_: list(network.parameters())), "not the `state_dict()` of the network"),
    (changed(network=lambda network, optimizer, *_: optimizer.state_dict()), "not the `state_dict()` of the network"),
    (changed(epoch=lambda *_: 0), "expected 3"),
    (lambda *training: [1], "expected a dictionary"),
    (lambda *training: ..., "still to do"),
]


def prefetch(batches):
    batches, end = iter(batches), object()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, batches, end)
        while (batch := following.result()) is not end:
            following = pool.submit(next, batches, end)
            yield batch


def swallowing(batches):
    try:
        yield from prefetch(batches)
    except OSError:
        return


def later(batches):
    yield from list(prefetch(batches))


def thirty_ahead(batches):
    loaded, end = Queue(30), object()
    Thread(target=lambda: [loaded.put(batch) for batch in chain(batches, [end])], daemon=True).start()
    return iter(loaded.get, end)


def one_behind(batches):
    batches = iter(batches)
    following = next(batches, None)
    while following is not None:
        batch, following = following, next(batches, None)
        yield batch


def by_a_thread_each(batches):
    batches, box = iter(batches), []
    box.append(next(batches, None))
    while (batch := box.pop()) is not None:
        thread = Thread(target=lambda: box.append(attempt(batches)))
        thread.start()
        yield batch
        thread.join()
        if isinstance(box[0], Exception):
            raise RuntimeError("loading failed") from box[0]


def attempt(batches):
    try:
        return next(batches, None)
    except OSError as error:
        return error


LOADERS = [
    (prefetch, "right."),
    (by_a_thread_each, "right."),  # the first batch by the caller, and another error
    (one_behind, "nothing is loaded"),
    (lambda batches: batches, "nothing is loaded"),
    (later, "four batches ahead or more"),
    (thirty_ahead, "four batches ahead or more"),
    (swallowing, "an error while loading is lost"),
    (lambda batches: prefetch(list(batches)[::-1]), "it gives (2, 1, 0)"),
    (lambda batches: prefetch([*batches, 5]), "it gives (0, 1, 2, 5)"),
    (lambda batches: [object() for _ in batches], "it gives (<object"),
    (lambda batches: [time.sleep(5)], "it hangs"),
    (lambda batches: 1 / 0, "failed with ZeroDivisionError"),
    (lambda batches: ..., "still to do"),
]

SLOW, QUICK = [0.4, 0.5, 0.44], [0.2, 0.25, 0.11]

CASES = [
    ("08.a", timer, "right."),
    (
        "08.a",
        lambda *a: timer(*a) + 16,
        "calls take 91, then 11, then 13, then 31, then 17 it says 31; expected 15.",
    ),
    ("08.a", lambda call, repeats, clock, finish: timer(call, repeats, time.perf_counter, finish), "another clock"),
    ("08.a", lambda call, repeats, clock, finish: ..., "still to do"),
    ("08.b", lambda before, after: (lambda r: (np.median(r), r.min(), r.max()))(np.divide(before, after)), "right."),
    ("08.d", counting(), "right."),
    ("08.d", counting(count=lambda counts, operator: None), "it counts nothing"),
    ("08.d", counting(count=lambda counts, operator: counts.update([operator])), "it counts {"),
    ("08.d", counting(call=lambda *call: None), "Return its result"),
    ("08.d", counting(call=lambda operator, args, kwargs: operator(*args, **(kwargs or {})) + 1), "other results"),
    ("08.d", counting(call=lambda operator, args, kwargs: operator(*args)), "other results"),
    ("08.d", counting(call=lambda operator, args, kwargs: operator(args, kwargs)), "an operator failed"),
    ("08.d", counting(call=lambda operator, args, kwargs: operator(*args, **kwargs)), "right."),
    ("08.d", counting(call=lambda operator, args, kwargs: func(*args)), "an operator failed"),  # noqa: F821
    ("08.d", Unfilled, "still to do"),
    ("08.g", lambda images, masks, index: (images.permute(0, 3, 1, 2)[index], masks[index]), "right."),
    ("08.g", lambda images, masks, index: (images.movedim(-1, 1)[index].float(), masks[index].long()), "right."),
    ("08.g", lambda images, masks, index: (images[index].permute(0, 3, 1, 2).contiguous(), masks[index]), "in memory"),
    ("08.j", emptied, "`zero_grad` empties it"),
    ("08.j", cross_entropies(lambda loss, x, image: loss), "add up to too much"),
    ("08.j", cross_entropies(lambda loss, x, image: loss / 2), "not equally large"),
    ("08.j", cross_entropies(lambda loss, x, image: loss, lambda network: network.zero_grad()), "only the last part"),
    ("08.j", cross_entropies(before=lambda network: network.zero_grad()), "only the last part counts, and with"),
    ("08.j", cross_entropies(lambda loss, x, image: 3 * loss), "differs from that of the whole batch"),
    ("08.j", nothing, "still to do"),
    *(("08.l", *case) for case in CHECKPOINTS),
    *(("08.1", *case) for case in LOADERS),
    (
        "08.2",
        (3.0, SLOW, QUICK),
        "right. Made separable, the default U-Net has 5.7 times fewer multiply-adds; a narrower one saves less. "
        "Your step is 2.00 times as fast (2.00 to 4.00); you predicted 3.",
    ),
    ("08.2", (..., SLOW, QUICK), "still to do"),
    ("08.2", ("fast", SLOW, QUICK), "expected a factor"),
    ("08.2", (3.0, 0.4, QUICK), "at least 3 rounds"),
    ("08.2", (3.0, SLOW, QUICK[:2] * 2), "3 and 4 times"),
    ("08.2", (3.0, SLOW, SLOW), "the same times"),
]
