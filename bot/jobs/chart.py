"""A small chart of columns and bars, as PNG."""

import io

from PIL import Image, ImageDraw, ImageFont

from bot.jobs.series import Series

WIDTH, MARGIN = 720, 24
HEADLINE, LETTERS = 22, 16
"""Font sizes: Slack shows the picture at half its size."""
COLUMNS, SLOTS = 170, 31
"""The height of the tallest column in pixels, and the number of columns (days of a month)."""
BAR, LABEL, NUMBER = 22, 190, 90
PAPER, INK, PALE, BLUE, LINE = "#ffffff", "#1d1c1d", "#616061", "#1264a3", "#dddddd"


def draw_chart(days: Series, *tops: Series) -> bytes:
    """Columns for the days of a month, labelled by number, and below them the bars of each
    ranking."""
    shown = [top for top in tops if top.rows]
    height = 2 * MARGIN + HEADLINE + 60 + COLUMNS
    height += sum(HEADLINE + 34 + (BAR + 10) * len(top.rows) for top in shown)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(image)
    top = _draw_columns(pen, days, MARGIN)
    for series in shown:
        top = _draw_bars(pen, series, top)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_columns(pen: ImageDraw.ImageDraw, days: Series, top: int) -> int:
    """Returns where the next section begins. The largest column is labelled with its value."""
    pen.text((MARGIN, top), days.title, INK, ImageFont.load_default(HEADLINE))
    small, slot = ImageFont.load_default(LETTERS), (WIDTH - 2 * MARGIN) / SLOTS
    largest = max((value for _, value in days.rows), default=0)
    ground = top + HEADLINE + 34 + COLUMNS
    pen.line((MARGIN, ground, WIDTH - MARGIN, ground), LINE, 2)
    for place, (label, value) in enumerate(days.rows):
        left = MARGIN + slot * place
        middle = left + slot / 2
        if value:
            tall = max(2, COLUMNS * value / largest)
            pen.rectangle((left + 3, ground - tall, left + slot - 4, ground), BLUE)
        if value and value == largest:
            anchor, at = ("rs", left + slot) if place > SLOTS / 2 else ("ls", left)
            pen.text((at, ground - COLUMNS - 8), f"{value:,}", INK, small, anchor=anchor)
        if place == 0 or (place + 1) % 5 == 0:
            pen.text((middle, ground + 6), label, PALE, small, anchor="ma")
    return ground + LETTERS + 26


def _draw_bars(pen: ImageDraw.ImageDraw, series: Series, top: int) -> int:
    pen.text((MARGIN, top), series.title, INK, ImageFont.load_default(HEADLINE))
    small = ImageFont.load_default(LETTERS)
    top += HEADLINE + 14
    largest = max(1, *(value for _, value in series.rows))
    for label, value in series.rows:
        middle = top + BAR / 2
        pen.text((MARGIN, middle), _fitting(label, small), PALE, small, anchor="lm")
        right = LABEL + (WIDTH - LABEL - NUMBER - MARGIN) * value / largest
        pen.rectangle((LABEL, top, max(right, LABEL + 2), top + BAR), BLUE)
        pen.text((right + 10, middle), f"{value:,}", INK, small, anchor="lm")
        top += BAR + 10
    return top + 20


def _fitting(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    room, shown = LABEL - MARGIN - 10, label
    while font.getlength(shown) > room:
        label = label[:-1]
        shown = f"{label.rstrip()}…"
    return shown
