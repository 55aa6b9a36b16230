"""A small picture of bars, as PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH, BAR, LABEL = 640, 18, 150
PAPER, INK, PALE, BLUE = "#ffffff", "#1d1c1d", "#616061", "#1264a3"


@dataclass(frozen=True, slots=True)
class Bars:
    """One part of a chart: a headline, and a bar for each label."""

    title: str
    rows: Sequence[tuple[str, int]]


def draw_chart(parts: Sequence[Bars]) -> bytes:
    """The parts one below the other; numbers stand behind their bars."""
    parts = [part for part in parts if part.rows]
    height = 20 + sum(36 + (BAR + 6) * len(part.rows) for part in parts)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(image)
    headline, small = ImageFont.load_default(16), ImageFont.load_default(13)
    top = 10
    for part in parts:
        pen.text((12, top), part.title, INK, headline)
        top += 28
        longest = max(1, *(value for _, value in part.rows))
        for label, value in part.rows:
            pen.text((12, top), label[:20], PALE, small)
            right = LABEL + int((WIDTH - LABEL - 100) * value / longest)
            pen.rectangle((LABEL, top, max(right, LABEL + 1), top + BAR - 3), BLUE)
            pen.text((right + 6, top), f"{value:,}", INK, small)
            top += BAR + 6
        top += 8
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
