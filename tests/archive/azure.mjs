// Makes a container in Azurite, puts a file there, or tells the names of what is there: its requests must be signed.
//
//   node azure.mjs http://ADDRESS/ACCOUNT KEY CONTAINER
//   node azure.mjs http://ADDRESS/ACCOUNT KEY CONTAINER/NAME FILE
//   node azure.mjs http://ADDRESS/ACCOUNT KEY CONTAINER --list

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const [account, key, name, what] = process.argv.slice(2);

/** Signed as the service asks for: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key */
const ask = async (verb, query, headers, body) => {
  const url = new URL(`${account}/${name}`);
  const own = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2023-11-03", ...headers };
  const lines = Object.entries(own).sort().map(([header, value]) => `${header}:${value}\n`);
  const asked = Object.entries(query).sort().map(([field, value]) => `\n${field}:${value}`);
  const owner = url.pathname.split("/")[1];
  const text = `${verb}\n\n\n${body?.length || ""}\n\n\n\n\n\n\n\n\n${lines.join("")}/${owner}${url.pathname}${asked.join("")}`;
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
  url.search = new URLSearchParams(query);
  const headed = { ...own, authorization: `SharedKey ${owner}:${signature}` };
  const answer = await fetch(url, { method: verb, headers: headed, body });
  const told = await answer.text();
  if (!answer.ok) throw new Error(`${verb} ${url}: ${answer.status} ${told}`);
  return told;
};

if (what === undefined) await ask("PUT", { restype: "container" }, {});
else if (what === "--list") {
  const told = await ask("GET", { comp: "list", restype: "container" }, {});
  for (const [, found] of told.matchAll(/<Name>([^<]*)<\/Name>/g)) console.log(found);
} else await ask("PUT", {}, { "x-ms-blob-type": "BlockBlob" }, readFileSync(what));
