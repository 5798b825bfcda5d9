"""What all dashboards share: variables, links, time zone, and rows that place their panels."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

TAG = "seacanary"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
EVIDENCE_URL = "http://127.0.0.1:8320"

Variable = Builder[model.VariableModel]
Panel = Builder[model.Panel]


def datasource() -> Variable:
    """Which Prometheus."""
    variable = build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    return variable.description("The Prometheus that scrapes the stations.")


def choice(name: str, *, query: str, what: str) -> Variable:
    """A variable of several values read from Prometheus, all of them by default."""
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = build.QueryVariable(name).label(name.capitalize()).description(what).datasource(DATASOURCE)
    variable = variable.query({"query": query, "refId": name}).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable = variable.sort(model.VariableSort.ALPHABETICAL_ASC).multi(True)
    return variable.include_all(True).all_value(".+").current(everything)


def station() -> Variable:
    """Which stations."""
    return choice("station", query="label_values(seacanary_build_info, station)", what="Stations to show.")


def hydrophone() -> Variable:
    """Which hydrophones of those stations."""
    query = 'label_values(seacanary_samples_elapsed_total{station=~"$station"}, hydrophone)'
    return choice("hydrophone", query=query, what="Hydrophones of these stations to show.")


def species() -> Variable:
    """Which species on those hydrophones."""
    series = 'seacanary_presence_state{station=~"$station",hydrophone=~"$hydrophone"}'
    return choice("species", query=f"label_values({series}, species)", what="Species to show.")


def evidence_url() -> Variable:
    """Where the station page is."""
    what = "Address of the station page, for links to events and their evidence."
    return build.TextBoxVariable("evidence_url").label("Station page").description(what).default_value(EVIDENCE_URL)


class Board:
    """A dashboard under construction."""

    def __init__(self, title: str, *, uid: str, about: str, hours: int, variables: Sequence[Variable]) -> None:
        """Begin a dashboard.

        Args:
            title: after "Sea Canary".
            uid: stable name in URLs, 8 to 40 characters.
            about: what it answers.
            hours: time range shown at first.
            variables: the choices at its top, each before those that depend on it.
        """
        links = build.DashboardLink("Sea Canary").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
        links = links.include_vars(True).keep_time(True).tooltip("The other Sea Canary dashboards")
        dashboard = build.Dashboard(f"Sea Canary / {title}").uid(uid).description(about).tags([TAG])
        dashboard = dashboard.timezone("utc").refresh("10s").time(f"now-{hours}h", "now").editable()
        dashboard = dashboard.tooltip(model.DashboardCursorSync.CROSSHAIR).variables(list(variables)).link(links)
        self._dashboard = dashboard
        self._panels = 0

    def row(self, title: str, *panels: Panel) -> "Board":
        """Add a row; its panels fill 24 columns, left to right."""
        self._dashboard.with_row(build.Row(title).id(self._next_id()))
        for panel in panels:
            self._dashboard.with_panel(_Numbered(panel, self._next_id()))
        return self

    def build(self) -> model.Dashboard:
        """The finished dashboard."""
        return self._dashboard.build()

    def _next_id(self) -> int:
        self._panels += 1
        return self._panels


class _Numbered(Panel):
    """A panel with its number in the dashboard."""

    def __init__(self, panel: Panel, number: int) -> None:
        self._panel, self._number = panel, number

    def build(self) -> model.Panel:
        panel = self._panel.build()
        panel.id_val = self._number
        return panel
