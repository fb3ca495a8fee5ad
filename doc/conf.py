"""Configuration of the documentation site."""

from numpydoc.docscrape_sphinx import SphinxDocString

import skmeta

project = "skmeta"
author = "The skmeta developers"
copyright = author
version = release = skmeta.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
default_role = "literal"
smartquotes = False
templates_path = ["_templates"]

# The class template lists the methods; the docstring lists the attributes.
autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"  # docstrings state the types

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": "skmeta",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    # Leave out what differs from build to build.
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skmeta"
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["skmeta.css"]
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
_SINGLE_PAGES = (
    "index",
    "getting_started",
    "choosing",
    "tasks",
    "uncertainty",
    "mixed_effects",
    "algorithms",
    "guarantees",
    "datasets",
    "development",
)
html_sidebars = {page: [] for page in _SINGLE_PAGES}


def _skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn brings, and attributes of the class docstring."""
    routing = name.startswith("set_") and name.endswith("_request")
    inherited = (getattr(obj, "__module__", None) or "").startswith("sklearn")
    return True if routing or inherited or isinstance(obj, property) else None


def _keep_description(self, name, description, fake_autosummary):
    """Describe an attribute by the class docstring rather than the property's."""
    return f"**{self._escape_args_and_kwargs(name.strip())}**", description


def setup(app):
    SphinxDocString._process_param = _keep_description
    app.connect("autodoc-skip-member", _skip_member)
