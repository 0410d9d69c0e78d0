"""The picture of the comparison: each row is scaled to the peer's figure.

    bench/chart.py build/bench/comparison.json build/bench/figures.svg
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, transforms  # noqa: E402 (after the backend)

INK, FAINT, CARD = "#1f2933", "#5b6773", "#fbfcfd"
OURS, THEIRS, GOAL = "#1f77b4", "#c3cad3", "#c8452f"
ROW, GAP, BAR = 1.0, 0.4, 0.36
INCHES_A_ROW, TOP_INCHES, FOOT_INCHES, WIDE_INCHES = 0.34, 0.75, 0.62, 9.2
LABELS, RIGHT = 0.385, 0.9  # where the bars begin and end
TEXT = 0.11                 # a value's width, of the peer's bar
UNITS = {"us": "µs"}

# The same figures give the same file; text stays text, which is small and
# can be searched. The card is its own background, light or dark around it.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "meshcert",
         "font.family": ["DejaVu Sans", "sans-serif"],
         "font.size": 9, "text.color": INK}


def number(value):
    """Three digits, no exponent."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def places(pairs):
    """[(y of a group's head, its text)], [(y of a pair, the pair)], the
    lowest y: down is negative."""
    heads, rows, y, last = [], [], 0.0, None
    for pair in pairs:
        head = f"{pair['group']} (100 %: {pair['peer']})"
        if head != last:
            y -= GAP
            heads.append((y, head))
            last, y = head, y - ROW
        rows.append((y, pair))
        y -= ROW
    return heads, rows, y


def text_place(share, goal):
    """Right of the bar, and not under the goal's line."""
    return goal if goal is not None and 0 < goal - share < TEXT else share


def draw_pair(axes, y, pair):
    unit = UNITS.get(pair["unit"], pair["unit"])
    for value, share, at, color in (
            (pair["ours"], pair["ratio"], y + BAR / 2, OURS),
            (pair["theirs"], 1.0, y - BAR / 2, THEIRS)):
        axes.barh(at, share, BAR, color=color, linewidth=0)
        axes.text(text_place(share, pair["goal"]) + 0.012, at,
                  f"{number(value)} {unit}", va="center", fontsize=7.5,
                  color=INK if color == OURS else FAINT)
    if pair["goal"] is not None:
        axes.plot([pair["goal"]] * 2, [y - BAR * 1.15, y + BAR * 1.15],
                  color=GOAL, linewidth=1.6, solid_capstyle="butt")
    axes.text(-0.015, y, pair["text"], ha="right", va="center")


def draw_key(figure, y):
    """What the colours mean."""
    for x, color, text in ((0.02, OURS, "meshcert"),
                           (0.125, THEIRS, "peer, same run"),
                           (0.27, GOAL, "goal")):
        figure.text(x, y, "\N{BLACK SQUARE}" if color != GOAL else "|",
                    color=color, fontsize=11, weight="bold", va="center")
        figure.text(x + 0.018, y, text, va="center", color=FAINT)


def draw(about, path):
    """about: date, machine, rounds, and the pairs of results.Results."""
    if not about["pairs"]:
        return
    heads, rows, low = places(about["pairs"])
    high = TOP_INCHES + FOOT_INCHES - low * INCHES_A_ROW
    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(figsize=(WIDE_INCHES, high), facecolor=CARD)
        axes = figure.add_axes(
            (LABELS, FOOT_INCHES / high, RIGHT - LABELS,
             1 - (TOP_INCHES + FOOT_INCHES) / high), frameon=False)
        longest = max(pair["ratio"] for _, pair in rows)
        axes.set(xlim=(0, max(1, longest)), ylim=(low + 0.4, 0), xticks=[],
                 yticks=[])
        for y, text in heads:
            axes.text(0.02, y, text, weight="bold", va="center",
                      transform=transforms.blended_transform_factory(
                          figure.transFigure, axes.transData))
        for y, pair in rows:
            draw_pair(axes, y, pair)
        figure.text(0.02, 1 - 0.27 / high, "meshcert beside its peers: "
                    "shorter is better", fontsize=13, weight="bold",
                    va="center")
        draw_key(figure, 1 - 0.57 / high)
        figure.text(0.02, 0.38 / high, f"{about['date']}, {about['machine']}",
                    fontsize=7.5, color=FAINT, va="center")
        figure.text(0.02, 0.2 / high, f"Medians of {about['rounds']} rounds, "
                    "peers in turns with ours; CPU is user and system time "
                    "of all processes. Method: bench/README.md", fontsize=7.5,
                    color=FAINT, va="center")
        figure.savefig(path, facecolor=CARD,
                       metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        draw(json.load(file), sys.argv[2])
