/** For test_mathematics.py: reads [[trace, settings, requested], …] from standard input, and writes the distributions. */

import { readFileSync } from "node:fs";

import { redistribute } from "../../../src/oruel/web/js/sampling.js";

/** @type {Parameters<typeof redistribute>[]} */
const cases = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map((one) => redistribute(...one))));
