"""Configuration of the documentation: Sphinx, MyST-NB, numpydoc and the gallery."""

import functools
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorgrad

ROOT = Path(__file__).resolve().parents[1]

project = "tensorgrad"
author = "The tensorgrad developers"
copyright = author
version = release = tensorgrad.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_nb",
]

templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "gallery/*.rst",
    "**/README.rst",
    "sg_execution_times.rst",
    "auto_gallery/sg_execution_times.rst",
    "**/*.ipynb",
]
nitpicky = False

# Pages.

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
# "python" blocks hold sessions too, whose output is no Python.
suppress_warnings = ["misc.highlighting_failure"]

# Pages with cells are run, and show what they print and draw. Messages name a file and
# a line: of cells that would be a temporary file.

os.environ["IPYKERNEL_CELL_NAME"] = "example.py"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "warn"

# Reference.

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
# What is left out, and why, stands in one place.
_tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
numpydoc_validation_checks = set(_tools["numpydoc_validation"]["checks"])
# The other exclusions make up for what a linter cannot see in the source.
numpydoc_validation_exclude = set(_tools["numpydoc_validation"]["exclude"][:2])


def _as_function(op: tensorgrad.Primitive) -> Callable[..., Any]:
    @functools.wraps(op.forward)
    def function(*args: Any, **kwargs: Any) -> Any:
        return op(*args, **kwargs)

    function.__module__ = "tensorgrad"
    return function


# Operations are instances, which Sphinx would show as data: without a signature.
for _name in tensorgrad.__all__:
    if isinstance(_op := getattr(tensorgrad, _name), tensorgrad.Primitive):
        setattr(tensorgrad, _name, _as_function(_op))

# Gallery.

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"_shared\.py$",
    "abort_on_example_error": True,
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 10_000,
}

# Appearance.

html_theme = "pydata_sphinx_theme"
html_title = "tensorgrad"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_sidebars = {"start": []}
html_theme_options = {
    "logo": {
        "image_light": "_static/favicon.svg",
        "image_dark": "_static/favicon.svg",
        "text": "tensorgrad",
    },
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_nav_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
