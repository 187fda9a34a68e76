"""`petseg bench`: how fast this machine trains and cuts out, against the plain way of `training.plain`.

Our way is the real thing: a recipe's task in Lightning's Trainer, and `Predictor`. The ways alternate, so that a busy
minute slows both.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import lightning as L
import torch
from lightning.pytorch.profilers import Profiler
from PIL import Image
from torch.utils.data import DataLoader

from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import Batch, PetDataModule
from petseg.errors import SettingsError
from petseg.files import data_folder, write_json
from petseg.inference.predictor import Predictor
from petseg.models.device import best_device, best_precision, finish, machine
from petseg.training import plain
from petseg.training.callbacks import EpochSeconds, EpochSeeds
from petseg.training.ema import WarmupEMA
from petseg.training.profiler import StepProfiler
from petseg.training.recipes import read_recipe
from petseg.training.runs import check_writable
from petseg.training.scoring import quiet
from petseg.training.task import SegmentationTask

Recipe = Mapping[str, Any]
Row = dict[str, Any]  # as in `figures/benchmark.json`

PHOTO: Final = (1600, 1200)  # width and height of the photo that is cut out


@dataclass(frozen=True)
class Settings:
    """What is measured: the recipe `course`, at one image size, and for `time_to_accuracy` the recipe `fast`."""

    course: Recipe
    fast: Recipe
    data_dir: Path
    rounds: int = 5
    steps: int = 10  # in a measurement of a step
    images: int = 960  # in an epoch
    target: float = 0.647  # mean IoU on validation to which both ways train
    limit: float = 3600.0  # seconds after which a training is given up
    runs: int = 3  # trainings of each way

    @property
    def shape(self) -> tuple[int, int]:
        """Images per step of our way, and their height and width in pixels."""
        return self.course["data"]["batch_size"], self.course["data"]["image_size"]

    def data(self, recipe: Recipe, decode: bool = True) -> PetDataModule:
        """The data of a recipe, decoded and set up unless `decode` is False."""
        module = PetDataModule(**{**recipe["data"], "source": "oxford", "data_dir": self.data_dir}, progress=False)
        if decode:
            module.prepare_data()
            module.setup()
            module.move_to_gpu(torch.device(best_device()))  # as `petseg fit` does
        return module


@contextmanager
def prepare(quick: bool = False, runs: int | None = None) -> Iterator[Settings]:
    """The real data at the course's size, or, if `quick`, cartoons and a tiny network: every row in seconds."""
    course, fast = read_recipe("course"), read_recipe("fast")
    course["model"] |= {"sizes": [1.0], "size_starts": [0.0]}  # without progressive resizing
    if not quick:
        steps = 10 if best_device() == "cpu" else 100
        yield Settings(course, fast, data_folder(), steps=steps, runs=3 if runs is None else runs)
        return
    with TemporaryDirectory(prefix="petseg-bench-", ignore_cleanup_errors=True) as folder, empty_cache():
        write_dataset(folder, images_per_breed=4)
        short: dict[str, Any] = {"rounds": 2, "steps": 1, "images": 8, "target": 0.05, "limit": 60.0}
        yield Settings(tiny(course), tiny(fast), Path(folder), **short, runs=1 if runs is None else runs)


def tiny(recipe: Recipe) -> Recipe:
    """The recipe with a network of two narrow stages, small images and small batches."""
    network = {**recipe["model"]["network"], "init_args": {"channels": [4, 8]}}
    data = {**recipe["data"], "image_size": 32, "batch_size": 4}
    return {**recipe, "model": {**recipe["model"], "network": network}, "data": data}


def seconds(call: Callable[[], object]) -> float:
    """Seconds that a call takes, the GPU's work included."""
    finish()
    start = time.perf_counter()
    call()
    finish()
    return time.perf_counter() - start


def alternate(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measures every way once per round, after a round that does not count: it chooses kernels and takes memory."""
    values: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            values[name].append(way())
    return {name: measured[1:] for name, measured in values.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest value with five digits, and their number."""
    summary = {"median": median(values), "low": min(values), "high": max(values)}
    return {name: float(f"{value:.5g}") for name, value in summary.items()} | {"n": len(values)}


def compared(title: str, unit: str, values: Mapping[str, Sequence[Any]], first: str, second: str, note: str) -> Row:
    """A row with the ratio of two ways, taken in each round: a slow minute slows both sides.

    If a value is None, its way has no spread and the row no ratio.
    """
    spreads = {name: None if None in measured else spread(measured) for name, measured in values.items()}
    pairs = zip(values[first], values[second], strict=True)
    ratio = spread([a / b for a, b in pairs]) if all(spreads.values()) else {}
    ends = {"ratio": ratio.get("median"), "ratio_low": ratio.get("low"), "ratio_high": ratio.get("high")}
    return {"title": title, "unit": unit, "values": spreads, "ratio_of": f"{first} / {second}", **ends, "note": note}


class Ours:
    """A recipe's task in Lightning's Trainer, without validation and checkpoints."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.task = recipe, SegmentationTask.from_recipe(recipe)

    def seconds(self, loader: DataLoader[Batch], steps: int, profiler: Profiler | None = None) -> float:
        """Seconds from the start of an epoch of `steps` to the end of its last one."""
        clock = EpochSeconds()
        epoch: dict[str, Any] = {"max_epochs": 1, "limit_train_batches": steps, "limit_val_batches": 0}
        with quiet():
            trainer = trainer_of(self.recipe, clock, **epoch, profiler=profiler)
            trainer.fit(self.task, loader, loader)  # without the second, Lightning warns of missing validation
        return clock.end - clock.start


def trainer_of(recipe: Recipe, *callbacks: L.Callback, **replaced: Any) -> L.Trainer:
    """The Trainer of a recipe, which writes nothing; `replaced` overrides its settings."""
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    fixed = {"devices": 1, "precision": best_precision(), "num_sanity_val_steps": 0, **silent}
    required = [WarmupEMA(**recipe["average"]), EpochSeeds(int(recipe["seed_everything"]))]
    return L.Trainer(**{**recipe["trainer"], **fixed, **replaced}, callbacks=[*required, *callbacks])


def noise(shape: tuple[int, int], steps: int) -> DataLoader[Batch]:
    """One random batch of `shape` (images, size), channels-last and on the device, given out `steps` times."""
    (batch, size), device = shape, best_device()
    image = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, device=device).permute(0, 3, 1, 2)
    mask = torch.randint(0, 3, (batch, size, size), dtype=torch.uint8, device=device)
    batches: Any = [Batch(image, mask, torch.arange(batch, device=device))] * steps
    return DataLoader(batches, batch_size=None)


def step_row(settings: Settings) -> Row:
    """A training step without loading: both ways train on one batch that is in memory."""
    ours, other, (batch, size) = Ours(settings.course), plain.PlainTraining(settings.course), settings.shape
    loader = noise(settings.shape, settings.steps)
    image, mask = torch.rand(plain.BATCH, 3, size, size), torch.randint(0, 3, (plain.BATCH, size, size))
    ways = {
        "ours": lambda: settings.steps * batch / ours.seconds(loader, settings.steps),
        "plain": lambda: settings.steps * plain.BATCH / seconds(lambda: other.epoch([(image, mask)] * settings.steps)),
    }
    note = "ours: augmentation, loss, clipping, AdamW, weight averaging and Lightning's loop included"
    title = f"a training step at {size} px, without loading"
    return compared(title, "images/s", alternate(ways, settings.rounds), "ours", "plain", note)


def epoch_row(settings: Settings) -> Row:
    """A whole epoch: loading and the training loop included."""
    data = settings.data(settings.course)
    ours, other, (batch, size) = Ours(settings.course), plain.PlainTraining(settings.course), settings.shape
    images = min(settings.images, len(data.datasets["train"]))
    loader, steps = plain.plain_loader(data, images), images // batch
    ways = {
        "ours": lambda: steps * batch / ours.seconds(data.train_dataloader(), steps),
        "plain": lambda: images / seconds(lambda: other.epoch(loader)),
    }
    note = "ours: batches from the decoded cache; plain: three processes decode each JPEG"
    title = f"an epoch of {images:,} images of {size} px, loading included"
    return compared(title, "images/s", alternate(ways, settings.rounds), "ours", "plain", note)


def parts_row(settings: Settings) -> Row:
    """Milliseconds of each part of a training step, loading included."""
    parts = part_seconds(settings.course, settings.data(settings.course).train_dataloader(), settings.rounds)
    values = {name: spread([1e3 * taken for taken in measured]) for name, measured in parts.items()}
    batch, size = settings.shape
    return {"title": f"parts of a training step, {batch} images of {size} px", "unit": "ms", "values": values}


def part_seconds(recipe: Recipe, loader: DataLoader[Batch], steps: int) -> dict[str, list[float]]:
    """Seconds of each part in each of `steps`, after a first step that does not count."""
    ours, profiler = Ours(recipe), StepProfiler()
    profiler.watch(ours.task.augment, "augmentation")
    profiler.watch(ours.task.segmenter, "network forward")
    ours.seconds(loader, steps + 1, profiler)
    return {part: [step[part] for step in profiler.steps[1:]] for part in StepProfiler.PARTS.values()}


def photo_row(settings: Settings) -> Row:
    """From a photo's file to its cut-out: two passes and a matte, against one pass and a hard edge."""
    predictor, file = Predictor(), BytesIO()
    path = min((settings.data_dir / "oxford-iiit-pet" / "images").glob("*.jpg"))
    Image.open(path).convert("RGB").resize(PHOTO).save(file, "JPEG", quality=90)
    ways = {
        "ours": lambda: 1e3 * seconds(lambda: predictor(file.getvalue()).cutout()),
        "plain": lambda: 1e3 * seconds(lambda: plain.plain_cutout(predictor, file)),
    }
    note = "ours: two passes, alpha matte, colours of the edge; plain: one pass, a hard edge"
    title = f"from a JPEG of {PHOTO[0]}x{PHOTO[1]} px to a cut-out, {predictor.card.name}"
    return compared(title, "ms", alternate(ways, settings.rounds), "ours", "plain", note)


class Race(L.Callback):
    """Times a training until validation reaches a target or the time its limit; the clock stops during validation.

    `curve` has (seconds of training, mean IoU on validation) of each epoch.
    """

    def __init__(self, target: float, limit: float) -> None:
        self.target, self.limit = target, limit
        self.curve: list[tuple[float, float]] = []
        self._seconds, self._since = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float | None:
        """Seconds until the target; None if it was not reached."""
        return next((taken for taken, score in self.curve if score >= self.target), None)

    def pause(self) -> None:
        """Stops the clock."""
        finish()
        self._seconds += time.perf_counter() - self._since

    def resume(self, score: float) -> bool:
        """Notes an epoch's score, restarts the clock, and returns whether the race is over."""
        self.curve.append((self._seconds, score))
        self._since = time.perf_counter()
        return score >= self.target or self._seconds >= self.limit

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops the clock."""
        self.pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends the training once the race is over."""
        trainer.should_stop |= self.resume(float(trainer.callback_metrics["val/mean_iou"]))


def accuracy_row(settings: Settings) -> Row:
    """Seconds of training until the target, by the fast recipe, scored with its averaged weights, and the plain way.

    Making the network and decoding count; validation, after every epoch of both ways, does not.
    """
    races: dict[str, list[Race]] = {"fast": [], "plain": []}
    for run in range(settings.runs):
        races["fast"].append(fast_race(settings, run))
        races["plain"].append(plain_race(settings, run))
    times = {way: [race.seconds for race in tries] for way, tries in races.items()}
    title = f"training until a mean IoU of {settings.target:g} on validation"
    curves = {way: [[[round(s, 2), round(iou, 4)] for s, iou in race.curve] for race in races[way]] for way in races}
    note = f"validation of each epoch excluded; a training ends after {settings.limit:.0f} s"
    return compared(title, "s", times, "plain", "fast", note) | {"target": settings.target, "curves": curves}


def fast_race(settings: Settings, run: int) -> Race:
    """Trains with the fast recipe, from images that are not decoded yet."""
    recipe = {**settings.fast, "seed_everything": int(settings.fast["seed_everything"]) + 1000 * run}
    with quiet(), empty_cache():
        L.seed_everything(recipe["seed_everything"], verbose=False)
        race = Race(settings.target, settings.limit)
        trainer = trainer_of(recipe, race, check_val_every_n_epoch=1)
        trainer.fit(SegmentationTask.from_recipe(recipe), datamodule=settings.data(recipe, decode=False))
    return race


def plain_race(settings: Settings, run: int) -> Race:
    """Trains the plain way for as many epochs as it takes."""
    data = settings.data(settings.fast)  # decoded for validation alone
    L.seed_everything(1000 * run, verbose=False)
    race = Race(settings.target, settings.limit)
    training, loader = plain.PlainTraining(settings.fast), plain.plain_loader(data)
    while True:
        training.epoch(loader)
        race.pause()
        if race.resume(training.score(data)):
            return race


@contextmanager
def empty_cache() -> Iterator[None]:
    """Decodes into an empty folder that is removed afterwards."""
    cache = TemporaryDirectory(prefix="petseg-cache-", ignore_cleanup_errors=True)  # Windows keeps what is mapped
    with cache as folder, patch.dict(os.environ, PETSEG_CACHE_DIR=folder):
        yield


#: Each row by its name, in the table's order, the longest last.
ROWS: Final[Mapping[str, Callable[[Settings], Row]]] = {
    "step": step_row,
    "epoch": epoch_row,
    "parts": parts_row,
    "photo": photo_row,
    "time_to_accuracy": accuracy_row,
}


def measure(names: Sequence[str] = (), quick: bool = False, runs: int | None = None, out: Path | None = None) -> Row:
    """Measures the named rows, default: all, prints each, and writes them with `machine` to the JSON file `out`.

    A benchmark that is stopped leaves its rows in a file `.partial.json` beside it.

    Raises:
        SettingsError: there is no such row, no run, or `out` is not a JSON file.
        MissingError: `out` cannot be written.
        DataError: there is no data set.
    """
    check_request(names, runs, out)
    versions = {"name": machine(), "pytorch": str(torch.__version__), "threads": torch.get_num_threads()}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    record: Row = {"machine": versions | {"precision": best_precision(), "date": today, "quick": quick}}
    print(f"petseg bench{' --quick' if quick else ''} on {machine()}; PyTorch {torch.__version__}, {best_precision()}")
    with prepare(quick, runs) as settings, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more processes than cores, as a script has
        chosen = [name for name in ROWS if name in names or not names]
        if chosen != ["step"]:
            settings.data(settings.course)  # refuses a missing data set before the first row
        for name in chosen:
            record[name] = ROWS[name](settings)
            print(*table(name, record[name]), sep="\n", flush=True)
            if out:
                write_json(out.with_suffix(".partial.json"), record)
    if out:
        write_json(out, record)
        out.with_suffix(".partial.json").unlink()
    return record


def check_request(names: Sequence[str], runs: int | None, out: Path | None) -> None:
    """Refuses what cannot be measured or written, before hours are spent."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise SettingsError(f"--rows {' '.join(unknown)}: no such row. Choose from {', '.join(ROWS)}.")
    if runs is not None and runs < 1:
        raise SettingsError(f"--runs {runs}: at least 1 training of each way is needed.")
    if out is not None:
        if out.suffix != ".json":
            raise SettingsError(f"--out {out}: must end in .json; the figure is written beside it as .png.")
        check_writable(out)


def table(name: str, row: Row) -> Iterator[str]:
    """A row as lines: its title, each value with its range, the ratio, the note."""
    yield f"{name}: {row['title']}"
    for label, value in row["values"].items():
        numbers = (
            "{median:>9,.5g} {unit} ({low:,.5g} to {high:,.5g}; n = {n})".format(**value, unit=row["unit"])
            if value
            else f"{'-':>9}"
        )
        yield f"  {label:<26}{numbers}"
    if row.get("ratio"):
        numbers = "{ratio:>9.3g} ({ratio_low:.3g} to {ratio_high:.3g})".format(**row)
        yield f"  {row['ratio_of']:<26}{numbers}"
    if "note" in row:
        yield f"  ({row['note']})"
