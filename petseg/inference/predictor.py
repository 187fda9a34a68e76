"""A released model, ready to segment photos: from the photo to logits in three steps."""

import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from petseg.errors import ModelError, PetsegWarning, SettingsError
from petseg.inference import photo as photos
from petseg.inference.photo import PhotoInput
from petseg.inference.segmentation import PET_THRESHOLD, Segmentation
from petseg.inference.two_pass import mean_logits, merge_logits, part_of, pet_boxes, pet_squares, pets_are_small
from petseg.models import zoo
from petseg.models.classifier import SIZE, load_classifier
from petseg.models.segmenter import best_device


class Predictor:
    """A released model, ready to segment photos; threads may share one.

    Args:
        model: a name of `zoo.available()`, or a path that ends in `.safetensors`; default: the most accurate released
            model that this installation can run.
        device: as PyTorch names it; default: "cuda" if there is one, else "mps", else "cpu".
        max_pixels: the largest photo that is decoded.
        passes: how often the network runs on a photo: 1, on the whole of it; 2, then also on each pet alone, where a
            small pet gets more pixels, and before that on the whole photo at twice the size, if its pets are small;
            see `two_pass`. More repeat the second pass.
        check_pet: whether a classifier is asked as well if there is a cat or a dog, for `Segmentation.found`. It takes
            some 20 ms and changes no pixel. Default: yes for a released model; yours may know other pets.

    Raises:
        ModelError: the model or the device is not available.
        SettingsError: fewer passes than 1.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str | torch.device | None = None,
        max_pixels: int = photos.MAX_PIXELS,
        passes: int = 2,
        check_pet: bool | None = None,
    ) -> None:
        self.passes = _checked_passes(passes)
        self.check_pet = Path(model or "").suffix != ".safetensors" if check_pet is None else check_pet
        self.max_pixels = max_pixels
        self.segmenter, self.card = zoo.load(model)
        self._model, self._device_is_chosen, self._lock = model, device is not None, Lock()
        device = device or best_device()
        try:
            self.device = torch.device(device)
            # channels-last: the layout that convolutions compute fastest in
            self.segmenter = self.segmenter.to(self.device).to(memory_format=torch.channels_last)
        except (AssertionError, RuntimeError) as error:
            self._use_cpu(device, error)

    def __call__(self, photo: PhotoInput, *, name: str | None = None) -> Segmentation:
        """Segments one photo, given as to `load_photo`; error messages call it `name`.

        Raises PhotoError if the photo cannot be used.
        """
        start = time.perf_counter()
        upright, alpha = photos.decode_photo(photo, max_pixels=self.max_pixels, name=name)
        logits = self.photo_logits(upright)
        pet = self.pet_probability(upright, logits) if self.check_pet else None
        return Segmentation(
            upright, logits.numpy(), time.perf_counter() - start, self.card.name, photo_alpha=alpha, pet_probability=pet
        )

    def load_photo(self, photo: PhotoInput, *, name: str | None = None) -> Image.Image:
        """Step 1: the upright RGB photo, at its own size; see `petseg.inference.photo.load_photo`."""
        return photos.load_photo(photo, max_pixels=self.max_pixels, name=name)

    def prepare(self, photo: Image.Image) -> Tensor:
        """Step 2: an RGB photo at the model's working size, as its training data were: see `resize_to_model`."""
        return resize_to_model(photo, self.card.size)

    @torch.inference_mode()
    def logits(self, image: Tensor) -> Tensor:
        """Step 3: runs the network on images (B, 3, h, w), float from 0 to 1 as `prepare` gives them, or uint8.

        Returns:
            float32 (B, 3, h, w) on the CPU: unnormalised scores in the order of `labels.CLASSES`.
        """
        device, segmenter = self.device, self.segmenter  # in this order: `_use_cpu` changes the segmenter first
        try:
            logits: Tensor = segmenter(image.to(device, memory_format=torch.channels_last))
            return logits.cpu().contiguous()
        except RuntimeError as error:
            if device.type == "cpu":
                raise
            self._use_cpu(device, error)
        return self.logits(image)  # on the CPU now

    def _use_cpu(self, device: str | torch.device, error: Exception) -> None:
        """Goes on with the CPU after a device failed that nobody chose; the first of several threads changes it."""
        reason = re.split(r"\.\s|\n", str(error))[0].rstrip(".")  # PyTorch adds paragraphs of advice
        if self._device_is_chosen:
            raise ModelError(f"device {device}: {reason}. Choose another, such as cpu.") from error
        with self._lock:
            if self.device.type != "cpu":
                # from the file, since what is on a failed device may be lost
                self.segmenter = zoo.load(self._model)[0].to(memory_format=torch.channels_last)
                self.device = torch.device("cpu")
                warnings.warn(f"{device}: {reason}. The CPU computes instead, slower.", PetsegWarning, stacklevel=2)

    def photo_logits(self, photo: Image.Image, passes: int | None = None) -> Tensor:
        """Steps 2 and 3, first on the whole photo, RGB and upright, and then on each part that shows a pet.

        Returns:
            float32 (3, h, w) on the CPU: logits of the whole photo at the working size.
        """
        passes = self.passes if passes is None else _checked_passes(passes)
        logits = self.logits(self.prepare(photo))[0] if passes == 1 else self.first_pass(photo)  # (3, h, w)
        for _ in range(passes - 1):
            for box in pet_boxes(logits, photo.size):  # none if no pet was found: there is nothing to enlarge
                closer = self.logits(self.prepare(part_of(photo, box)))[0]  # (3, h, w) of the box alone
                logits = merge_logits(logits, closer, box, photo.size)
        return logits

    def first_pass(self, photo: Image.Image) -> Tensor:
        """Logits of the whole photo, as `photo_logits`; where pets are small, the mean with those at twice the size."""
        logits = self.logits(self.prepare(photo))[0]
        if pets_are_small(logits):
            h, w = self.card.size
            larger = self.logits(resize_to_model(photo, (2 * h, 2 * w)))[0]  # (3, 2 h, 2 w)
            logits = mean_logits(logits, larger)
        return logits

    def pet_probability(self, photo: Image.Image, logits: Tensor) -> float:
        """The largest of `pet_probabilities`, or the first that leaves no doubt."""
        largest = 0.0
        for probability in self.pet_probabilities(photo, logits):
            if not probability < PET_THRESHOLD:  # so that NaN, for a drawing, ends it
                return probability
            largest = max(largest, probability)
        return largest

    @torch.inference_mode()
    def pet_probabilities(self, photo: Image.Image, logits: Tensor) -> Iterator[float]:
        """P(cat or dog) as `PetClassifier` computes it, of the whole photo and of each part that was segmented as pet.

        `photo` is RGB and upright, `logits` its `photo_logits`.
        """
        classifier = load_classifier()
        for box in [(0, 0, *photo.size), *pet_squares(logits, photo.size)]:
            yield float(classifier(resize_to_model(part_of(photo, box), SIZE)))


def resize_to_model(photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """A photo at the working size (height, width): float32 (1, 3, h, w), values 0 to 1."""
    h, w = size
    # Pillow averages over all pixels that become one, so fine stripes turn grey instead of into false stripes
    small = photo.resize((w, h), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(small))  # uint8 (h, w, 3)
    return pixels.permute(2, 0, 1).unsqueeze(0).float() / 255  # channels first, a batch of one


def _checked_passes(passes: int) -> int:
    if passes < 1:
        raise SettingsError(f"passes={passes}: expected 1 (the whole photo) or more. Leave it out for 2.")
    return passes
