"""The figures: a table for people, a list for programs, and the comparisons
that the picture shows."""

import json
import statistics


def median(rows):
    return statistics.median(rows) if rows else None


class Results:
    """met is null where a bar has nothing of the same run to compare with;
    reason says what is missing."""

    def __init__(self):
        self.rows, self.pairs = [], []

    def add(self, name, value, unit, most=None, least=None, reason=None,
            failed=None):
        """most, least: the bar. failed: why what was to be measured could
        not be done, so that its bar is missed."""
        bar, met = None, None
        if most is not None:
            bar, met = f"<= {most:g}", value is not None and value <= most
        elif least is not None:
            bar, met = f">= {least:g}", value is not None and value >= least
        if value is None:
            met = None if failed is None else False
        row = {"name": name, "value": value, "unit": unit, "bar": bar,
               "met": met}
        if reason is not None or failed is not None:
            row["reason"] = reason or failed
        self.rows.append(row)

    def compare(self, name, unit, ours, peer, theirs, most=None,
                of_peer=None, failed=None, chart=None):
        """Our figure, the peer's, what ours is of theirs: medians of the
        rounds, the ratio's of each round's ratio. An empty list: not
        measured. most: the bar for ours; of_peer: for the ratio. chart:
        (group, text) in the picture."""
        missing = None if theirs else f"{peer} not measured (make peers?)"
        ratio = median([a / b for a, b in zip(ours, theirs) if b])
        self.add(name, median(ours), unit, most=most, failed=failed)
        self.add(f"{name}: {peer}", median(theirs), unit, reason=missing)
        if ratio is not None or of_peer is not None:
            self.add(f"{name}: of {peer}", ratio, "ratio", most=of_peer,
                     reason=missing, failed=failed)
        if chart is not None and ratio is not None:
            goal = of_peer if most is None else most / median(theirs)
            self.pairs.append({"group": chart[0], "text": chart[1],
                               "peer": peer, "ours": median(ours),
                               "theirs": median(theirs), "unit": unit,
                               "ratio": ratio, "goal": goal})

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows, indent=1) + "\n")

    def show(self):
        wide = max(len(row["name"]) for row in self.rows)
        for row in self.rows:
            value = "-" if row["value"] is None else f"{row['value']:.2f}" \
                if isinstance(row["value"], float) else str(row["value"])
            met = {True: "met", False: "NOT MET", None: ""}[row["met"]]
            end = " ".join(filter(None, [met, row.get("reason")]))
            print(f"{row['name']:{wide}}  {value:>10} {row['unit']:<10} "
                  f"{row['bar'] or '':<8} {end}".rstrip())
