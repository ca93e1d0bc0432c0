// Which of some LogQL queries Grafana's grammar does not understand. Standard input: a list of queries; standard output: for each
// of them where its first fault is, or null.

import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-logql";

const fault = (query) => {
  let at = query.trim() === "" ? 0 : null;
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.type.isError) at ??= node.from;
    },
  });
  return at;
};

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(fault)));
