// Dashboards as they stand in JSON, by Grafana's own types: the dashboard, and of each panel the options and the settings of
// fields that its type has. `tests/dashboards/types.rs` writes the files that are held against them.

import type { Dashboard, FieldConfigSource, GraphFieldConfig, Panel, RowPanel, TableFieldOptions } from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as logs from "@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** A type as its values stand in JSON: an enum takes its members only, a file has what they stand for. */
type Written<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer Value extends number}`
      ? Value
      : T
    : T extends Array<infer Item>
      ? Array<Written<Item>>
      : T extends object
        ? { [Key in keyof T]: Written<T[Key]> }
        : T;

/** What is left out Grafana fills in. */
type Given<T> = Written<Partial<T>>;

type Defaults = FieldConfigSource["defaults"];

/** A panel whose type says what options and what settings of fields it can have. */
type Of<Type extends string, Options, Custom> = Written<Omit<Panel, "type" | "options" | "fieldConfig">> & {
  type: Type;
  options: Given<Options>;
  fieldConfig: Written<Omit<FieldConfigSource, "defaults">> & {
    defaults: Written<Omit<Defaults, "custom">> & { custom?: Given<Custom> };
  };
};

type None = Record<never, never>;

export type Shown =
  | (Written<RowPanel> & { type: "row" })
  | Of<"bargauge", bargauge.Options, None>
  | Of<"logs", logs.Options, None>
  | Of<"stat", stat.Options, None>
  | Of<"table", table.Options, TableFieldOptions>
  | Of<"timeseries", timeseries.Options, GraphFieldConfig>;

export type File = Written<Omit<Dashboard, "panels">> & { panels: Shown[] };
