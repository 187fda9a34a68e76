"""Weights files that lie or are damaged: each is one sentence, never a traceback, and no code of theirs runs."""

import json
import pickle
import random
import re
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load, save

from petseg import cli
from petseg.errors import PetsegError
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard

from . import Tally, refused

NAME = "weights"

#: A title, the content of a file, and what the sentence about it says.
Case = tuple[str, bytes, str]

DAMAGED = "not a safetensors file, or damaged"
HEAD = "head.weight"


def run(scale: str) -> dict[str, Any]:
    """Loads every file, some also as `--model`; then flips bytes of a good file and cuts it."""
    tally, generator = Tally(), random.Random(0)
    with TemporaryDirectory() as name:
        root = Path(name)
        good = written(root / "good.safetensors")
        file = root / "some.safetensors"
        Image.new("RGB", (40, 30), "gray").save(root / "photo.png")
        ran = root / "ran.txt"
        for number, (title, content, sentence) in enumerate([*containers(good, ran), *tensors(good), *cards(good)]):
            file.write_bytes(content)
            with tally.case(title, seconds=20):
                refused(lambda: zoo.load(file), sentence)
            if number % (1 if scale == "full" else 6) == 0:
                with tally.case(f"petseg segment: {title}", seconds=20):
                    commanded(["segment", str(root / "photo.png"), "--out", str(root), "--model", str(file)], sentence)
        assert not ran.exists(), "a file ran code"
        for number in range(1_500 if scale == "full" else 100):
            with tally.case(f"mutant {number}", seconds=20):
                file.write_bytes(mutated(good, generator))
                used_or_refused(file)
    return tally.row()


def written(path: Path) -> bytes:
    """A good file of a tiny network."""
    torch.manual_seed(0)
    segmenter = Segmenter(UNet(channels=(4, 8)))
    zoo.save(path, segmenter, ModelCard.of(segmenter, name="some", size=(32, 32), scores={"val": {"mean_iou": 0.5}}))
    return path.read_bytes()


def commanded(arguments: list[str], sentence: str) -> None:
    """Asserts that a command ends with status 1 and this sentence."""
    with redirect_stderr(StringIO()) as errors, redirect_stdout(StringIO()):
        status = cli.main(arguments)
    said = [line for line in errors.getvalue().splitlines() if line.startswith("petseg: ")]
    assert (status, len(said)) == (1, 1), f"status {status}: {errors.getvalue()[-300:]}"
    assert re.search(sentence, said[0]), f"expected {sentence!r}, said: {said[0]}"


def used_or_refused(path: Path) -> None:
    """Asserts that a file is refused, or that its card can be read and its logits are numbers."""
    try:
        segmenter, card = zoo.load(path)
    except PetsegError:
        return
    assert card.markdown()
    with torch.no_grad():
        assert segmenter(torch.rand(1, 3, 16, 16)).isfinite().all(), "logits that are not numbers"


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def joined(header: Any, body: bytes, length: int | None = None) -> bytes:
    """A safetensors file of a header, as an object or as bytes, and tensors."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def containers(good: bytes, ran: Path) -> Iterator[Case]:
    """Other files, pickles, and safetensors whose header lies about the file."""
    header, body = split(good)

    class Payload:
        """What a pickle runs when it is loaded."""

        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    archive, checkpoint = BytesIO(), BytesIO()
    zipfile.ZipFile(archive, "w").writestr("a.txt", "a")
    torch.save({"state_dict": {}, "extra": Payload()}, checkpoint)
    others = {"pickle": pickle.dumps(Payload()), "checkpoint": checkpoint.getvalue(), "zip": archive.getvalue()}
    others |= {"empty": b"", "HTML": b"<!DOCTYPE html>" * 90, "zeros": bytes(9000), "ones": b"\xff" * 9000}
    others |= {f"cut after {n}": good[:n] for n in (1, 7, 8, 9, 100, len(good) // 2, len(good) - 1)}
    others |= {"longer": good + b"\0", "doubled": good * 2, "no header": body, "header alone": good[: -len(body)]}
    for length in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1):
        others[f"header of {length} bytes"] = joined(header, body, length)
    for text in (b"", b"{", b"[]", b"null", b"1", b'"a"', b"\xff\xfe{}", b"[" * 100_000, b"{}"):
        others[f"header {text[:9]!r}"] = joined(text, body)
    end = header[HEAD]["data_offsets"][1]
    changes = {"data_offsets": [[0, 2**62], [-1, 5], [5, 1], [0, 1], [end, end + 24], [1.5, 2], []]}
    changes |= {"dtype": ["F99", "", None, 5, "F64", "I64"], "shape": [[2**40, 2**40], [-3, 4, 1, 1], "a", [3.0, 4]]}
    for key, values in changes.items():
        for value in values:
            others[f"{key} {value}"] = joined(header | {HEAD: header[HEAD] | {key: value}}, body)
    others["metadata of numbers"] = joined(header | {"__metadata__": {"name": 5}}, body)
    for title, content in others.items():
        yield title, content, DAMAGED
    yield "no metadata", joined({k: v for k, v in header.items() if k != "__metadata__"}, body), "the header lacks name"


def tensors(good: bytes) -> Iterator[Case]:
    """Tensors that are missing, extra, wrongly shaped, of another type, or not numbers."""
    metadata, state = split(good)[0]["__metadata__"], load(good)
    shape, variance = state[HEAD], "encoder.0.1.running_var"
    changed: dict[str, tuple[dict[str, Any], str]] = {
        "missing": ({key: value for key, value in state.items() if key != HEAD}, "first head.weight: nothing came"),
        "none": ({}, "tensors do not fit"),
        "extra": (state | {"more": torch.zeros(2)}, r"first more: .* came, nothing expected"),
        "renamed": ({f"module.{key}": value for key, value in state.items()}, "tensors do not fit"),
        "scalar": (state | {HEAD: torch.tensor(1.0)}, r"first head.weight: float \(\) came"),
        "transposed": (state | {HEAD: shape.transpose(0, 1).contiguous()}, r"first head.weight: float \(4, 3, 1, 1\)"),
        "no elements": (state | {HEAD: shape[:0]}, r"first head.weight: float \(0, 4, 1, 1\)"),
        "variance below 0": (state | {variance: -state[variance]}, f"{variance} holds .*below 0"),
    }
    for kind in (torch.int64, torch.bool, torch.uint8, torch.uint16, torch.complex64):
        changed[f"{kind}"] = (state | {HEAD: shape.to(kind)}, "first head.weight: torch.* came, float .* expected")
    for value in (float("nan"), float("inf"), -float("inf")):
        for key in (HEAD, "head.bias", variance):
            broken = state[key].clone()
            broken.view(-1)[0] = value
            changed[f"{key} {value}"] = (state | {key: broken}, f"{key} holds values that are not finite")
    for title, (entries, sentence) in changed.items():
        yield title, save(entries, metadata), sentence


def cards(good: bytes) -> Iterator[Case]:
    """Cards that do not describe the tensors, in fields of the wrong kind, or that name classes of other code."""
    header, body = split(good)
    deep, fits = "[" * 100_000 + "]" * 100_000, "do not fit|cannot be built|damaged"
    values: dict[str, tuple[Any, str]] = {
        "architecture": (["os.system", "unet ", "torch.nn.Linear", "../unet", ""], "this petseg knows unet"),
        "settings": ([{"channels": c} for c in ([], [0], [-4], [4, 16], "48", [4.5, 8], [10**30], [1] * 5000)], fits),
        "mean": ([[], [1, 2], "abc", None, [9, 9, 9], {"a": 1}, 5], "card is damaged"),
        "std": ([[0, 0, 0], [-1, 1, 1], [float("nan")] * 3, ["a"] * 3], "card is damaged"),
        "size": ([[0, 32], [32], [1e9, 32], [32.5, 32], 32, None, [10**9, 10**9]], "card is damaged"),
        "classes": (
            [[], ["pet"], "pet", 5, [1, 2, 3]],
            "card is damaged|finds (nothing|pet); expected pet, background,",
        ),
        "parameters": ([0, -1, 10**400, "a", 1.5], "card is damaged|the card says"),
        "name": ([5, None, []], "card is damaged"),
    }
    texts = [(field, json.dumps(value), sentence) for field, (some, sentence) in values.items() for value in some]
    texts += [(field, text, "card is damaged") for field in values for text in ("", "{", deep, "9" * 9000, "\0")]
    texts += [("settings", '{"__class__": "os.system"}', fits), ("architecture", '"pretrained-unet"', ".")]
    texts += [(field, deep, "card is damaged") for field in ("scores", "data", "recipe", "limits")]
    texts += [(field, "[5]", "card is damaged") for field in ("scores", "recipe", "limits", "licence", "version")]
    for field, text, sentence in texts:
        metadata = header["__metadata__"] | {field: text}
        yield f"{field} {text[:30]}", joined(header | {"__metadata__": metadata}, body), sentence


def mutated(content: bytes, generator: random.Random) -> bytes:
    """The content with flipped bits, mostly in its header, or cut off."""
    changed = bytearray(content)
    end = generator.choice([8, 8 + int.from_bytes(content[:8], "little"), len(content)])
    for _ in range(generator.randint(1, 4)):
        changed[generator.randrange(end)] ^= 1 << generator.randrange(8)
    return bytes(changed[: generator.randrange(len(content))] if generator.random() < 0.2 else changed)
