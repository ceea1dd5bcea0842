"""Draws the dashboard of deploy/ from a Prometheus, for who has no Grafana: the same panels, queries, places and units.

  python3 panels.py PORT SECONDS OUT.png [INSTANCE]   the last SECONDS of the Prometheus at this port of 127.0.0.1; needs matplotlib
"""

import json
import math
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

DASHBOARD = pathlib.Path(__file__).parent.parent.parent / "deploy/grafana/twinread.json"

# What Grafana fills in where everything is chosen. Scrapes are a second apart.
VARIABLES = {"__rate_interval": "10s", "job": ".*", "instance": ".*", "route": ".*"}

COLUMN, LINE = 0.72, 0.36  # inches of Grafana's grid
PALETTE = ["#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0", "#508642", "#CCA300"]
COLOURS = {"green": "#56A64B", "yellow": "#F2CC0C", "orange": "#FF780A", "red": "#E02F44", "blue": "#3274D9", "purple": "#A352CC",
           "super-light-blue": "#C0D8FF", "transparent": "none"}  # fmt: skip


def flat(dashboard):
    """The panels, those in collapsed rows included, without the rows."""
    inside = [panel for row in dashboard["panels"] for panel in row.get("panels", [])]
    return [panel for panel in dashboard["panels"] + inside if panel["type"] != "row"]


def filled(text, **chosen):
    """A query with its variables replaced."""
    values = {**VARIABLES, **chosen}
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], text)


def ask(port, path, **parameters):
    url = f"http://127.0.0.1:{port}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(url, timeout=30) as answer:  # a query with a fault is a 400
        return json.loads(answer.read())["data"]


def query_range(port, expression, seconds, **chosen):
    """Its series: labels, times and values."""
    now = time.time()
    step = max(1, seconds / 300)
    found = ask(port, "query_range", query=filled(expression, **chosen), start=now - seconds, end=now, step=step)
    return [(each["metric"], [(at, float(value)) for at, value in each["values"]]) for each in found["result"]]


def values_of(port, query, **chosen):
    """The last values of an instant query, by the text of each legend."""
    found = ask(port, "query", query=filled(query["expr"], **chosen))
    return [(legend(query, each["metric"]), each["metric"], float(each["value"][1])) for each in found["result"]]


def legend(query, labels):
    if query["legendFormat"] == "__auto":
        return " ".join(labels.values())
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), query["legendFormat"])


def written(value, unit):
    """A value as Grafana would write it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        if 0 < value < 1:
            return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
        return f"{value:.3g} s" if value < 120 else f"{value / 60:.3g} min"
    if unit == "bytes":
        power = min(3, int(math.log(value, 1024))) if value >= 1 else 0
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    return f"{value:.4g}{' /s' if unit in ('reqps', 'cps') else ''}"


class Field:
    """What the settings of a panel say of one of its series."""

    def __init__(self, panel, name, colour="#888888"):
        config = panel["fieldConfig"]
        custom = config["defaults"].get("custom", {})
        self.settings = {**{f"custom.{key}": value for key, value in custom.items()}, **config["defaults"]}
        for override in config["overrides"]:
            matcher, wanted = override["matcher"]["id"], override["matcher"]["options"]
            if name == wanted if matcher == "byName" else re.fullmatch(wanted, name):
                self.settings.update({each["id"]: each["value"] for each in override["properties"]})
        fixed = self.settings["color"].get("fixedColor")
        self.colour = COLOURS[fixed] if fixed else colour
        self.unit = self.settings.get("unit", "short")

    def threshold(self, value):
        steps = self.settings["thresholds"]["steps"]
        return COLOURS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]

    def text(self, value):
        for mapping in self.settings.get("mappings", []):
            if f"{value:g}" in mapping["options"]:
                return mapping["options"][f"{value:g}"]["text"]
        return written(value, self.unit)


def placed(dashboard, routes):
    """Every panel, its place and its route: rows opened, and a repeated one drawn once for each route."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    for panel in dashboard["panels"]:
        yield panel, panel["gridPos"], None
        for inside in panel.get("panels", []):
            for number, route in enumerate(routes):
                place = inside["gridPos"]
                down, right = divmod(number, inside["maxPerRow"])
                yield inside, {**place, "x": right * place["w"], "y": bottom + down * place["h"]}, route


def draw(port, seconds, out, instance):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 7, "axes.linewidth": 0.4, "xtick.labelsize": 6, "ytick.labelsize": 6})
    dashboard = json.loads(DASHBOARD.read_text())
    seen = filled('twinread_live_requests_total{instance=~"$instance"}', instance=instance)
    routes = ask(port, "label/route/values", **{"match[]": seen})
    drawn = list(placed(dashboard, routes))
    width, height = 24 * COLUMN, max(place["y"] + place["h"] for _, place, _ in drawn) * LINE
    figure = pyplot.figure(figsize=(width, height), dpi=72)
    for panel, place, route in drawn:
        chosen = {"instance": instance, **({"route": route} if route else {})}
        left, top = place["x"] * COLUMN, height - place["y"] * LINE
        figure.text((left + 0.1) / width, (top - 0.2) / height, filled(panel["title"], **chosen), weight="bold", size=8, color="#222222")
        if panel["type"] == "row":
            continue
        margin = 0.55 if panel["type"] == "timeseries" else 0.1
        box = [left + margin, top - place["h"] * LINE + 0.5, place["w"] * COLUMN - margin - 0.2, place["h"] * LINE - 0.8]
        axes = figure.add_axes([box[0] / width, box[1] / height, box[2] / width, box[3] / height])
        if not KINDS[panel["type"]](axes, panel, port, seconds, chosen):
            axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color="#888888")
    save(figure, out)


def save(figure, out):
    """In 64 colours: a picture of a page is small."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(out, optimize=True)


def all_series(panel, port, seconds, chosen):
    found = []
    for query in panel["targets"]:
        found += [(legend(query, labels), points) for labels, points in query_range(port, query["expr"], seconds, **chosen)]
    return [(name, Field(panel, name, PALETTE[number % len(PALETTE)]), points) for number, (name, points) in enumerate(found)]


def draw_timeseries(axes, panel, port, seconds, chosen):
    from matplotlib.ticker import FuncFormatter

    found = all_series(panel, port, seconds, chosen)
    custom = panel["fieldConfig"]["defaults"]["custom"]
    end, below, lines = time.time(), {}, {}
    for name, field, points in found:
        times = [at - end for at, _ in points]
        bottoms = [below.get(round(at), 0) for at, _ in points] if custom["stacking"]["mode"] == "normal" else [0] * len(points)
        tops = [value + bottom for (_, value), bottom in zip(points, bottoms, strict=True)]
        below.update({round(at): top for (at, _), top in zip(points, tops, strict=True) if not math.isnan(top)})
        if custom["drawStyle"] == "bars":
            axes.bar(times, [value for _, value in points], max(1, seconds / 300), bottoms, color=field.colour, label=name)
            continue
        dash = "--" if field.settings.get("custom.lineStyle", {}).get("fill") == "dash" else "-"
        axes.plot(times, tops, dash, color=field.colour, linewidth=1, label=name)
        if custom["stacking"]["mode"] == "normal":
            axes.fill_between(times, bottoms, tops, color=field.colour, alpha=0.3, linewidth=0)
        lines[name] = (times, tops)
    for name, field, _ in found:
        lower = lines.get(field.settings.get("custom.fillBelowTo"))
        if lower:
            axes.fill_between(*lines[name], lower[1], color=field.colour, alpha=0.2, linewidth=0)
    field = Field(panel, "")
    if custom["thresholdsStyle"]["mode"] != "off":
        for step in field.settings["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=COLOURS[step["color"]], linestyle=":", linewidth=1)
    if custom["scaleDistribution"]["type"] == "log":
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, field.unit)))
    axes.set_xlim(-seconds, 0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    axes.grid(linewidth=0.3, color="#DDDDDD")
    if found:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=4, frameon=False, fontsize=6, handlelength=1, columnspacing=1)
    return found


def draw_stat(axes, panel, port, seconds, chosen):
    axes.axis("off")
    found = [each for query in panel["targets"] for each in values_of(port, query, **chosen)]
    is_filled = panel["options"]["colorMode"] == "background"
    for number, (name, _, value) in enumerate(found):
        field = Field(panel, name)
        colour = field.threshold(value) if field.settings["color"]["mode"] == "thresholds" else field.colour
        high, low = 1 - number / len(found), 1 - (number + 1) / len(found)
        if is_filled:
            axes.axhspan(low + 0.01, high - 0.01, color=colour, alpha=0.85)
        ink = "white" if is_filled else colour if panel["options"]["colorMode"] == "value" else "#222222"
        axes.text(0.03, (low + high) / 2, name, va="center", color=ink, size=8)
        axes.text(0.97, (low + high) / 2, field.text(value), va="center", ha="right", color=ink, size=10, weight="bold")
    axes.set_ylim(0, 1)
    return found


def draw_timeline(axes, panel, port, seconds, chosen):
    found = all_series(panel, port, seconds, chosen)
    end, step = time.time(), max(1, seconds / 300)
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    colours = {key: COLOURS[each["color"]] for key, each in mapping["options"].items()}
    for number, (name, field, points) in enumerate(found):
        spans = [(at - end, step) for at, _ in points]
        axes.broken_barh(spans, (number + 0.1, 0.8), color=[colours[f"{value:g}"] for _, value in points])
        axes.text(-seconds * 0.99, number + 0.5, f"{name}: {field.text(points[-1][1])} now", va="center", size=8)
    axes.set_yticks([])
    axes.set_xlim(-seconds, 0)
    return found


def draw_table(axes, panel, port, seconds, chosen):
    axes.axis("off")
    names = panel["transformations"][1]["options"]["renameByName"]
    columns = [names[f"Value #{query['refId']}"] for query in panel["targets"]]
    rows = {}
    for query, column in zip(panel["targets"], columns, strict=True):
        for _, labels, value in values_of(port, query, **chosen):
            rows.setdefault(labels["route"], {})[column] = value
    by = panel["options"]["sortBy"][0]["displayName"]
    sorted_rows = sorted(rows.items(), key=lambda row: -row[1].get(by, 0))
    cells = []
    for route, row in sorted_rows:
        cells.append([route, *(Field(panel, column).text(row[column]) if column in row else "" for column in columns)])
    for down, cell in enumerate([["route", *columns], *cells]):
        for right, text in enumerate(cell):
            axes.text(right / len(cell) + 0.005, 1 - (down + 0.5) * 0.12, text, va="center", weight="normal" if down else "bold", size=8)
        axes.axhline(1 - (down + 1) * 0.12, color="#DDDDDD", linewidth=0.5)
    axes.set_ylim(0, 1)
    return cells


KINDS = {"timeseries": draw_timeseries, "stat": draw_stat, "state-timeline": draw_timeline, "table": draw_table}

if __name__ == "__main__":
    draw(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else ".*")
