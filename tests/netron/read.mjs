// Opens a model file with the modules of the netron package, as its page does; prints its nodes.
// node read.mjs FOLDER_OF_NETRON KIND FILE; KIND: onnx or tflite
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as url from 'node:url';

const [folder, kind, file] = process.argv.slice(2);
const load = (name) => import(url.pathToFileURL(path.join(folder, name)).href);
const [base, flatbuffers, protobuf, format] = await Promise.all(
    ['base.js', 'flatbuffers.js', 'protobuf.js', `${kind}.js`].map(load));
const bytes = new Uint8Array(fs.readFileSync(file));
const stream = () => new base.BinaryStream(bytes);

class Context {
    get identifier() { return path.basename(file); }
    get stream() { return stream(); }
    async peek(type) { return this.read(type); }
    async read(type) {
        if (type === 'flatbuffers.binary') { return flatbuffers.BinaryReader.open(stream()); }
        if (type === 'protobuf.binary') { return protobuf.BinaryReader.open(stream()); }
        return null;
    }
    async tags(type) {
        return type === 'pb' ? protobuf.BinaryReader.open(stream()).signature() : new Map();
    }
    set(type, value) { this.type = type; this.value = value; return type; }
    async require(name) {
        return load(`${name.replace('./', '')}.js`);
    }
    async metadata(name) {
        const file = path.join(folder, name);
        const types = JSON.parse(fs.readFileSync(file, 'utf-8'));
        return {
            type: (type) => types.find((each) => each.name === type) || { name: type },
            attribute: () => null
        };
    }
    async request(name) { return fs.readFileSync(path.join(folder, name), 'utf-8'); }
    async fetch() { throw new Error('no other file'); }
    error(error) { throw error; }
}
const context = new Context();
const factory = new format.ModelFactory();
if (!await factory.match(context)) { throw new Error('not matched'); }
const model = await factory.open(context);
const graphs = model.modules || model.graphs;
console.log(JSON.stringify(graphs.flatMap((graph) => graph.nodes.map((node) => node.type.name))));
