// A dashboard by Grafana's own components: its panels at their places, each with the frames that `/panel/ID` gives, after
// Grafana's own applyFieldOverrides. What Grafana has in its panel plugins, which no package has, is written here: which
// settings of fields a panel knows, and which component is given what.

import {
  FieldConfigOptionsRegistry,
  ThemeContext,
  VizOrientation,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  displayNameOverrideProcessor,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  toDataFrame,
  transformDataFrame,
  standardTransformers,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from "@grafana/data";
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { firstValueFrom } from "rxjs";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: query.get("theme") ?? "light" } });
const WIDTH = 1440;
const UNIT = 38; // A row of Grafana's grid with its gap.
const GAP = 8;
const as = (text) => text;

// Some stand there under two names.
const transformations = new Map(Object.values(standardTransformers).map((transformation) => [transformation.id, transformation]));
standardTransformersRegistry.setInit(() =>
  [...transformations].map(([id, transformation]) => ({ id, name: id, transformation: async () => transformation })),
);

const PROCESSORS = {
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  noValue: stringOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  color: identityOverrideProcessor,
};
// With what Grafana fills in.
const CUSTOM = {
  timeseries: {
    drawStyle: "line", lineInterpolation: "linear", lineWidth: 1, fillOpacity: 0, gradientMode: "none", showPoints: "auto",
    pointSize: 5, spanNulls: false, stacking: { mode: "none", group: "A" }, thresholdsStyle: { mode: "off" }, axisPlacement: "auto",
    axisBorderShow: false, axisColorMode: "text", axisCenteredZero: false, scaleDistribution: { type: "linear" }, barAlignment: 0,
    axisSoftMax: undefined, barWidthFactor: 0.6, hideFrom: { tooltip: false, viz: false, legend: false }, insertNulls: false, lineStyle: { fill: "solid" },
  },
  table: { align: "auto", inspect: false, cellOptions: { type: "auto" }, width: undefined },
};
const COLORS = { timeseries: { mode: "palette-classic" } };

/** The settings of fields that a panel of this type knows. */
const registry = (type) => {
  const item = (path, process, isCustom) => ({
    id: isCustom ? `custom.${path}` : path, path, name: path, isCustom, process, override: process, shouldApply: () => true, editor: () => null,
  });
  const standard = Object.entries(PROCESSORS).map(([id, process]) => item(id, process, false));
  const custom = Object.keys(CUSTOM[type] ?? {}).map((id) => item(id, identityOverrideProcessor, true));
  return new FieldConfigOptionsRegistry(() => [...standard, ...custom]);
};

/** As Grafana completes what it reads: JSON has no infinity, and what is left out is filled in. */
const completed = (panel) => {
  const { defaults, overrides } = panel.fieldConfig;
  const steps = defaults.thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  return {
    overrides,
    defaults: {
      color: COLORS[panel.type] ?? { mode: "thresholds" },
      ...defaults,
      thresholds: { ...defaults.thresholds, steps },
      custom: { ...CUSTOM[panel.type], ...defaults.custom },
    },
  };
};

const values = (panel, frames) =>
  getFieldDisplayValues({
    fieldConfig: completed(panel), reduceOptions: panel.options.reduceOptions, replaceVariables: as, theme, data: frames, sparkline: false, timeZone: "utc",
  });

const Stat = ({ panel, frames, width, height }) => {
  const { options } = panel;
  return (
    <VizRepeater
      getValues={() => values(panel, frames)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, count }) => (
        <BigValue
          value={value.display} count={count} width={width} height={height} theme={theme} colorMode={options.colorMode}
          graphMode={options.graphMode} textMode={options.textMode} justifyMode={options.justifyMode}
        />
      )}
      width={width} height={height} source={frames} itemSpacing={3} renderCounter={0} autoGrid={true} orientation={VizOrientation.Auto}
    />
  );
};

const Gauges = ({ panel, frames, width, height }) => {
  const { options } = panel;
  return (
    <VizRepeater
      getValues={() => values(panel, frames)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors, orientation, count }) => (
        <BarGauge
          value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} width={width}
          height={height} orientation={orientation} alignmentFactors={count > 1 ? alignmentFactors : undefined} theme={theme}
          itemSpacing={8} lcdCellWidth={12} displayMode={options.displayMode} showUnfilled={options.showUnfilled}
          valueDisplayMode={options.valueMode} namePlacement={options.namePlacement}
        />
      )}
      width={width} height={height} source={frames} itemSpacing={8} renderCounter={0} orientation={options.orientation}
      minVizWidth={options.minVizWidth} minVizHeight={options.minVizHeight} maxVizHeight={options.maxVizHeight ?? 300}
    />
  );
};

const Lines = ({ panel, frames, range, width, height }) => (
  <TimeSeries
    frames={frames} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height} legend={panel.options.legend}
    options={panel.options}
  />
);

const Rows = ({ panel, frames, range, width, height }) => (
  <TableNG
    data={frames[0]} width={width} height={height} timeRange={range} noHeader={!panel.options.showHeader}
    cellHeight={panel.options.cellHeight} fieldConfig={completed(panel)} structureRev={1}
  />
);

// Lines of logs are in no package.
const Lost = () => <div className="empty">not drawn here</div>;

const BY_TYPE = { stat: Stat, bargauge: Gauges, timeseries: Lines, table: Rows, logs: Lost };

/** What a panel holds, and it for people. */
const Body = ({ panel, frames, range, width, height }) => {
  const Shown = BY_TYPE[panel.type];
  const isEmpty = !["logs", "stat"].includes(panel.type) && frames.every((frame) => frame.length === 0);
  if (isEmpty) return <div className="empty">No data</div>;
  return <Shown panel={panel} frames={frames} range={range} width={width} height={height} />;
};

const Panel = ({ panel, frames, range }) => {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH + GAP) / 24;
  const place = { position: "absolute", left: x * column, top: y * UNIT, width: w * column - GAP, height: h * UNIT - GAP };
  if (panel.type === "row") return <h2 style={place}>{panel.title}</h2>;
  return (
    <div style={place} data-panel={panel.id} data-title={panel.title}>
      <PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
        {(width, height) => <Body panel={panel} frames={frames} range={range} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
};

const start = async () => {
  const ask = async (path) => (await fetch(path)).json();
  const dashboard = await ask("/dashboard");
  const { from, to } = await ask("/range");
  const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
  const shown = [];
  for (const panel of dashboard.panels) {
    if (panel.type === "row") {
      shown.push(<Panel key={panel.id} panel={panel} />);
      continue;
    }
    const given = (await ask(`/panel/${panel.id}`)).map((frame) => toDataFrame(frame));
    const changed = await firstValueFrom(transformDataFrame(panel.transformations ?? [], given));
    const frames = applyFieldOverrides({
      data: changed, fieldConfig: completed(panel), fieldConfigRegistry: registry(panel.type), replaceVariables: as, theme, timeZone: "utc",
    });
    cacheFieldDisplayNames(frames);
    shown.push(<Panel key={panel.id} panel={panel} frames={frames} range={range} />);
  }
  const bottom = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * UNIT;
  const root = document.getElementById("root");
  Object.assign(document.body.style, { background: theme.colors.background.canvas, color: theme.colors.text.primary });
  Object.assign(root.style, { position: "relative", width: `${WIDTH}px`, height: `${bottom}px` });
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {shown}
    </ThemeContext.Provider>,
  );
  setTimeout(() => (document.title = "shown"), 2500);
};

start().catch((error) => {
  console.error(error);
  document.title = "shown";
});
