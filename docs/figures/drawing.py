"""A drawing on which things are placed by their coordinates, and that is saved as SVG.

An SVG of our own is small, sharp at every size, and can follow the reader's light or dark mode: its colours are
classes, and the style sheet inside it holds both sets. It brings its own background along, so it stays legible
on a page of either colour. matplotlib can do neither, which is why these figures are not drawn with it.
"""

from __future__ import annotations

from html import escape

STYLE = """
  svg { --paper: #f7f8fa; --card: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #aab2bc; --off: #e4e8ec;
        --blue: #1f6fb2; --orange: #bf4b06; --green: #2c7a48; --purple: #7d4aa0; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #1b1e22; --card: #262b31; --ink: #e8ebee; --soft: #aab4bf; --line: #6b7683; --off: #373d45;
          --blue: #63b0ee; --orange: #ff9d5c; --green: #6fce8e; --purple: #cf9bf0; }
  }
  text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink); }
  .code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
  .bold { font-weight: 650; }
"""
ANCHORS = {"left": "start", "middle": "middle", "right": "end"}


def colour(name: str) -> str:
    """The CSS value of one of the style sheet's colours; "none" stays none."""
    return name if name == "none" else f"var(--{name})"


def number(x: float) -> str:
    """A coordinate to a hundredth of a pixel: more digits only make files that differ by rounding."""
    return f"{round(x, 2) + 0.0:g}"


class Drawing:
    """An SVG under construction.

    Args:
        width, height: size of the canvas in pixels, at which text of size 16 is comfortable.
        title: what the picture shows, for those who cannot see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []
        self.rect(0, 0, width, height, fill="paper", radius=10)

    def tag(self, name: str, text: str | None = None, **attributes: object) -> None:
        """Add an element; an underscore in an attribute's name stands for a hyphen."""
        written = " ".join(
            f'{key.replace("_", "-")}="{number(value) if isinstance(value, float) else escape(str(value))}"'
            for key, value in attributes.items()
            if value not in (None, "")
        )
        self.parts.append(f"<{name} {written}/>" if text is None else f"<{name} {written}>{escape(text)}</{name}>")

    def rect(
        self, x: float, y: float, width: float, height: float, *,
        fill: str = "card", stroke: str = "none", thickness: float = 1.5, radius: float = 6, opacity: float = 1.0,
        dash: str = "",
    ) -> None:  # fmt: skip
        """A rectangle from its upper left corner."""
        self.tag(
            "rect", x=float(x), y=float(y), width=float(width), height=float(height), rx=float(radius),
            fill=colour(fill), stroke_dasharray=dash,
            **({"stroke": colour(stroke), "stroke_width": thickness} if stroke != "none" else {}),
            fill_opacity=opacity if opacity != 1.0 else None,
        )  # fmt: skip

    def circle(self, x: float, y: float, radius: float, *, fill: str = "card", stroke: str = "none") -> None:
        """A circle around its middle."""
        self.tag("circle", cx=float(x), cy=float(y), r=float(radius), fill=colour(fill), stroke=colour(stroke),
                 stroke_width=1.5)  # fmt: skip

    def text(
        self, x: float, y: float, text: str, *,
        size: float = 15, align: str = "middle", ink: str = "ink", code: bool = False, bold: bool = False,
    ) -> None:  # fmt: skip
        """One line of text; `y` is its base line."""
        classes = " ".join(name for name, wanted in (("code", code), ("bold", bold)) if wanted)
        self.tag("text", text, x=float(x), y=float(y), font_size=size, text_anchor=ANCHORS[align],
                 style=f"fill:{colour(ink)};white-space:pre", **({"class": classes} if classes else {}))  # fmt: skip

    def curve(
        self, points: list[tuple[float, float]], *, ink: str = "ink", thickness: float = 2, dash: str = ""
    ) -> None:
        """Straight lines through points."""
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self.tag("path", d=path, fill="none", stroke=colour(ink), stroke_width=thickness, stroke_dasharray=dash,
                 stroke_linejoin="round", stroke_linecap="round")  # fmt: skip

    def line(self, x0: float, y0: float, x1: float, y1: float, **look: object) -> None:
        """One straight line; takes what `curve` takes."""
        self.curve([(x0, y0), (x1, y1)], **look)  # type: ignore[arg-type]

    def arrow(self, x0: float, y0: float, x1: float, y1: float, *, ink: str = "ink", thickness: float = 2,
              dash: str = "") -> None:  # fmt: skip
        """A straight arrow; its head ends at (x1, y1)."""
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        head = 4 + 2.5 * thickness
        neck_x, neck_y = x1 - head * ux, y1 - head * uy
        self.line(x0, y0, neck_x, neck_y, ink=ink, thickness=thickness, dash=dash)
        corners = [(x1, y1)] + [(neck_x + s * head * 0.5 * uy, neck_y - s * head * 0.5 * ux) for s in (1, -1)]
        self.tag("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in corners), fill=colour(ink))

    def svg(self) -> str:
        """The finished picture as text."""
        size = f'width="{number(self.width)}" height="{number(self.height)}"'
        box = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" aria-label="{escape(self.title)}">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
        )
