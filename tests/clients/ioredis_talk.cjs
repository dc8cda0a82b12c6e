// Speaks to a server with ioredis, unchanged, and prints what it got as one line of JSON.
// node ioredis_talk.cjs FOLDER_OF_IOREDIS PORT
const Redis = require(process.argv[2]);

async function main() {
  const options = { host: "127.0.0.1", port: Number(process.argv[3]) };
  const redis = new Redis(options);
  const listener = new Redis(options);
  const seen = {};

  seen.set = await redis.set("greeting", "hello", "EX", 100);
  seen.get = await redis.get("greeting");
  await redis.set("b", Buffer.from([0, 13, 10, 255]));
  seen.binary = [...(await redis.getBuffer("b"))];
  await redis.hset("h", { a: 1, b: 2 });
  seen.hash = await redis.hgetall("h");
  seen.error = await redis.lpush("greeting", "x").catch((error) => error.message);
  seen.transaction = await redis.multi().incr("n").incr("n").exec();
  seen.pipeline = await redis.pipeline().get("n").get("none").exec();

  await listener.subscribe("news");
  const message = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  await redis.publish("news", "it works");
  seen.message = await message;

  seen.popped = await Promise.all([listener.duplicate().blpop("queue", 5), redis.rpush("queue", "job")]);
  console.log(JSON.stringify(seen));
  process.exit(0);
}

main();
