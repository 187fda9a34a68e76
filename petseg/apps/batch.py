"""`petseg segment`: cuts pets out of photos and writes masks, overlays and cut-outs as files."""

# PyTorch, SciPy and Pillow are imported by the functions that need them, so that `petseg --help` is fast.
from __future__ import annotations

import argparse
import glob
import math
import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from petseg.apps.names import FORMATS, KINDS, RESULT_ENDINGS, absolute, printable, result_names, same_file
from petseg.errors import MissingError, PhotoError, SettingsError, say
from petseg.files import atomic_write

if TYPE_CHECKING:
    from PIL import Image

    from petseg.apps.cutouts import CutoutSettings, Format
    from petseg.inference.predictor import Predictor
    from petseg.inference.segmentation import Segmentation

#: Formats by the ending of `--out` if it names a file.
FILE_FORMATS: Final[Mapping[str, Format]] = {".png": "png", ".webp": "webp", ".jpg": "jpg", ".jpeg": "jpg"}

#: As a photo: a pipe into this program; as `--out`: a pipe out of it.
PIPE: Final = Path("-")

#: Endings of photos; other files in a folder are ignored.
PHOTO_ENDINGS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".heic", ".heif", ".hif", ".avif"}
)

#: Photos that are processed at a time; of those with more pixels than `LARGE`, only one. A megapixel takes 20 MB.
WORKERS: Final = min(3, os.cpu_count() or 1)
LARGE: Final = 16_000_000

EPILOG: Final = (
    "The results of DIR/cat.jpg are OUT/cat.mask.png, cat.overlay.png and cat.cutout.png; without a pet there is no "
    "cut-out. Of one photo, --out cut.png writes the cut-out alone, and --out - writes it to stdout. Results replace "
    "those of an earlier call; in a folder, results of an older version of the photo are removed. "
    "Photos with the same stem get longer names, such as cat_jpg and cat_png. The exit status is 0; 1 if a photo "
    "failed or shows no pet, with a line on stderr; 2 after wrong usage."
)


# --- The command -----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser, model_help: str, device_help: str) -> None:
    """Adds the arguments of `petseg segment` to its parser."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "photos",
        metavar="PHOTO",
        nargs="+",
        help="photo, - (stdin), pattern such as 'cats/*.jpg', or folder (hidden files and earlier results are ignored)",
    )
    add(
        "--out",
        metavar="DIR|FILE|-",
        type=Path,
        required=True,
        help="folder for the results; of one photo also the file of the cut-out (.png, .webp or .jpg), or - for stdout",
    )
    add("--recursive", action="store_true", help="search the subfolders of a folder too, except hidden ones")
    add("--model", metavar="NAME", help=model_help)
    add("--device", metavar="NAME", help=device_help)
    add("--only", action="append", choices=KINDS, help="write only this picture; repeat it for two (default: all)")
    add(
        "--background",
        metavar="COLOR|IMAGE|blur",
        help="put this behind the cut-out: a colour (white, '#ff8800'), an image file, or the photo, blurred",
    )
    add("--crop", action="store_true", help="crop the cut-out to the pet, with a margin")
    add("--shadow", action="store_true", help="put a soft shadow below the pet")
    add("--anyway", action="store_true", help="write the cut-out even if it does not look like a cat or a dog")
    add("--format", choices=FORMATS, help="of overlay and cut-out (default: png); masks are always PNG")
    add(
        "--keep-metadata",
        action="store_true",
        help="keep date and resolution of a JPEG in its cut-out as a JPEG (never the place)",
    )
    add(
        "--skip-existing",
        action="store_true",
        help="skip photos whose results exist and are newer than the photo (default: replace them)",
    )
    add("--max-megapixels", metavar="N", type=float, default=60, help="refuse photos with more pixels (default: 60)")


def run(args: argparse.Namespace) -> int:
    """Runs `petseg segment`; returns its exit status."""
    try:
        if not 0 < args.max_megapixels < math.inf:
            raise SettingsError(f"--max-megapixels {args.max_megapixels:g}: expected a number above 0, such as 100.")
        if names_a_file(args.out):
            args.only, args.format = _single_picture(args)
        args.format = args.format or "png"
        settings = _cutout_settings(args)
        photos, problems = find_photos(args.photos, args.recursive)
        for problem in problems:
            say(f"petseg: {problem}")
        all_done = not photos or _segment_all(photos, settings, args)
    except SettingsError as error:
        say(f"petseg: {error}")
        return 2
    return 0 if all_done and not problems else 1


def names_a_file(out: Path) -> bool:
    """Whether `--out` names a file, or stdout, for the only photo, and not a folder."""
    return out == PIPE or (out.suffix.lower() in PHOTO_ENDINGS and not os.path.isdir(out))  # noqa: PTH112 - `Path` may raise


def _single_picture(args: argparse.Namespace) -> tuple[list[str], Format]:
    """The values of `--only` and `--format` if `--out` names a file."""
    out, only = args.out, list(dict.fromkeys(args.only or ["cutout"]))
    ending = f".{args.format or 'png'}" if out == PIPE else out.suffix.lower()
    format = FILE_FORMATS.get(ending)
    if format is None or (args.format or format) != format or (only == ["mask"] and format != "png"):
        endings = ".png" if only == ["mask"] else f".{args.format}" if args.format else ".png, .webp or .jpg"
        raise SettingsError(f"--out {out}: expected a folder, or a file whose name ends in {endings}.")
    if len(only) > 1:
        raise SettingsError(f"--out {out}: a file holds one picture. Name a folder, or use --only once.")
    return only, format


def _cutout_settings(args: argparse.Namespace) -> CutoutSettings:
    from petseg.apps.cutouts import CutoutSettings

    if args.keep_metadata and args.format != "jpg":
        raise SettingsError("--keep-metadata: only a JPEG keeps them. Add --format jpg.")
    if not args.only or "cutout" in args.only:
        background = args.background and parse_background(args.background)
        return CutoutSettings(background, args.crop, args.format, shadow=args.shadow)
    if args.background or args.crop or args.shadow or args.keep_metadata:
        raise SettingsError("--background, --crop, --shadow and --keep-metadata change the cut-out. Add --only cutout.")
    return CutoutSettings("white", format=args.format)  # of the overlay; nothing is cut out


def parse_background(text: str) -> str | Image.Image:
    """The value of `--background`: "blur" or a colour as it is, otherwise the image in that file."""
    from petseg.apps.cutouts import rgb
    from petseg.inference.photo import load_photo

    if text == "blur":
        return text
    with suppress(SettingsError):
        rgb(text)
        return text
    try:
        return load_photo(text)
    except PhotoError as error:
        expected = "Expected a colour (orange, #ff8800), blur or the file of an image."
        raise SettingsError(f"--background {error} {expected}") from error


def _segment_all(photos: Sequence[Path], settings: CutoutSettings, args: argparse.Namespace) -> bool:
    """Segments photos and prints how many are done; returns whether all are."""
    from petseg.inference.predictor import Predictor

    jobs = _jobs(photos, args)
    if args.skip_existing:
        jobs = [job for job in jobs if not job.is_done(args.anyway)]
    skipped, done = len(photos) - len(jobs), 0
    if jobs:
        max_pixels, check_pet = math.ceil(1e6 * args.max_megapixels), False if args.anyway else None
        predictor = Predictor(args.model, device=args.device, max_pixels=max_pixels, check_pet=check_pet)
        done = segment_jobs(jobs, predictor, settings, args.keep_metadata)
    if args.out != PIPE:
        rest = f", {skipped} skipped since their results exist" if skipped else ""
        say(f"{done} of {len(photos)} photos done{rest}; see {printable(args.out)}", sys.stdout)
    return done == len(jobs)


def _jobs(photos: Sequence[Path], args: argparse.Namespace) -> list[Job]:
    out: Path = args.out
    if names_a_file(out):
        if len(photos) > 1:
            raise SettingsError(f"--out {out}: is one file, but there are {len(photos)} photos. Name a folder.")
        if out != PIPE and same_file(out, photos[0]):
            raise SettingsError(f"--out {out}: is the photo itself. Name another file.")
        return [Job(photos[0], dict.fromkeys(args.only, out))]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out {out}: cannot be made ({error.strerror}). Name another folder.") from error
    names = result_names([Path("stdin") if photo == PIPE else photo for photo in photos], out)
    endings = {kind: f"{kind}.{'png' if kind == 'mask' else args.format}" for kind in args.only or KINDS}
    return [
        Job(photo, {kind: out / f"{name}.{ending}" for kind, ending in endings.items()}, out / name)
        for photo, name in zip(photos, names, strict=True)
    ]


# --- The photos ------------------------------------------------------------------------------------------------------


def find_photos(arguments: Iterable[str], recursive: bool = False) -> tuple[list[Path], list[str]]:
    """The photos that paths and patterns name, each once, in the order of the arguments.

    A file is taken whatever its name is; from a folder, the files with one of `PHOTO_ENDINGS`, sorted by name. `*` and
    `?` stand for any characters unless a file has exactly this name, for shells that do not expand them (Windows).

    Returns:
        The photos, and a sentence for each folder or pattern without any. A path that does not exist counts as a photo.
    """
    photos: dict[str, Path] = {}
    problems: list[str] = []
    for argument in arguments:
        for path in _matches(argument, problems):
            # `os.path` returns False for an impossible path, where `Path` may raise
            chosen = _in_folder(path, recursive, problems) if os.path.isdir(path) else [path]  # noqa: PTH112
            for photo in chosen:
                photos.setdefault(absolute(photo), photo)
    return list(photos.values()), problems


def _matches(argument: str, problems: list[str]) -> list[Path]:
    """The files and folders that a path or pattern names."""
    from petseg.inference.photo import ADDRESS, ADDRESS_REFUSED

    if ADDRESS.match(argument):
        problems.append(f"{printable(argument)}: {ADDRESS_REFUSED}")
        return []
    if not argument:  # `petseg segment "$PHOTO"` without PHOTO would take the whole folder
        problems.append("'': names no photo. Check the variable that holds its path.")
        return []
    if os.path.lexists(argument) or not any(wildcard in argument for wildcard in "*?"):
        return [Path(argument)]
    # brackets stand for themselves: folders are called "photos [2024]"
    names = sorted(glob.glob(argument.replace("[", "[[]"), recursive=True))  # noqa: PTH207 - it may be absolute
    if not names:
        problems.append(f"{printable(argument)}: no file has such a name. Check the path.")
    return [Path(name) for name in names]


def _in_folder(folder: Path, recursive: bool, problems: list[str]) -> list[Path]:
    """The photos in a folder: neither hidden files nor earlier results."""
    from petseg.inference.photo import READABLE

    photos: list[Path] = []
    errors: list[OSError] = []
    inner: list[str] = []
    for path, folders, files in os.walk(folder, onerror=errors.append):
        visible = sorted(name for name in folders if not _is_hidden(Path(path, name)))
        inner = inner or visible
        folders[:] = visible if recursive else []
        photos += [photo for photo in map(Path(path).joinpath, sorted(files)) if _is_photo(photo)]
    for error in errors:
        problems.append(f"{printable(error.filename)}: cannot be read ({error.strerror}). Check its permissions.")
    if not photos and not errors:
        remedy = "Add --recursive to search its subfolders." if inner and not recursive else "Name another folder."
        problems.append(f"{printable(folder)}: no photos in this folder; {READABLE}. {remedy}")
    return photos


def _is_photo(path: Path) -> bool:
    is_result = path.name.lower().endswith(RESULT_ENDINGS)
    return path.suffix.lower() in PHOTO_ENDINGS and not is_result and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden: by a dot (also macOS' `._cat.jpg`, which is no photo), or as in Windows."""
    if path.name.startswith("."):
        return True
    with suppress(OSError):  # a path that Windows finds too long
        return sys.platform == "win32" and bool(path.lstat().st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN)
    return False


# --- Segmenting and writing ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A photo and the files of its results, by kind."""

    photo: Path  # or PIPE
    files: Mapping[str, Path]  # or PIPE
    stem: Path | None = None  # the files' common path without endings; None if the user names the only file

    @property
    def no_pet(self) -> Path | None:
        """An empty, hidden file instead of the cut-out of a photo without a pet, so that `--skip-existing` skips it."""
        return self.stem and self.stem.with_name(f".{self.stem.name}.no-pet")

    def is_done(self, anyway: bool = False) -> bool:
        """Whether all results exist and are newer than the photo; `anyway` wants a cut-out also without a pet."""
        missing = [kind for kind, file in self.files.items() if not self._is_current(file)]
        return not missing or (missing == ["cutout"] and not anyway and self._is_current(self.no_pet))

    def write(self, result: Segmentation, settings: CutoutSettings, photo: str, **metadata: Any) -> None:
        """Writes the results, each file completely or not at all; `photo` is used in messages.

        `metadata` of the cut-out are as `cutouts.date_and_resolution` returns them. Raises PhotoError if a file cannot
        be written, or the photo is too large for its format.
        """
        from petseg.apps.cutouts import encode

        draw = {"mask": result.mask_image, "overlay": result.overlay, "cutout": lambda: settings.draw(result)}
        try:
            for kind, file in self.files.items():
                if kind == "cutout" and not result.found:
                    continue
                format = "png" if kind == "mask" else settings.format
                data = encode(draw[kind](), format, photo, **metadata if kind == "cutout" else {})
                if file == PIPE:
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                    continue
                with atomic_write(file) as partial:
                    partial.write_bytes(data)
            self._remove_stale(result.found)  # at the end: if one cannot be written, the earlier ones stay
        except (OSError, MissingError) as error:
            reason = getattr(error.__cause__ or error, "strerror", None) or error  # of `atomic_write`, or of the rest
            place = printable(self.stem.parent if self.stem else next(iter(self.files.values())))
            raise PhotoError(
                f"{photo}: the results cannot be written to {place} ({reason}). "
                "Check its permissions and the space on the disk."
            ) from error

    def _remove_stale(self, found: bool) -> None:
        """Removes results of an older version of the photo, and what contradicts the new result about a pet."""
        if not (self.stem and self.no_pet):
            return
        for ending in RESULT_ENDINGS:
            path = self.stem.with_name(f"{self.stem.name}{ending}")
            stale = path not in self.files.values() and not self._is_current(path)  # those of this call are new
            if stale or ("cutout" in self.files and ending.startswith(".cutout.") and not found):
                path.unlink(missing_ok=True)
        if found or not self._is_current(self.no_pet):
            self.no_pet.unlink(missing_ok=True)
        if "cutout" in self.files and not found:
            self.no_pet.touch()

    def _is_current(self, result: Path | None) -> bool:
        """Whether a result exists and was written after the photo was."""
        try:
            photo = self.photo.stat()
            # a copied or moved photo often keeps its date, but not the time of its entry in the file system
            return result is not None and result.stat().st_mtime_ns >= max(photo.st_mtime_ns, photo.st_ctime_ns)
        except (OSError, ValueError):
            return False


def segment_jobs(
    jobs: Sequence[Job], predictor: Predictor, settings: CutoutSettings, keep_metadata: bool = False
) -> int:
    """Segments photos: while one is decoded, another is in the network and a third is written.

    Returns:
        How many are done. Problems are printed in the order of the photos; they do not stop the others.
    """
    from tqdm import tqdm

    from petseg.apps.cutouts import date_and_resolution, no_pet, photo_notes, sentence
    from petseg.inference.photo import open_photo

    large = Lock()

    def segment(job: Job) -> tuple[bool, list[str]]:
        """Whether a photo is done, and sentences for the user."""
        name, problems = "stdin" if job.photo == PIPE else printable(job.photo), []
        try:
            photo = open_photo(sys.stdin.buffer.read() if job.photo == PIPE else job.photo, name=name)
            metadata = date_and_resolution(photo.image) if keep_metadata else {}
            W, H = photo.image.size
            with large if W * H > LARGE else nullcontext():
                result = predictor(photo, name=name)
                job.write(result, settings, name, **metadata)
            if "cutout" in job.files and not result.found:
                problems = [no_pet(name, result.doubtful, "If it is one, add --anyway to write its cut-out.")]
        except Exception as error:  # whatever happens to one photo, the others go on
            problems = [sentence(error, name)]
        return not problems, [*take_notes(), *problems]

    done = 0
    with photo_notes() as take_notes, ThreadPoolExecutor(WORKERS) as pool, ExitStack() as stack:
        stack.callback(pool.shutdown, cancel_futures=True)  # after Ctrl-C, no further photo is started
        # a bar only on a terminal (None), and not for a single photo
        bar = tqdm([pool.submit(segment, job) for job in jobs], unit="photo", disable=None if len(jobs) > 1 else True)
        for future in bar:
            is_done, notes = future.result()
            done += is_done
            with tqdm.external_write_mode(sys.stderr):  # above the bar
                for note in notes:
                    say(f"petseg: {note}")
    return done
