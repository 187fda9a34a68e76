"""The upload-and-segment panel: ipywidgets around `Predictor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from PIL import Image

from petseg.apps import render as presentation
from petseg.apps.panel.parts import DropZone, Picture, Pictures
from petseg.apps.panel.sources import samples, typed_photo
from petseg.inference.predictor import Predictor, Segmentation
from petseg.labels import CLASSES
from petseg.models import zoo

#: Photos that stay open; the oldest goes first. Each takes 3 bytes a pixel.
KEPT = 8
CHOOSE = "choose a sample"


@dataclass(frozen=True)
class Entry:
    """A photo that was segmented: its name, the result, and a small one to show."""

    name: str
    result: Segmentation
    small: Segmentation


class Panel:
    """State and reactions of the panel; `view` is what a cell shows.

    Args:
        model: a released model, a path that ends in `.safetensors`, or a predictor that has loaded one; default: the
            most accurate model that can be run.
        images: folder of the data set's photos, for samples by breed.
    """

    def __init__(self, model: str | Predictor | None = None, images: Path | None = None) -> None:
        self._predictors: dict[str, Predictor] = {}
        if isinstance(model, Predictor):
            self._predictors[model.card.name] = model
            model = model.card.name
        elif model is None:
            model = zoo.best()
        self._entries: list[Entry] = []
        self._samples = samples(images)
        self._build(model)
        self._connect()
        self.view = self._arranged()

    # --- what is there ---------------------------------------------------------------------------------------------

    def _build(self, model: str) -> None:
        wide, words = {"width": "auto", "flex": "1 1 14em"}, {"description_width": "5.5em"}
        self.zone = DropZone(self._uploaded, self._say)
        self.path = widgets.Text(
            description="or open",
            placeholder="path or address of a photo",
            continuous_update=False,  # the text counts when Enter is pressed or the box is left
            style=words,
            layout=wide,
        )
        self.open = widgets.Button(description="Open", layout={"width": "5em"})
        self.sample = widgets.Dropdown(options=[CHOOSE, *self._samples], description="or try", style=words, layout=wide)
        known = presentation.models()
        listed = known if model in [name for _, name in known] else [(Path(model).stem, model), *known]
        self.model = widgets.Dropdown(options=listed, value=model, description="model", style=words, layout=wide)
        self.progress = widgets.IntProgress(layout={"width": "100%", "display": "none"})
        self.status = widgets.HTML()
        self.problems = widgets.HTML()
        self.entry = widgets.Dropdown(description="photo", style=words, layout={**wide, "display": "none"})
        self.legend = widgets.HTML()
        self.opacity = widgets.FloatSlider(
            0.5, min=0, max=1, step=0.05, description="opacity", style=words, layout=wide
        )
        self.classes = {
            name: widgets.Checkbox(value=name != "background", description=name, indent=False, layout={"width": "auto"})
            for name in CLASSES
        }
        self.ground = widgets.Dropdown(
            options=presentation.BACKGROUNDS, description="behind", style=words, layout={"width": "auto"}
        )
        self.color = widgets.ColorPicker(value="#ffffff", description="colour", style=words, layout={"width": "auto"})
        self.pictures = Pictures()
        self.saves = {
            kind: widgets.Button(description=f"Download {kind}", layout={"width": "auto"})
            for kind in ("overlay", "mask", "cut-out")
        }

    def _connect(self) -> None:
        self.open.on_click(lambda _: self._typed())
        self.path.observe(lambda _: self._typed(), "value")
        self.sample.observe(lambda change: self._sampled(change["new"]), "value")
        self.model.observe(lambda _: self._model_changed(), "value")
        self.entry.observe(self._chose, "value")
        for control in (self.opacity, *self.classes.values()):
            control.observe(lambda _: self._draw("overlay"), "value")
        for control in (self.ground, self.color):
            control.observe(lambda _: self._draw("cut-out"), "value")
        for kind, button in self.saves.items():
            button.on_click(lambda _, kind=kind: self._save(kind))

    def _arranged(self) -> widgets.VBox:
        row = {"flex_flow": "row wrap", "width": "100%"}
        self.results = widgets.VBox(
            [
                widgets.HBox([self.entry], layout=row),
                self.legend,
                widgets.HBox([self.opacity, *self.classes.values()], layout=row),
                self.pictures,
                widgets.HBox([self.ground, self.color], layout=row),
                widgets.HBox(list(self.saves.values()), layout=row),
            ],
            layout={"display": "none"},
        )
        return widgets.VBox(
            [
                self.zone,
                widgets.HBox([self.path, self.open, self.sample], layout=row),
                widgets.HBox([self.model], layout=row),
                self.progress,
                self.status,
                self.problems,
                self.results,
            ],
            layout={"max_width": "1100px"},
        )

    # --- photos come in --------------------------------------------------------------------------------------------

    def _uploaded(self, name: str, data: bytes, place: int, of: int) -> None:
        self._segment(name, lambda: data, place, of)

    def _typed(self) -> None:
        text, self.path.value = self.path.value, ""  # empty again, so that the button does not open it once more
        if not text.strip():
            return
        try:
            name, data = typed_photo(text)
        except Exception as error:
            self.problems.value = ""
            self._say(presentation.sentence(error, text))
        else:
            self._segment(name, lambda: data)

    def _sampled(self, name: str) -> None:
        if name != CHOOSE:
            self._segment(name, self._samples[name])
            self.sample.value = CHOOSE  # so that the same can be chosen again

    def _segment(self, name: str, photo: Callable[[], Any], place: int = 1, of: int = 1) -> None:
        number = f" ({place} of {of})" if of > 1 else ""
        with self._busy(f"Segmenting {name}{number} …", place, of):
            try:
                with presentation.remarks() as said:
                    result = self._predictor()(photo(), name=name)
                self._keep(Entry(name, result, presentation.preview(result)))
            except Exception as error:
                said = [presentation.sentence(error, name)]
            for words in said:
                self._say(words)

    def _predictor(self) -> Predictor:
        name = self.model.value
        if name not in self._predictors:
            self._predictors[name] = Predictor(name)
        return self._predictors[name]

    def _model_changed(self) -> None:
        """Segments the photo that is shown once more; the others when they are chosen."""
        if (entry := self._chosen()) is not None:
            self._again(entry)

    def _again(self, entry: Entry) -> None:
        with self._busy(f"Segmenting {entry.name} …"):
            try:
                result = self._predictor()(entry.result.photo, name=entry.name)
            except Exception as error:
                self._say(presentation.sentence(error, entry.name))
                return
            place = self._entries.index(entry)
            self._entries[place] = Entry(entry.name, result, presentation.preview(result))
            self._show()

    # --- results go out --------------------------------------------------------------------------------------------

    def _keep(self, entry: Entry) -> None:
        self._entries = [*self._entries, entry][-KEPT:]
        names = [(f"{place}. {kept.name}", place - 1) for place, kept in enumerate(self._entries, start=1)]
        self.entry.unobserve(self._chose, "value")  # it is shown once, below
        self.entry.options = names
        self.entry.value = len(names) - 1
        self.entry.observe(self._chose, "value")
        self.entry.layout.display = "" if len(names) > 1 else "none"
        self._show()

    def _chose(self, change: Any) -> None:
        self._show()

    def _chosen(self) -> Entry | None:
        return self._entries[self.entry.value or 0] if self._entries else None

    def _show(self) -> None:
        if (entry := self._chosen()) is None:
            return
        card = self._predictors.get(self.model.value)
        if card is not None and card.card.name != entry.result.model:
            self._again(entry)
            return
        self.results.layout.display = ""
        self._draw("photo", "overlay", "mask", "cut-out", "confidence")
        caption = presentation.as_html(f"{entry.name}: {presentation.caption(entry.result)}")
        self.legend.value = f"{presentation.legend(entry.result.shares)}<div>{caption}</div>"

    def _draw(self, *kinds: str) -> None:
        if (entry := self._chosen()) is not None:
            self.pictures.show([self._picture(kind, entry) for kind in kinds])

    def _picture(self, kind: str, entry: Entry) -> Picture:
        words = presentation.description(entry.small)
        drawn = presentation.hatched_mask(entry.small) if kind == "mask" else self._drawn(kind, entry.small)
        title = {"confidence": "confidence: light is sure"}.get(kind, kind)
        if drawn.mode in ("P", "RGBA"):
            return Picture(kind, title, f"{kind.capitalize()}. {words}", presentation.png(drawn), "image/png")
        return Picture(kind, title, f"{kind.capitalize()}. {words}", presentation.jpeg(drawn))

    def _drawn(self, kind: str, result: Segmentation) -> Image.Image:
        painted = [name for name, box in self.classes.items() if box.value]
        look = presentation.Look(self.opacity.value, painted, self.ground.value, self.color.value)
        return look.draw(result, kind.replace("-", ""))

    def _save(self, kind: str) -> None:
        """The file at the photo's own size, drawn when it is asked for."""
        if (entry := self._chosen()) is not None:
            with self._busy(f"Preparing {kind} of {entry.name} …"):
                data = presentation.png(self._drawn(kind, entry.result))
                self.pictures.save(presentation.file_name(entry.name, kind.replace("-", "")), data)

    # --- what is going on ------------------------------------------------------------------------------------------

    @contextmanager
    def _busy(self, words: str, place: int = 1, of: int = 1) -> Iterator[None]:
        """Says what is being done, and forgets what went wrong before this batch."""
        if place == 1:
            self.problems.value = ""
        self.zone.busy = True
        self.status.value = _spoken(words, "status")
        self.progress.max, self.progress.value = of, place - 1
        self.progress.layout.display = ""
        try:
            yield
        finally:
            self.status.value = ""
            self.progress.layout.display = "none"
            self.zone.busy = False

    def _say(self, sentence: str) -> None:
        """Adds a sentence about what went wrong, or is worth knowing."""
        self.problems.value += _spoken(sentence, "alert")


def _spoken(sentence: str, role: str) -> str:
    """HTML that a screen reader reads out when it appears."""
    return f'<div role="{role}">{presentation.as_html(sentence)}</div>'


def segment_panel(model: str | Predictor | None = None, images: Path | None = None) -> widgets.VBox:
    """The panel: drop a photo, see the pet found, take the cut-out home.

    Args:
        model: what is chosen at first: a released model, a path that ends in `.safetensors`, or a predictor; by
            default the most accurate that can be run.
        images: folder of the data set's photos, if samples by breed shall be offered.

    Returns:
        the widget, for the last line of a cell.
    """
    return Panel(model, images).view
