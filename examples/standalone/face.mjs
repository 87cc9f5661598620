// Reads one aligned face with a model of `deadpan export --standalone`, with onnxruntime-node alone.
//
//     npm install onnxruntime-node
//     node face.mjs MODEL.onnx FACE.rgb NEUTRAL.rgb
//
// FACE.rgb holds the bytes of an aligned face, S x S pixels in RGB order; NEUTRAL.rgb receives the neutral face.

import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const [model, face, neutral] = process.argv.slice(2);
const session = await ort.InferenceSession.create(model);
const pixels = new Uint8Array(readFileSync(face));
const size = Math.sqrt(pixels.length / 3);
const faces = new ort.Tensor("uint8", pixels, [1, size, size, 3]);
const answer = await session.run({ faces });
answer.expressions.data.forEach((name, index) => {
  console.log(`${name} ${answer.probabilities.data[index].toFixed(6)}`);
});
console.log(`residue ${answer.residue.data[0].toFixed(6)}`);
writeFileSync(neutral, answer.neutral.data);
