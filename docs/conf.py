"""Configuration of the documentation: Sphinx, MyST, numpydoc and the gallery."""

import tensorgrad

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
    "myst_parser",
]

exclude_patterns = ["_build", "gallery/*.rst", "**/README.rst"]
nitpicky = False

# Pages.

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
# "python" blocks hold sessions too, whose output is no Python.
suppress_warnings = ["misc.highlighting_failure"]

# Reference.

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = {"all", "ES01", "EX01", "GL01", "SA01", "SS05"}

# Gallery.

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"_shared\.py$",
    "abort_on_example_error": True,
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
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_nav_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
