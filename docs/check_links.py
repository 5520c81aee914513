"""Follow every link of the built site that stays inside it: `python docs/check_links.py docs/_build/html`.

A link to a page that is not there, or to a place that the page does not have, is printed with the page it stands on.
The exit status is 1 if there is one. Links to other sites are not followed: the check needs no network.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note href, src, id and name."""
        for name, value in attrs:
            if value and (name == "href" or (name == "src" and tag != "script")):
                self.links.append(value)
            elif value and (name == "id" or (name == "name" and tag == "a")):
                self.places.add(value)


def broken_links(site: Path) -> list[str]:
    """One line for each link that leads nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists():
                broken.append(f"{path.relative_to(site)}: {link}: there is no such file")
            elif place and target in pages and place not in pages[target].places:
                broken.append(f"{path.relative_to(site)}: {link}: the page has no such place")
    return broken


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "index.html").exists():
        sys.exit("usage: python docs/check_links.py FOLDER, the folder of a built site")
    found = broken_links(Path(sys.argv[1]).resolve())
    print("\n".join(found) or "no broken link")
    sys.exit(bool(found))
