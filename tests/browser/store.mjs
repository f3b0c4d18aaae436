// A small enterprise with hostile names, one run of it, and the reports of that run.
import { execFileSync, spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

/** Names that have an effect on a page that treats them as markup. Box accepts up to 50 characters. */
export const HOSTILE = [
  "<script>window.hurt = 1</script>",
  '"><img src=x onerror="window.hurt = 2">',
  "</td></table><svg onload=window.hurt=3>",
  "<iframe src=https://example.test></iframe>",
  "=cmd|' /C calc'!A0",
  "\u202egnp.exe <b>bold</b> &amp; &lt;",
];

/** Creates the store and its reports. Returns the page with users, the page without users, and the ids of the renamed users. */
export async function makeReports(home, binary) {
  const store = path.join(home, "store");
  rmSync(store, { recursive: true, force: true });
  const simulator = spawn(binary, ["simulate", "--users", "400", "--groups", "24", "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env.PATH, HOME: home },
  });
  try {
    const env = { ...(await addresses(simulator)), HOME: home, BOXSEAT_STORE: store };
    const control = env.BOXSEAT_API_URL.replace(/\/2\.0.*$/, "/_simulator");
    const ids = await editNames(control);
    const run = (...args) => execFileSync(binary, args, { cwd: home, env, stdio: ["ignore", "pipe", "pipe"] });
    const config = path.join(home, "boxseat.toml");
    const licence = '[[licence]]\nplan_id = "enterprise"\nseats_purchased = 420\ncost_per_seat_monthly = "35.00"\ncurrency = "EUR"\n';
    writeFileSync(config, licence);
    run("sync", "--config", config, "--quiet");
    const reports = path.join(home, "reports");
    const forwarded = path.join(home, "forwarded.html");
    run("report", "all", "-o", reports, "--people", "--config", config);
    run("report", "licences", "-o", forwarded, "--config", config);
    return { page: path.join(reports, "index.html"), forwarded, ids };
  } finally {
    simulator.kill("SIGINT");
  }
}

/** The addresses and credentials that `boxseat simulate` prints when it listens. */
async function addresses(simulator) {
  const env = {};
  for await (const line of createInterface({ input: simulator.stdout })) {
    const [, name, value] = line.match(/^export (\w+)=(.*)$/) ?? [];
    if (name) env[name] = value;
    if (name === "BOXSEAT_ENTERPRISE_ID") return env;
  }
  throw new Error("boxseat simulate ended before it listened");
}

/** Gives the hostile names to suspended users, who are in every report that lists users. Returns their ids. */
async function editNames(control) {
  const truth = await (await fetch(`${control}/truth?events=false`)).json();
  const suspended = truth.users.filter((user) => user.status === "inactive").map((user) => user.user_id);
  const ids = [];
  for (const user_id of suspended) {
    if (ids.length === HOSTILE.length) break;
    const act = { edit_user: { user_id, body: { name: HOSTILE[ids.length] }, announced: true } };
    const answer = await fetch(`${control}/act`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(act),
    });
    // Accounts that cannot be edited are skipped.
    ids.push(...(await answer.json()));
  }
  if (ids.length < HOSTILE.length) throw new Error(`only ${ids.length} of ${suspended.length} people took a name`);
  return ids;
}
