"""Configuration of the documentation site."""

import zlib
from importlib.metadata import distribution
from pathlib import Path

from numpydoc.docscrape_sphinx import SphinxDocString

import skmeta

project = "skmeta"
author = "The skmeta developers"
copyright = author
version = release = skmeta.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "inventories"]
default_role = "literal"
smartquotes = False
templates_path = ["_templates"]

# The class template lists the methods; the docstring lists the attributes.
autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"  # docstrings state the types

# MathJax is one file beside the pages, so that formulas need no network.
_mathjax = distribution("sphinx-mathjax-offline").locate_file(
    "sphinx-mathjax-offline/static/mathjax/tex-svg.js"
)
mathjax_path = "tex-svg.js"

plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = ["png"]

copybutton_prompt_text = r">>> |\.\.\. |\$ |> "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"


def _offline_inventory(project):
    """Compress `inventories/project.txt`, the names that are linked to.

    It serves if the full inventory cannot be downloaded.
    """
    names = Path(__file__).parent / "inventories" / f"{project}.txt"
    header = (
        "# Sphinx inventory version 2\n"
        f"# Project: {project}\n"
        "# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    path = Path(__file__).parent / "generated" / "inventories" / f"{project}.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress(names.read_bytes()))
    return str(path)


intersphinx_mapping = {
    project: (url, (None, _offline_inventory(project)))
    for project, url in {
        "joblib": "https://joblib.readthedocs.io/en/latest/",
        "pandas": "https://pandas.pydata.org/docs/",
        "sklearn": "https://scikit-learn.org/stable/",
        "statsmodels": "https://www.statsmodels.org/stable/",
    }.items()
}
intersphinx_timeout = 5

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
html_static_path = ["_static", str(_mathjax)]
html_css_files = ["skmeta.css"]
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": {"**": ["page-toc"], "coming_from": []},
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages that use the width of the window.
html_sidebars = {
    page: [] for page in ("index", "getting_started", "coming_from", "development")
}


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
