// What Splunk's own schema and validator find wrong with dashboards of its Dashboard Studio. Standard input: a list of definitions;
// standard output: for each of them a list of faults.
"use strict";
const { createSchemaBasedOnDicts } = require("@splunk/dashboard-definition");
const { DashboardValidator } = require("@splunk/dashboard-validation");
const schemas = require("@splunk/visualization-schemas");

// Splunk lets pass options that a visualisation has not; here they are faults.
const closed = (properties) => ({ extend: { type: "object", properties, additionalProperties: false } });
const text = { type: "string" };
const schema = createSchemaBasedOnDicts({
  layoutDict: { absolute: {} },
  dataSourceDict: { "ds.search": { query: text, queryParameters: { type: "object" } } },
  visualizationDict: {
    "splunk.column": closed(schemas.columnOptionsSchema),
    "splunk.line": closed(schemas.lineOptionsSchema),
    "splunk.markdown": closed(schemas.markdownOptionsSchema),
    "splunk.singlevalue": closed(schemas.singleValueOptionsSchema),
    "splunk.table": closed(schemas.tableOptionsSchema),
  },
  inputDict: { "input.text": {}, "input.timerange": {} },
});

// The schema knows layouts with tabs only; one without, which Splunk opens since 9.0, is a single tab.
const tabbed = ({ layout: { type, options, structure, ...others } = {}, ...definition }) => ({
  ...definition,
  layout: { ...others, tabs: { items: [{ layoutId: "only" }] }, layoutDefinitions: { only: { type, options, structure } } },
});

const faults = (definition) => {
  const validator = new DashboardValidator();
  const refused = validator.setSchema(schema);
  if (refused) throw refused;
  const found = validator.validate(tabbed(definition)) ?? [];
  return [found].flat().map((fault) => JSON.stringify(fault).slice(0, 400));
};

console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0, "utf8")).map(faults)));
