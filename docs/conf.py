"""How the site is built (`make docs`); neither the build nor the pages need a network."""

import hashlib
import importlib
import importlib.util
import os
import re
import shutil
from pathlib import Path

import rankloom

project = "rankloom"
author = "The rankloom authors"
copyright = "the rankloom authors"  # noqa: A001 - Sphinx names it so
version = release = rankloom.__version__


def digest_of_sources() -> str:
    """Return a digest of the library: what cells print, and docstrings say, changes with it."""
    package = Path(rankloom.__file__).parent
    digest = hashlib.sha256()
    for folder, subfolders, files in os.walk(package, followlinks=True):
        subfolders.sort()
        for name in sorted(files):
            if name.endswith((".py", ".pyi")):
                digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()[:12]


DOCS = Path(__file__).parent
LIBRARY = digest_of_sources()


def write_displays() -> None:
    """Write the page of the classes that draw results: all public names that end in Display."""
    lines = ["Pictures of results", "===================", ""]
    lines += ["`plot` of a result returns one of these: arrays, and a `plot(ax=None)` of its own,"]
    lines += ["which draws them on other axes.", ""]
    listed: set[type] = set()  # some are exported by two packages
    for name in ("datasets", "ltr", "bandit", "retrieval", "insights"):
        package = importlib.import_module(f"rankloom.{name}")
        named = [public for public in package.__all__ if public.endswith("Display")]
        displays = [public for public in named if getattr(package, public) not in listed]
        listed |= {getattr(package, display) for display in displays}
        if displays:
            lines += [f".. currentmodule:: rankloom.{name}", "", ".. autosummary::"]
            lines += ["   :toctree: .", "", *(f"   {display}" for display in displays), ""]
    (GENERATED / "displays.rst").write_text("\n".join(lines), encoding="utf-8")


# Pages of names that the library had before would be pages that no list leads to.
GENERATED = DOCS / "reference" / "generated"
MADE_FOR = GENERATED / "library"
if not MADE_FOR.exists() or MADE_FOR.read_text(encoding="utf-8") != LIBRARY:
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    write_displays()
    MADE_FOR.write_text(LIBRARY, encoding="utf-8")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True
# In docstrings `name` links to what is documented under it, and is code where nothing is: a
# parameter, another library's function. References in pages name their role, and must resolve.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", r".*")]

# The API. Types stand in the docstrings; generated pages are not committed.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Cells run when the site is built, in a folder of their own. What they print is kept in the build's
# folder until they or the library change; what they write to stderr is a warning, so an error.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "cells" / LIBRARY)
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_output_stderr = "warn"
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # from another host

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "amsmath"]
myst_heading_anchors = 4

html_theme = "pydata_sphinx_theme"
html_title = f"rankloom {release}"
mathjax_path = "mathjax/tex-chtml.js"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 4,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def name_files_outside(app, docname, source):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Show links to files that a checkout has and the site has not as their names."""
    folder = Path(app.env.doc2path(docname)).parent

    def name_or_link(found: re.Match[str]) -> str:
        inside = (folder / found[2]).resolve().is_relative_to(DOCS)
        return found[0] if inside else f"`{found[1].strip('`')}`"

    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)#]*)[^)]*\)", name_or_link, source[0])


def copy_mathjax(app, exception):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Put MathJax, of which that package is a copy, and its fonts beside the pages."""
    if exception is None and app.builder.format == "html":
        package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
        source, target = package / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
        shutil.copytree(source / "output", target / "output", dirs_exist_ok=True)
        shutil.copy(source / "tex-chtml.js", target)


def setup(app):  # noqa: ANN001, ANN201 - Sphinx calls it
    """Read all pages anew where the library changed."""
    app.add_config_value("library", LIBRARY, "env")
    app.connect("source-read", name_files_outside)
    app.connect("build-finished", copy_mathjax)
