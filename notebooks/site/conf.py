"""Settings of the site that `make site` builds with Sphinx; its sources are assembled in build/site/source."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import petseg

project = "petseg"
author = "the petseg authors"
copyright = f"{author}, MIT licence"
release = version = petseg.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Notebooks come with the outputs that are committed: nothing is run here.
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the set-up cell"  # no other cell is folded
nb_code_prompt_hide = "Hide the set-up cell"
nb_ipywidgets_js = {}  # no widget is shown, and none of its scripts is fetched
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_html_meta = {"description": "Image segmentation, learnt by building a U-Net"}

# Docstrings: Google's style, Markdown's single backticks are code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of a class are described once
add_module_names = False
suppress_warnings = [
    "ref.python"
]  # a plain word of a docstring, as `size`, is the name of several fields

html_theme = "sphinx_book_theme"
html_title = "petseg"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_context = {
    "default_mode": "auto"
}  # light or dark as the reader's system, until the button is pressed
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


def _escape_bars(
    app, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """The bars of an absolute value stay bars; reStructuredText would take them for a substitution."""
    lines[:] = [
        re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or r"\|", line) for line in lines
    ]


def _skip_generated(
    app, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leaves out what Python and matplotlib add to a class by themselves."""
    field = type(obj).__name__ == "_tuplegetter"
    return (
        True
        if field or (getattr(obj, "__module__", None) or "").startswith("matplotlib")
        else None
    )


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("autodoc-skip-member", _skip_generated)
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math_block, None))
