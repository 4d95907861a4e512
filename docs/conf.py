"""Settings of the documentation: Sphinx, furo, MyST; nothing is fetched from the network."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

import landscape_compat

project = "landscape-compat"
copyright = "The landscape_compat authors"  # noqa: A001 - Sphinx wants this name
author = "The landscape_compat authors"
release = version = version_of("landscape-compat")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"landscape-compat {release}"
html_show_sphinx = False
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

nitpicky = True
# What is documented elsewhere is not linked, for that would need the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(sqlalchemy|structlog|wrapt|rfc8785|pytest)\..*"),
    (
        r"py:.*",
        r"(collections|concurrent|contextlib|datetime|enum|os|pathlib|types|typing|_io|io)\..*",
    ),
    (r"py:class", r"(optional|iterable|callable|any|bool|bytes|dict|float|int|list|str|tuple)"),
    (r"py:(obj|exc|class|data)", r"(None|Ellipsis|T|\.\.\.|[A-Z][A-Za-z]*(Error|Warning))"),
    # Types that a signature names and that nobody needs to know in order to call it.
    (r"py:.*", r"landscape_compat\.(schema|projection|engine|landscape|export|migrate)\..*"),
    # Those of `Attachment`, whose module imports some of them for its signatures alone.
    (
        r"py:class",
        r"Engine|MetaData|Posture|Lookout|Hooks|ServerHooks|DuckDBHooks|KnownShape",
    ),
]


def _find_public(_: Any, environment: Any, node: Any, content: Any) -> Any:
    """Point a type that is named by its module at its public name, where it has one."""
    name = str(node.get("reftarget", "")).rpartition(".")[2]
    if name not in landscape_compat.__all__ or node.get("refdomain") != "py":
        return None
    builder = environment.app.builder
    domain = environment.get_domain("py")
    for kind in ("class", "exc", "func", "data"):
        found = domain.resolve_xref(
            environment,
            node.get("refdoc", ""),
            builder,
            kind,
            f"landscape_compat.{name}",
            node,
            content,
        )
        if found is not None:
            return found
    return None


def setup(app: Any) -> None:
    """Register the search for public names."""
    app.connect("missing-reference", _find_public)
