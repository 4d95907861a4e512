"""One page of HTML about a database: complete in itself, without scripts, for people to look at."""

from __future__ import annotations

from landscape_compat.export.page.page import make_page, write_page

__all__ = ["make_page", "write_page"]
