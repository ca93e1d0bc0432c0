// Parses queries: KQL by Microsoft's language service, with the table that contrib/sentinel makes, and LogQL by Grafana's
// grammar. Standard input: {table, kql, logql}; standard output: what is wrong with each.
"use strict";
require("@kusto/language-service-next/bridge.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.js");
const { parser } = require("@grafana/lezer-logql");

const { table, kql, logql } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

const columns = table.columns.map(({ name, type }) => `${name}: ${type}`).join(", ");
const ours = Symbols.TableSymbol.From(`(${columns})`).WithName(table.name);
// Of Sentinel's own, what the queries use.
const signins = Symbols.TableSymbol.From(
  "(TimeGenerated: datetime, UserPrincipalName: string, IPAddress: string, ResultType: string)",
).WithName("SigninLogs");
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", [ours, signins]));

function kqlFaults(query) {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, n) => found.getItem(n).Message);
}

function logqlFaulty(query) {
  let faulty = query.trim() === "";
  parser.parse(query).iterate({ enter: (node) => { faulty ||= node.type.isError; } });
  return faulty;
}

const broken = [
  kqlFaults("Barewire_CL | whee TimeGenerated > ago(1d)").length > 0,
  kqlFaults("Barewire_CL | where evnt.dataset == 'x'").length > 0,
  logqlFaulty('{job="barewire"} | json | source.ip!=ip("10.0.0.0/8")'),
];
console.log(JSON.stringify({ kql: kql.map(kqlFaults), logql: logql.map(logqlFaulty), broken }));
