"""The rows of the benchmark in their order, and the table that is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from petseg.errors import SettingsError
from petseg.models.device import best_precision, machine
from petseg.training.benchmark.accuracy import accuracy_row
from petseg.training.benchmark.epoch import epoch_row, overhead_row
from petseg.training.benchmark.formats import formats_row
from petseg.training.benchmark.gpu import gpu_row
from petseg.training.benchmark.growth import batch_row, images_row, side_row
from petseg.training.benchmark.int8 import int8_row
from petseg.training.benchmark.peak import peak_row
from petseg.training.benchmark.processes import processes_row
from petseg.training.benchmark.row import Row, Spread
from petseg.training.benchmark.settings import Settings
from petseg.training.benchmark.steps import parts_row, step_row
from petseg.training.runs import check_writable

#: Each row by its name, in the table's order; the longest is the last.
ROWS: Final[Mapping[str, Callable[[Settings], Row]]] = {
    "step": step_row,
    "epoch": epoch_row,
    "overhead": overhead_row,
    "peak": peak_row,
    "parts": parts_row,
    "formats": formats_row,
    "growth_side": side_row,
    "growth_batch": batch_row,
    "growth_images": images_row,
    "processes": processes_row,
    "gpu": gpu_row,
    "int8": int8_row,
    "time_to_accuracy": accuracy_row,
}


#: Width of the table's first column, in letters.
LABEL: Final = 56

#: Rows that train on noise.
WITHOUT_DATA: Final = frozenset({"step", "peak", "formats", "growth_side", "growth_batch"})


def check_rows(names: Sequence[str]) -> list[str]:
    """The rows of these names in the table's order, all where no name is given.

    Raises:
        SettingsError: there is no row of a name.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise SettingsError(f"--rows {' '.join(unknown)}: no such row. Choose from {', '.join(ROWS)}.")
    return [name for name in ROWS if name in names or not names]


def check_out(path: Path) -> None:
    """Looks whether the JSON file can be written: a benchmark takes long.

    Raises:
        SettingsError: its name does not end in .json.
        MissingError: it cannot be written.
    """
    if path.suffix != ".json":
        raise SettingsError(f"--out {path}: must end in .json; the figure is written beside it as .png.")
    check_writable(path)


def measure(
    settings: Settings,
    names: Sequence[str] = (),
    say: Callable[[str], None] = print,
    quick: bool = False,
    keep: Callable[[Mapping[str, Any]], None] = lambda record: None,
) -> dict[str, Any]:
    """Measures rows and says each as soon as it is there.

    Args:
        settings: what is measured.
        names: of rows; all by default.
        say: is given each line of the table.
        quick: whether the settings are those of `settings.quick`, which the record then tells.
        keep: is given what is measured so far, after each row.

    Returns:
        `machine` and, by its name, each row, as `figures/benchmark.json` holds them.

    Raises:
        SettingsError: there is no row of a name.
        DataError: the data set is not there, or a training of a row failed.
    """
    chosen = check_rows(names)
    if set(chosen) - WITHOUT_DATA:
        settings.data()  # refuses a missing data set before minutes are spent on the other rows
    record: dict[str, Any] = {"machine": here(quick)}
    say(f"petseg bench{' --quick' if quick else ''} on {machine()}; PyTorch {torch.__version__}, {best_precision()}")
    say(f"{'row':<{LABEL}}{'median':>9}{'min':>9}{'max':>9}{'n':>4}  unit")
    for name in chosen:
        row = ROWS[name](settings)
        for line in lines(name, row):
            say(line)
        record[name] = row.record()
        keep(record)
    return record


def here(quick: bool) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "name": machine(),
        "pytorch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "precision": best_precision(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "quick": quick,
    }


def lines(name: str, row: Row) -> Iterator[str]:
    """A row of the benchmark as lines of the table: its title, a line for each value, the ratio, the note."""
    yield f"{name}: {row.title}"
    for label, spread in row.values.items():
        yield _line(label, spread, row.unit)
    if row.ratio_of:
        yield _line(f"ratio {row.ratio_of}", row.ratio, "")
    if row.note:
        yield f"  ({row.note})"


def _line(label: str, spread: Spread | None, unit: str) -> str:
    if spread is None:
        return f"  {label:<{LABEL - 2}}{'-':>9}{'':>22}  {unit}".rstrip()
    numbers = "".join(f"{_number(value):>9}" for value in (spread.median, spread.low, spread.high))
    return f"  {label:<{LABEL - 2}}{numbers}{spread.n:>4}  {unit}".rstrip()


def _number(value: float) -> str:
    """Fewer decimals the larger it is: 0.012, 4.56, 45.6, 1,234."""
    decimals = next((decimals for limit, decimals in ((1, 3), (10, 2), (100, 1)) if value < limit), 0)
    return f"{value:,.{decimals}f}"
