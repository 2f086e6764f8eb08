// Objects, buffers, timers, workers and zlib; SIZE is the argument.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } =
  require('worker_threads');

function objects(size, seed) {
  const map = new Map();
  let state = seed;
  for (let i = 0; i < 60000 * size; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const key = 'key' + state % (20000 * size);
    if (!map.has(key)) map.set(key, []);
    map.get(key).push({ i, text: String(i) });
    if (i % 3 === 0) map.delete('key' + i % (20000 * size));
  }
  let sum = 0;
  for (const list of map.values()) sum += list.length;
  return sum;
}

function buffers(size) {
  let sum = 0;
  for (let i = 0; i < 300 * size; i++) {
    const data = Buffer.alloc(10000 + i % 5000, 'abc' + i);
    const packed = zlib.deflateSync(data);
    sum += zlib.inflateSync(packed).length;
    sum += crypto.createHash('sha256').update(data).digest()[0];
  }
  return sum;
}

if (!isMainThread) {
  parentPort.postMessage(
    [workerData.size, objects(workerData.size, workerData.seed),
      buffers(workerData.size)]);
} else {
  const size = Number(process.argv[2]);
  let fired = 0, packed = 0;
  for (let i = 0; i < 2000; i++) setTimeout(() => { fired++; }, i % 20);
  for (let i = 0; i < 20 * size; i++) {
    zlib.gzip(Buffer.alloc(100000, 'text' + i), (error, out) => {
      if (error) throw error;
      zlib.gunzip(out, (failed, back) => {
        if (failed) throw failed;
        packed += back.length;
      });
    });
  }
  const results = [];
  const start = (seed) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { size, seed } });
    worker.on('message', (value) => results.push(value));
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
  console.log(objects(size, 3), buffers(size));
  Promise.all([start(1), start(2)]).then(() => {
    results.sort((a, b) => a[1] - b[1]);
    console.log(JSON.stringify(results));
    process.on('exit', () => console.log(fired, packed));
  });
}
