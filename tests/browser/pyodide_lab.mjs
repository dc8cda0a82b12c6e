// Runs a lab in Pyodide under node: node pyodide_lab.mjs <pyodide folder> <program.py> <wheel>...
// The program's last expression is printed.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, program, ...wheels] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
const pyodide = await loadPyodide({ indexURL: `${folder}/` });
for (const wheel of wheels) {
  pyodide.unpackArchive(new Uint8Array(readFileSync(wheel)), "zip", { extractDir: "/packages" });
}
pyodide.runPython("import sys; sys.path.insert(0, '/packages')");
try {
  console.log(await pyodide.runPythonAsync(readFileSync(program, "utf8")));
} catch (failure) {
  // Uncaught, node would print Pyodide's own source along with it.
  console.error(failure.message);
  process.exit(1);
}
