"""The arguments of `petseg segment`, and what they start."""

# What is heavy is imported by the functions that need it, so that `petseg --help` answers at once.
from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from petseg.errors import SettingsError

if TYPE_CHECKING:
    from petseg.apps.batch.output import Output

EPILOG = (
    "The results of DIR/cat.jpg are OUT/cat.mask.png, cat.overlay.png and cat.cutout.png. They replace those of an "
    "earlier call. Photos of one stem get longer names, such as cat_jpg and cat_png. The exit status is 0; 1 where a "
    "photo failed or shows no pet, said in a line on stderr; 2 after wrong usage."
)


def add_arguments(parser: argparse.ArgumentParser, model_help: str) -> None:
    """Adds the arguments of `petseg segment` to its parser."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="photo, pattern such as 'cats/*.jpg', or folder (hidden files and earlier results in it are passed over)",
    )
    add("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    add("--recursive", action="store_true", help="search the folders within a folder too; hidden ones are left out")
    add("--model", metavar="NAME", help=model_help)
    add(
        "--only",
        action="append",
        choices=("mask", "overlay", "cutout"),
        help="write this picture alone; give it twice for two (default: all three)",
    )
    add(
        "--background",
        metavar="COLOR|IMAGE|blur",
        help="what to put behind the cut-out: a colour (white, '#ff8800'), an image file, or the photo, blurred",
    )
    add("--crop", action="store_true", help="crop the cut-out to the pet, with a margin")
    add(
        "--format",
        choices=("png", "webp", "jpg"),
        default="png",
        help="of overlay and cut-out (default: png); the mask is always a PNG",
    )
    add("--skip-existing", action="store_true", help="leave out photos whose results exist (default: replace them)")
    add("--max-megapixels", metavar="N", type=_megapixels, help="refuse photos with more pixels (default: 60)")


def run(args: argparse.Namespace) -> int:
    """Runs `petseg segment`.

    Returns:
        The exit status: 0, 1 where a photo failed, 2 where the arguments contradict each other.
    """
    try:
        return _run(args)
    except SettingsError as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    from petseg.apps.batch.output import KINDS, Output, parse_background
    from petseg.apps.batch.photos import find_photos

    kinds = tuple(kind for kind in KINDS if kind in (args.only or KINDS))
    background = parse_background(args.background) if args.background else None
    output = Output(kinds, args.format, background, args.crop)
    photos, problems = find_photos(args.photos, args.recursive)
    for problem in problems:
        print(f"petseg: {problem}", file=sys.stderr)
    all_done = not photos or _segment(photos, output, args)
    return 0 if all_done and not problems else 1


def _segment(photos: Sequence[Path], output: Output, args: argparse.Namespace) -> bool:
    """Segments photos and says how many are done; returns whether all are."""
    from petseg.apps.batch.names import result_names
    from petseg.apps.batch.photos import shown
    from petseg.apps.batch.run import Job, run_jobs
    from petseg.inference.predictor import Predictor

    _make_folder(args.out)
    names = result_names(photos, args.out)
    jobs = [Job(photo, output.files(args.out, name)) for photo, name in zip(photos, names, strict=True)]
    if args.skip_existing:
        jobs = [job for job in jobs if not all(path.is_file() for path in job.files.values())]
    skipped, done = len(photos) - len(jobs), 0
    if jobs:
        limit = {} if args.max_megapixels is None else {"max_pixels": args.max_megapixels}
        done = run_jobs(jobs, Predictor(args.model, **limit), output)
    rest = f", {skipped} skipped since their results exist" if skipped else ""
    print(f"{done} of {len(photos)} photos done{rest}; see {shown(args.out)}")
    return done == len(jobs)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out {folder}: cannot be made ({error.strerror}). Name another folder.") from error


def _megapixels(text: str) -> int:
    """Pixels of so many megapixels, as argparse calls it."""
    try:
        megapixels = float(text)
    except ValueError:
        megapixels = math.nan
    if not 0 < megapixels < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0, such as 100")
    return math.ceil(megapixels * 1e6)
