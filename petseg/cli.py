"""The `petseg` command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from petseg.apps import batch
from petseg.errors import exit_with_sentence

#: Commands that go to Lightning's command line, which has its own help, flags and YAML configurations.
TRAINING = {
    "fit": "train a model; --weights NAME: the released model or .safetensors file to start from",
    "validate": "score a model on the validation split; --weights NAME or --ckpt_path FILE: which",
    "test": "score a model on the test split; --weights NAME or --ckpt_path FILE: which",
}

MODEL_HELP = "released model or .safetensors file (default: the most accurate that this installation can run)"

DEVICE_HELP = "cpu, cuda or mps (default: the GPU, or the CPU if the GPU fails)"


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `petseg ARGUMENTS`; 0, or 1 after an error, which is one sentence on stderr. Wrong usage exits with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in TRAINING:
        from petseg.training.fit import run  # heavy libraries are imported late, so that --help answers at once

        run(arguments)
        return 0
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    return command(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="petseg",
        description="Cut pets out of photos; train, score, release and export the models that do it.",
        epilog="NAME is a released model ('petseg models' lists them) or a .safetensors file. 'petseg COMMAND --help' "
        "says more; that of fit, validate and test lists all of Lightning's flags.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)  # for the list; `main` hands their arguments on
    segment = add("segment", batch.run, "cut the pet out of photos: writes mask, overlay and cut-out of each")
    batch.add_arguments(segment, MODEL_HELP, DEVICE_HELP)
    data = add("data", _data, "fetch or draw a data set, verify and decode it")
    data.add_argument("source", nargs="?", choices=("oxford", "cartoon"), default="oxford", help="default: oxford")
    where = "its folder (default: data/, or for oxford PETSEG_DATA_DIR if that is set)"
    data.add_argument("--dir", metavar="DIR", type=Path, help=where)
    models = add("models", _models, "list the released models and their scores, or describe one")
    models.add_argument("name", metavar="NAME", nargs="?", help="print the card of this model")
    _release_arguments(add("release", _release, "score a checkpoint on the test split and save it as a model file"))
    _export_arguments(add("export", _export, "write a model as ONNX"))
    app = add("app", _app, "serve the web app: the same cut-outs in a browser")
    app.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 or :: lets other machines in")
    app.add_argument("--port", type=int, default=7860, help="port to listen at; 0 takes a free one (default 7860)")
    app.add_argument("--root-path", metavar="PATH", default="", help="where a proxy shows the app, such as /cutouts")
    app.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    app.add_argument("--device", metavar="NAME", help=DEVICE_HELP)
    _bench_arguments(add("bench", _bench, "time this machine against a plain training loop (an hour and more)"))
    return parser


def _release_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CKPT", type=Path, help="checkpoint of a run of petseg fit")
    parser.add_argument("--out", metavar="FILE.safetensors", type=Path, required=True, help="file to write")
    parser.add_argument("--log", metavar="DIR", type=Path, help="folder to which the run's log is copied")
    parser.add_argument(
        "--no-test", action="store_true", help="do not score the test split: for a start or a teacher of another model"
    )
    parser.add_argument(
        "--mean-with",
        metavar="NAME",
        help="the model that the run started from: release the mean of both if it scores higher on validation",
    )


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    parser.add_argument("--out", metavar="FILE.onnx", type=Path, required=True, help="file to write")
    stored = parser.add_mutually_exclusive_group()
    stored.add_argument("--half", action="store_true", help="store the weights in float16: half the size")
    stored.add_argument(
        "--quantize",
        choices=("int8",),
        help="compute with 8-bit integers; needs the data, and writes the file only where it is faster and as accurate",
    )


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="every row in seconds, with a tiny network and cartoons")
    parser.add_argument("--rows", metavar="NAME", nargs="+", default=[], help="these alone (a wrong name lists them)")
    parser.add_argument("--runs", type=int, help="trainings of each way in time_to_accuracy (default 3; --quick: 1)")
    out = "where the numbers go, a figure beside them (default if all is measured: figures/benchmark.json or -gpu.json)"
    parser.add_argument("--out", metavar="FILE.json", type=Path, help=out)


def _data(args: argparse.Namespace) -> int:
    from petseg.data.datamodule import PetDataModule
    from petseg.data.download import fetch_oxford

    module = PetDataModule(args.source, args.dir)
    if args.source == "oxford":
        fetch_oxford(module.root)
    module.prepare_data()
    module.setup()
    counts = ", ".join(f"{len(examples):,} {split}" for split, examples in module.examples.items())
    print(f"{args.source}: {counts} examples, decoded; data in {module.root}")
    return 0


def _models(args: argparse.Namespace) -> int:
    from petseg.models import pretrained, zoo

    if args.name:
        print(zoo.card(args.name).markdown())
        return 0
    print(f"{'model':<16}{'parameters':>12}{'mean IoU':>10}{'pet':>8}{'background':>12}{'boundary':>10}")
    for card in zoo.cards():
        test = card.scores.get("test", {})  # released with --no-test, it has none
        keys = ("mean_iou", "iou_pet", "iou_background", "iou_boundary")
        mean, pet, background, boundary = (f"{test[key]:.4f}" if test else "-" for key in keys)
        print(f"{card.name:<16}{card.parameters:>12,}{mean:>10}{pet:>8}{background:>12}{boundary:>10}")
        if not test:
            print("    not scored on the test split")
        if not zoo.runnable(card):
            print(f"    {pretrained.REMEDY}")
    print("IoU on the official test split of Oxford-IIIT Pet at 128x128, pooled over all pixels, one pass.")
    print(f"Used where no --model is named: {zoo.best()}.")
    return 0


def _release(args: argparse.Namespace) -> int:
    from petseg.training.release import release

    card = release(args.checkpoint, args.out, log=args.log, test=not args.no_test, mean_with=args.mean_with)
    split = "val" if args.no_test else "test"
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB; {split} mean IoU {card.scores[split]['mean_iou']:.4f}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from petseg.inference.onnx import export_onnx
    from petseg.training.runs import check_writable

    check_writable(args.out)
    comparison = f"; int8: {_export_int8(args.model, args.out)}" if args.quantize else ""
    if not args.quantize:
        export_onnx(args.model, args.out, half=args.half)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB{comparison}")
    return 0


def _export_int8(model: str | None, out: Path) -> object:
    """Calibrates and compares on Oxford-IIIT Pet at the model's working size."""
    from petseg.data.datamodule import PetDataModule
    from petseg.inference.int8 import calibration_rows, export_int8
    from petseg.inference.onnx import check_export
    from petseg.models import zoo

    check_export(out, "onnxruntime")  # before the data are fetched
    data = PetDataModule(image_size=zoo.card(model).size[0])
    data.prepare_data()
    data.setup()
    data.train_dataloader()  # refuses a split without photos
    train = data.datasets["train"]
    images = train.__getitems__(calibration_rows(len(train))).image
    return export_int8(model, out, images, data.val_dataloader())


def _app(args: argparse.Namespace) -> int:
    from petseg.apps.webapp.server import serve

    serve(args.model, args.host, args.port, args.device, args.root_path)
    return 0


def _bench(args: argparse.Namespace) -> int:
    from petseg.files import home_folder
    from petseg.models.segmenter import best_device
    from petseg.training.benchmark import measure

    out = args.out
    if out is None and not (args.quick or args.rows):
        out = home_folder() / "figures" / ("benchmark-gpu.json" if best_device() == "cuda" else "benchmark.json")
    record = measure(args.rows, args.quick, args.runs, out)
    if out is not None:
        from petseg.plots.speed import benchmark_figure
        from petseg.plots.style import save_figure

        print(f"written: {out} and {save_figure(benchmark_figure(record), out.with_suffix('.png'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
