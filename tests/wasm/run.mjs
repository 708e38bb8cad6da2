// Has the library in WebAssembly compute root hashes of bytes that are made here, and holds them against the golden vectors.
//   node run.mjs FILE.wasm
import assert from "node:assert";
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const { memory, room, root_hash } = instance.exports;
const { vectors } = JSON.parse(readFileSync(new URL("../vectors/vectors.json", import.meta.url)));

const put = (which, bytes) => {
    const at = room(which, bytes.length) >>> 0;
    // Looked up afterwards: memory that has grown is another buffer.
    new Uint8Array(memory.buffer).set(bytes, at);
};

const usual = ["--data-block-size=4096", "--hash-block-size=4096", "--hash=sha256", "--format=1"];
let compared = 0;
for (const { name, data, args, root_hash: expected } of vectors) {
    // Those with the usual parameters, of a length that is soon hashed.
    const options = args.slice(3).filter((option) => !usual.includes(option) && !option.startsWith("--uuid="));
    const salt = options[0]?.match(/^--salt=([0-9a-f]+)$/)?.[1];
    if (options.length !== 1 || args.length !== 9 || salt === undefined || data.bytes > 2 << 20 || data.bytes % 4096) continue;
    put(0, Uint8Array.from({ length: data.bytes }, (_, index) => (data.pattern === "zero" ? 0 : index % 251)));
    put(1, Buffer.from(salt, "hex"));
    const at = root_hash() >>> 0;
    const found = Buffer.from(new Uint8Array(memory.buffer).slice(at, at + 32)).toString("hex");
    assert.strictEqual(found, expected, name);
    compared += 1;
}
assert(compared >= 5, `only ${compared} vectors were compared`);
console.log(`wasm32-unknown-unknown: ${compared} root hashes in node are those of the reference`);
