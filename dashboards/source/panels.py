"""The kinds of panel the dashboards are made of, each with its title, its explanation and its unit.

A thin layer over Grafana's own builders: what is decided here (datasource, legends,
tooltips, how states are drawn) is decided once for all dashboards.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from dashboards.source.board import DATASOURCE
from dashboards.source.palette import NEUTRAL, mapping, steps
from dashboards.source.queries import Query
from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

P = TypeVar("P", stat.Panel, timeseries.Panel, statetimeline.Panel, heatmap.Panel, table.Panel)

FORMATS = {
    "series": prometheus_model.PromQueryFormat.TIME_SERIES,
    "now": prometheus_model.PromQueryFormat.TIME_SERIES,
    "buckets": prometheus_model.PromQueryFormat.HEATMAP,
    "rows_now": prometheus_model.PromQueryFormat.TABLE,
    "rows": prometheus_model.PromQueryFormat.TABLE,
}


@dataclass(frozen=True, slots=True)
class Text:
    """What a panel says of itself.

    Attributes:
        title: what it shows.
        why: what it means, and what it does not.
        unit: Grafana's name of the unit of its values.
    """

    title: str
    why: str
    unit: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        field: as Grafana names it: a label, "Time", "Value" or "Value #A".
        name: shown above it.
        unit: of its values, None for words.
        states: names and colours of its values, if they are codes.
        thresholds: colours of its values, if they have better and worse.
        link: a URL its values lead to, with its title.
        wide: whether it gets room for long words.
    """

    field: str
    name: str
    unit: str | None = None
    states: Mapping[int, tuple[str, str]] | None = None
    thresholds: dashboard.ThresholdsConfig | None = None
    link: tuple[str, str] | None = None
    wide: bool = False


def figure(
    text: Text, *queries: Query, width: int = 4, thresholds: dashboard.ThresholdsConfig | None = None
) -> stat.Panel:
    """The latest value of each series, large."""
    panel = _dressed(stat.Panel(), text, queries, size=(width, 5)).thresholds(thresholds or steps(NEUTRAL))
    panel = panel.color_mode(common_model.BigValueColorMode.VALUE).graph_mode(common_model.BigValueGraphMode.NONE)
    panel = panel.text_mode(common_model.BigValueTextMode.AUTO if len(queries) == 1 else VALUE_AND_NAME)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))


def state(text: Text, *queries: Query, states: Mapping[int, tuple[str, str]], width: int = 4) -> stat.Panel:
    """The latest state of each series, by its name."""
    return figure(text, *queries, width=width).mappings(mapping(states)).text_mode(VALUE_AND_NAME)


def lines(
    text: Text,
    *queries: Query,
    width: int = 12,
    bounds: tuple[float | None, float | None] = (None, None),
    thresholds: dashboard.ThresholdsConfig | None = None,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Values over time; what was not measured is a hole, not a line.

    Args:
        text: of the panel.
        queries: one or more.
        width: of 24 columns.
        bounds: ends of the axis, None for what the values need.
        thresholds: drawn as dashed lines where a value begins to matter.
        colours: of series, by a word in their legend.
    """
    panel = _dressed(timeseries.Panel(), text, queries, size=(width, 8)).span_nulls(False).fill_opacity(0).line_width(1)
    panel = _coloured(panel, colours or {})
    panel = panel.legend(_legend("lastNotNull", "max")).tooltip(_tooltip())
    if thresholds is not None:
        dashed = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(thresholds).thresholds_style(dashed)
    if bounds[0] is not None:
        panel = panel.min(bounds[0])
    if bounds[1] is not None:
        panel = panel.max(bounds[1])
    return panel


def bars(
    text: Text,
    *queries: Query,
    width: int = 12,
    interval: str = "1h",
    colours: Mapping[str, str] | None = None,
    summary: Literal["sum", "mean"] = "sum",
) -> timeseries.Panel:
    """Amounts per stretch of time, on top of each other.

    Args:
        text: of the panel.
        queries: each an amount over $__interval.
        width: of 24 columns.
        interval: shortest stretch.
        colours: of series, by a word in their legend.
        summary: what the legend says of the whole time: counts add up, shares do not.
    """
    panel = _dressed(timeseries.Panel(), text, queries, size=(width, 8)).interval(interval)
    panel = panel.draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).min(0)
    panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    panel = _coloured(panel, colours or {}).legend(_legend(summary)).tooltip(_tooltip())
    # increase() extrapolates to the edges of its stretch: 1.07 events are one.
    return panel.decimals(0) if text.unit == "short" else panel


def timeline(
    text: Text, *queries: Query, states: Mapping[int, tuple[str, str]], width: int = 24, height: int = 9
) -> statetimeline.Panel:
    """States over time, one bar per series; no bar where nothing was scraped."""
    panel = _dressed(statetimeline.Panel(), text, queries, size=(width, height)).mappings(mapping(states))
    panel = panel.merge_values(True).show_value(common_model.VisibilityMode.NEVER).row_height(0.8)
    panel = panel.fill_opacity(85).line_width(0).thresholds(steps(NEUTRAL)).tooltip(_tooltip())
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.LIST)
    return panel.legend(legend.placement(common_model.LegendPlacement.BOTTOM).show_legend(True))


def spread(text: Text, query: Query, *, axis: str, width: int = 12) -> heatmap.Panel:
    """A histogram over time, or rows of values over time, as colours.

    Args:
        text: of the panel; the unit is that of the axis for `buckets`, else of the cells.
        query: `buckets`, or one series per row.
        axis: what the vertical axis is.
        width: of 24 columns.
    """
    of_buckets = query.form == "buckets"
    panel = _heatmap(text, query, width=width).calculate(False)
    y_axis = heatmap.YAxisConfig().axis_placement(common_model.AxisPlacement.LEFT).axis_label(axis)
    panel = panel.y_axis(y_axis.unit(text.unit) if of_buckets else y_axis)
    return panel.cell_values(heatmap.CellValues().unit("short" if of_buckets else text.unit))


def hours_of_days(text: Text, query: Query, *, width: int = 12) -> heatmap.Panel:
    """How often a value (an hour of the day) occurs on each day, as colours."""
    size = common_model.HeatmapCalculationMode.SIZE
    days = common.HeatmapCalculationBucketConfig().mode(size).value("1d")
    hours = common.HeatmapCalculationBucketConfig().mode(size).value("1")
    panel = _heatmap(text, query, width=width).interval("10m").max_data_points(9000).time_from("30d")
    panel = panel.calculate(True).calculation(common.HeatmapCalculationOptions().x_buckets(days).y_buckets(hours))
    y_axis = heatmap.YAxisConfig().axis_placement(common_model.AxisPlacement.LEFT).axis_label("hour of the day, UTC")
    return panel.y_axis(y_axis.min(0).max(24).decimals(0).unit("short")).cell_values(heatmap.CellValues().unit("short"))


def rows(text: Text, *queries: Query, columns: Sequence[Column], width: int = 24, height: int = 10) -> table.Panel:
    """A table; columns not named are left out."""
    panel = _dressed(table.Panel(), text, queries, size=(width, height)).filterable(True)
    panel = panel.cell_height(common_model.TableCellHeight.SM).transformations(_arranged(columns))
    for column in columns:
        panel = panel.override_by_name(column.name, _looks(column))
    return panel


def matrix(text: Text, query: Query, *, row: str, column: str, width: int = 12) -> table.Panel:
    """One label down, another across, values as shades of blue; an empty cell has no value."""
    options = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}
    panel = _dressed(table.Panel(), text, [query], size=(width, 9))
    panel = panel.with_transformation(_transformation("groupingToMatrix", options)).no_value("–").min(0)
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.CONTINUOUS_BLUES))
    shaded = common_model.TableColoredBackgroundCellOptions(mode=common_model.TableCellBackgroundDisplayMode.BASIC)
    panel = panel.cell_options(shaded).cell_height(common_model.TableCellHeight.SM)
    plain = [model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"})]
    return panel.override_by_name(f"{row}\\{column}", plain)


VALUE_AND_NAME = common_model.BigValueTextMode.VALUE_AND_NAME


def _dressed(panel: P, text: Text, queries: Sequence[Query], *, size: tuple[int, int]) -> P:
    panel = panel.title(text.title).description(text.why).unit(text.unit).datasource(DATASOURCE)
    for letter, query in zip(string.ascii_uppercase, queries, strict=False):
        panel = panel.with_target(_target(letter, query))
    return panel.span(size[0]).height(size[1])


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend).datasource(DATASOURCE)
    target = target.editor_mode(prometheus_model.QueryEditorMode.CODE).format(FORMATS[query.form])
    return target.instant() if query.form in ("now", "rows_now") else target.range()


def _heatmap(text: Text, query: Query, *, width: int) -> heatmap.Panel:
    colour = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Cividis").steps(64)
    panel = _dressed(heatmap.Panel(), text, [query], size=(width, 9)).color(colour.fill("dark-orange").exponent(0.5))
    panel = panel.show_legend().show_color_scale(True).mode(common_model.TooltipDisplayMode.SINGLE)
    return panel.cell_gap(1).hide_y_histogram()


def _coloured(panel: timeseries.Panel, colours: Mapping[str, str]) -> timeseries.Panel:
    """Fixed colours for series whose legend holds a word, Grafana's own by name for the rest."""
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    for word, colour in colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_regexp(rf"/\b{word}\b/", [model.DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def _legend(*calculations: str) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.TABLE).show_legend(True)
    return legend.placement(common_model.LegendPlacement.BOTTOM).calcs(list(calculations))


def _tooltip() -> common.VizTooltipOptions:
    multi = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    return multi.sort(common_model.SortOrder.DESCENDING)


def _transformation(name: str, options: object) -> model.DataTransformerConfig:
    return model.DataTransformerConfig(id_val=name, options=options)


def _arranged(columns: Sequence[Column]) -> list[model.DataTransformerConfig]:
    """The queries' rows joined by their labels; only the named columns, in their order, under their names."""
    organize = {
        "excludeByName": {},
        "indexByName": {column.field: place for place, column in enumerate(columns)},
        "renameByName": {column.field: column.name for column in columns},
    }
    named = {"include": {"names": [column.field for column in columns]}}
    return [
        _transformation("merge", {}),
        _transformation("filterFieldsByName", named),
        _transformation("organize", organize),
    ]


def _looks(column: Column) -> list[model.DynamicConfigValue]:
    looks: dict[str, object] = {}
    if column.unit is not None:
        looks["unit"] = column.unit
    if column.states is not None:
        looks["mappings"] = mapping(column.states)
        looks["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.thresholds is not None:
        looks["thresholds"] = column.thresholds.build()
        looks["custom.cellOptions"] = {"type": "color-text"}
    if column.link is not None:
        title, url = column.link
        looks["links"] = [{"title": title, "url": url, "targetBlank": True}]
    if column.wide:
        looks["custom.minWidth"] = 180
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in looks.items()]
