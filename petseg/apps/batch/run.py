"""Several photos at a time: while one is decoded, another is in the network and a third is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Final, NamedTuple

from tqdm import tqdm

from petseg.apps import cutouts
from petseg.apps.batch.output import Kind, Output
from petseg.apps.batch.photos import shown
from petseg.errors import PhotoError
from petseg.inference.photo import PhotoFile, open_photo
from petseg.inference.predictor import Predictor

#: Photos that are worked on at a time.
WORKERS: Final = min(4, os.cpu_count() or 1)

#: Their pixels together: three photos of 12 megapixels, or a single larger one. It bounds the memory.
BUDGET: Final = 36_000_000


@dataclass(frozen=True)
class Job:
    """A photo and the files of its results, by picture."""

    photo: Path
    files: Mapping[Kind, Path]


class Outcome(NamedTuple):
    """What became of a photo: whether all its files were written, and sentences for the user."""

    done: bool
    notes: list[str]


class PixelBudget:
    """Lets threads work on so many pixels at a time; the others wait.

    Args:
        pixels: the budget. A photo of more pixels takes all of it.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = self._free = pixels
        self._changed = Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Waits until so many pixels are free, and takes them for the `with` block."""
        pixels = min(pixels, self.pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def run_jobs(jobs: Sequence[Job], predictor: Predictor, output: Output) -> int:
    """Segments photos and writes their results; says on stderr what is worth knowing, in the order of the photos.

    Returns:
        How many of them are done; a photo that fails does not stop the others.
    """
    done = 0
    budget = PixelBudget(BUDGET)
    with cutouts.photo_notes() as take_notes, _pool() as pool:
        futures = [pool.submit(_segment, job, predictor, output, budget, take_notes) for job in jobs]
        # a bar only on a terminal (None), and not for a single photo
        for future in tqdm(futures, unit="photo", disable=None if len(jobs) > 1 else True):
            outcome = future.result()
            done += outcome.done
            for note in outcome.notes:
                tqdm.write(f"petseg: {note}", file=sys.stderr)  # above the bar
    return done


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(WORKERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, no further photo is begun


def _segment(
    job: Job, predictor: Predictor, output: Output, budget: PixelBudget, take_notes: Callable[[], list[str]]
) -> Outcome:
    name = shown(job.photo)
    try:
        photo = open_photo(job.photo, name=name)
        W, H = photo.image.size
        with budget.hold(W * H):
            sentences = _write(predictor, output, job, photo)
    except Exception as error:  # whatever happens to one photo, the others go on
        return Outcome(False, [*take_notes(), cutouts.sentence(error, name)])
    return Outcome(not sentences, [*take_notes(), *sentences])


def _write(predictor: Predictor, output: Output, job: Job, photo: PhotoFile) -> list[str]:
    """Segments a photo and writes its files; a sentence where there is no cut-out, for want of a pet."""
    name = photo.name
    result = predictor(photo, name=name)
    files = {kind: path for kind, path in job.files.items() if kind != "cutout" or result.found}
    try:
        output.write(result, files, name)
    except OSError as error:
        folder = shown(next(iter(files.values())).parent)
        raise PhotoError(
            f"{name}: the results cannot be written to {folder} ({error.strerror or error}). "
            "Check its permissions and the space on the disk."
        ) from error
    return [] if len(files) == len(job.files) else [cutouts.no_pet(name)]
