// Writes numbered keys, one after the other, to whoever the Sentinels say is the master, and tells
// of each write what became of it: one line of JSON each, and one for each event of the client.
//
//   node writer.cjs '{"sentinels": [{"host": "127.0.0.1", "port": 26379}], "name": "mymaster"}'
//
// It ends when its input does. The options are those of ioredis, and three of its own: `prefix` of
// the keys, `pauseMs` between two writes, `giveUpMs`, after which a write counts as failed.
const Redis = require("ioredis");

const { prefix = "write", pauseMs = 20, giveUpMs, ...options } = JSON.parse(process.argv[2]);
const tell = (what) => process.stdout.write(JSON.stringify({ at: Date.now(), ...what }) + "\n");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// An event without a listener would end the program: the first lesson of every client in Node.js.
const redis = new Redis({ commandTimeout: giveUpMs, ...options });
for (const name of ["ready", "close", "reconnecting", "end"]) {
  redis.on(name, () => tell({ event: name, port: redis.stream?.remotePort }));
}
redis.on("error", (error) => tell({ event: "error", detail: error.message }));

let isOver = false;

// A client that has ended stays so. With `failoverDetector` it may end in the middle of a failover:
// when the news of the new master breaks off its own attempt to connect. So connect once more.
redis.on("end", () => isOver || setTimeout(() => redis.connect().catch(() => {}), 100));
process.stdin.on("end", () => (isOver = true)).resume();

async function main() {
  for (let number = 0; !isOver; number++) {
    const sent = Date.now();
    try {
      await redis.set(`${prefix}:${number}`, number);
      tell({ number, sent, ok: true, port: redis.stream.remotePort });
    } catch (error) {
      tell({ number, sent, ok: false, detail: error.message });
    }
    await sleep(pauseMs);
  }
  redis.disconnect();
}

main();
