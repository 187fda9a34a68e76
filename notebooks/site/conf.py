"""Sphinx's settings for the site; `make site` assembles its sources in build/site/source."""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import petseg

project = "petseg"
author = "the petseg authors"
copyright = f"{author}, MIT licence"
release = version = petseg.__version__
language = "en"
templates_path = [str(Path(__file__).with_name("templates"))]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
copybutton_selector = "div:not(.output) > div.highlight pre"  # code, not what it prints

# Notebooks come with the outputs that are committed: nothing is run here.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the set-up cell"  # no other cell is folded
nb_code_prompt_hide = "Hide the set-up cell"
nb_ipywidgets_js = {}  # no widget is shown, and none of its scripts is fetched
myst_enable_extensions = ["dollarmath", "colon_fence", "substitution"]
myst_heading_anchors = 4
myst_html_meta = {
    "description": "Image segmentation, learned by building a U-Net step by step"
}


# the anchor of a heading, as JupyterLab makes it
myst_heading_slug_func = "petseg.upkeep.site.anchor"


def _minutes() -> str:
    """A table of the notebooks: how long each runs in each profile."""
    record = Path(__file__).parents[2] / "figures/minutes.json"
    records = json.loads(record.read_text(encoding="utf-8"))
    profiles = ["quick", "full", "full on a GPU"]
    profiles = [p for p in profiles if any(p in times for times in records.values())]
    lines = [["notebook", *profiles], ["---"] * (1 + len(profiles))]
    for name, times in records.items():
        seconds = [times.get(profile, {}).get("seconds") for profile in profiles]
        cells = [
            "" if s is None else f"{s} s" if s < 60 else f"{s / 60:.0f} min"
            for s in seconds
        ]
        lines.append([f"[](/{name}.ipynb)", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


myst_substitutions = {"notebooks": _minutes()}

# Docstrings: Google's style, Markdown's single backticks are code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of a class are described once
add_module_names = False
nitpick_ignore_regex = [("py:.*", r"(?!petseg\.).*")]  # types of other packages

html_theme = "sphinx_book_theme"
html_title = "petseg"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_search_scorer = str(Path(__file__).with_name("static") / "scorer.js")
html_context = {"default_mode": "auto"}  # light or dark as the reader's system
html_theme_options = {
    "repository_url": "https://github.com/petseg/petseg",
    "repository_branch": "main",
    "path_to_docs": "notebooks",
    "use_repository_button": True,
    "use_download_button": False,  # Colab and the repository have the notebooks
    "launch_buttons": {
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "navbar_persistent": [],  # the search stands in the side bar
    "footer_content_items": ["copyright.html"],
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}
html_math_renderer = "mathml"


def _visit_math(self, node: nodes.math) -> None:
    """Formulas as MathML, which browsers draw themselves: no script is needed, and no network."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _visit_math_block(self, node: nodes.math_block) -> None:
    self.body.append(
        f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>'
    )
    raise nodes.SkipNode


def _badges_as_words(app: Any, doctree: nodes.document) -> None:
    """A badge is a picture from another server; its words need no network."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].startswith("https:"):
            image.replace_self(nodes.Text(image["alt"]))


def _skip_generated(
    app: Any, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Leaves out what Python and matplotlib add to a class by themselves."""
    field = type(member).__name__ == "_tuplegetter"
    foreign = str(getattr(member, "__module__", "")).startswith("matplotlib")
    return True if field or foreign else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _skip_generated)
    app.connect("doctree-read", _badges_as_words)
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math_block, None))
