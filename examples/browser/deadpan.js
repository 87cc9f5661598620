// Reads the expressions of faces in the browser, with the networks of the Python package and onnxruntime-web.
//
// The functions follow the files of the same stage in Python: pixels and warps are OpenCV's (faces/alignment.py,
// faces/networks.py), the search is faces/cascade.py, the landmarks faces/mesh.py, the answers prediction/predictor.py.
// A picture is {width, height, data}, where data is a Uint8Array or Uint8ClampedArray of RGB values.

const SIDES = [160, 320, 640], LARGE = 56, CERTAIN = 10, PRESENT = 0, OVERLAP = 0.3, MARGIN = 3 / 64;
const RIGHT_ANGLE = Math.PI / 2, ROLL_OFF = Math.PI / 12, PLACE_OFF = 0.1, SIZE_OFF = 0.25;
const MESH_SIDE = 192, BLAZEFACE_SIDE = 128, LONGEST_SIDE = 640, CONFIDENCE = 0.5, BATCH = 16;
const LEFT_EYE = [33, 160, 158, 133, 153, 144], RIGHT_EYE = [362, 385, 387, 263, 373, 380];
const STABLE = [33, 133, 362, 263, 168, 6, 197, 195];
const TEMPLATES = {
  five: [[0.3115, 0.381], [0.6885, 0.381], [0.5, 0.585], [0.345, 0.775], [0.655, 0.775]],
  mesh: [[0.2272, 0.3682], [0.3943, 0.3819], [0.6057, 0.3819], [0.7728, 0.3682],
    [0.5, 0.3513], [0.5, 0.3998], [0.5, 0.4424], [0.5, 0.481]],
};

// ---- pixels: OpenCV's resize and warpAffine

/** Round halves to even, as Python and C do. */
function round(value) {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 ? near - 1 : near;
}

/** OpenCV's INTER_LINEAR: weights of 11 bits. */
function linear(picture, width, height) {
  const { data } = picture, out = new Uint8ClampedArray(width * height * 3);
  const axis = (count, from, isColumn) => Array.from({ length: count }, (_, index) => {
    const place = (index + 0.5) * (from / count) - 0.5, first = Math.floor(place);
    const isOutside = isColumn && (first < 0 || first >= from - 1);
    const share = isOutside ? 0 : Math.fround(place - first), clipped = (each) => Math.min(Math.max(each, 0), from - 1);
    return [clipped(first), clipped(first + 1), round((1 - share) * 2048), round(share * 2048)];
  });
  const columns = axis(width, picture.width, true), rows = axis(height, picture.height, false);
  for (let y = 0, at = 0; y < height; y++) {
    const [above, below, upper, lower] = rows[y], up = above * picture.width, down = below * picture.width;
    for (let x = 0; x < width; x++) {
      const [left, right, a, b] = columns[x];
      for (let c = 0; c < 3; c++, at++) {
        const high = data[(up + left) * 3 + c] * a + data[(up + right) * 3 + c] * b;
        const low = data[(down + left) * 3 + c] * a + data[(down + right) * 3 + c] * b;
        out[at] = (((upper * (high >> 4)) >> 16) + ((lower * (low >> 4)) >> 16) + 2) >> 2;
      }
    }
  }
  return { width, height, data: out };
}

/** OpenCV's INTER_AREA for smaller pictures: the mean of all pixels, and of parts of pixels, that a new one covers. */
function area(picture, width, height) {
  const axis = (count, from) => Array.from({ length: count }, (_, index) => {
    const scale = from / count, start = index * scale, end = start + scale, cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1), first = Math.min(Math.ceil(start), last), parts = [];
    if (first - start > 1e-3) parts.push([first - 1, Math.fround((first - start) / cell)]);
    for (let each = first; each < last; each++) parts.push([each, Math.fround(1 / cell)]);
    if (end - last > 1e-3) parts.push([last, Math.fround(Math.min(end - last, 1, cell) / cell)]);
    return parts;
  });
  const columns = axis(width, picture.width), rows = axis(height, picture.height);
  const { data } = picture, out = new Uint8ClampedArray(width * height * 3), { fround } = Math;
  const isHalf = picture.width === 2 * width && picture.height === 2 * height;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, at++) {
        let sum = 0;
        for (const [row, share] of rows[y]) {
          let across = 0;
          for (const [column, part] of columns[x]) {
            across = fround(across + fround(data[(row * picture.width + column) * 3 + c] * part));
          }
          sum = fround(sum + fround(across * share));
        }
        out[at] = isHalf ? Math.floor(sum + 0.5) : round(sum);
      }
    }
  }
  return { width, height, data: out };
}

/** Scale a picture to `longest` pixels on its longer side; also return the factors (x, y). */
function scaledTo(picture, longest) {
  const { width, height } = picture, factor = longest / Math.max(width, height);
  if (factor === 1) return [picture, [1, 1]];
  const size = [Math.max(1, round(width * factor)), Math.max(1, round(height * factor))];
  const fine = factor < 0.5 ? linear(picture, 2 * size[0], 2 * size[1]) : picture;
  const small = factor < 1 ? area(fine, ...size) : linear(fine, ...size);
  return [small, [size[0] / width, size[1] / height]];
}

/** The weights of four neighbours in cubic interpolation, with OpenCV's A of -0.75. */
function cubic(f) {
  const near = (x) => (1.25 * x - 2.25) * x * x + 1, far = (x) => ((-0.75 * x + 3.75) * x - 6) * x + 3;
  const found = [far(f + 1), near(f), near(1 - f)];
  return [...found, 1 - found[0] - found[1] - found[2]];
}

/** OpenCV's warpAffine to a square of `side`: `reach` 1 is linear, 2 cubic; the edge is repeated, or black outside. */
function warpAffine(picture, [[a, b, tx], [c, d, ty]], side, reach, isRepeated) {
  const { width, height, data } = picture, out = new Uint8ClampedArray(side * side * 3), scale = 1 / (a * d - b * c);
  const across = [d * scale, -b * scale], down = [-c * scale, a * scale];
  for (let row = 0, at = 0; row < side; row++) {
    for (let column = 0; column < side; column++, at += 3) {
      const x = across[0] * (column - tx) + across[1] * (row - ty), y = down[0] * (column - tx) + down[1] * (row - ty);
      const left = Math.floor(x), top = Math.floor(y), sums = [0, 0, 0];
      const weights = [x - left, y - top].map((f) => (reach === 1 ? [1 - f, f] : cubic(f)));
      weights[1].forEach((vertical, j) => weights[0].forEach((horizontal, i) => {
        const px = left + i - reach + 1, py = top + j - reach + 1;
        if (!isRepeated && (px < 0 || px >= width || py < 0 || py >= height)) return;
        const from = (Math.min(Math.max(py, 0), height - 1) * width + Math.min(Math.max(px, 0), width - 1)) * 3;
        for (let k = 0; k < 3; k++) sums[k] += vertical * horizontal * data[from + k];
      }));
      for (let k = 0; k < 3; k++) out[at + k] = round(sums[k]);
    }
  }
  return { width: side, height: side, data: out };
}

/** numpy's rot90: turn a picture by quarter turns, anticlockwise. */
function turned(picture, turns) {
  if (!turns) return picture;
  const { width, height, data } = picture, out = new Uint8ClampedArray(data.length);
  for (let y = 0, at = 0; y < width; y++) {
    for (let x = 0; x < height; x++, at += 3) {
      out.set(data.subarray((x * width + width - 1 - y) * 3, (x * width + width - y) * 3), at);
    }
  }
  return turned({ width: height, height: width, data: out }, turns - 1);
}

/** (3, H, W) values of a picture as a network reads them, in the corner of a larger field of zeros. */
function planes({ width, height, data }, convert, fieldWidth = width, fieldHeight = height, left = 0, top = 0) {
  const out = new Float32Array(3 * fieldWidth * fieldHeight).fill(convert(0));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, at++) {
        out[(c * fieldHeight + y + top) * fieldWidth + x + left] = convert(data[at]);
      }
    }
  }
  return out;
}

/** The pixels of a picture file, upright and on white, as the browser decodes it; `canvas` receives the picture. */
export async function pictureOf(file, canvas = document.createElement("canvas")) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const { width, height } = bitmap;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const values = context.getImageData(0, 0, width, height).data, data = new Uint8ClampedArray(width * height * 3);
  for (let at = 0, from = 0; at < data.length; at += 3, from += 4) data.set(values.subarray(from, from + 3), at);
  return { width, height, data };
}

// ---- geometry

const rotated = ([x, y], angle) => {
  const cosine = Math.cos(angle), sine = Math.sin(angle);
  return [x * cosine - y * sine, x * sine + y * cosine];
};
const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
const middle = (points) => [mean(points.map((each) => each[0])), mean(points.map((each) => each[1]))];
const clip = (value, high) => Math.min(Math.max(value, 0), high);
const modulo = (value, by) => ((value % by) + by) % by;

/** The similarity transform without reflection, as a (2, 3) matrix, that fits points to others by least squares. */
function similarity(source, target) {
  const [sx, sy] = middle(source), [tx, ty] = middle(target);
  let power = 0, real = 0, imaginary = 0;
  source.forEach(([x, y], index) => {
    const [dx, dy, ex, ey] = [x - sx, y - sy, target[index][0] - tx, target[index][1] - ty];
    power += dx * dx + dy * dy;
    real += dx * ex + dy * ey;
    imaginary += dx * ey - dy * ex;
  });
  const a = real / power, b = imaginary / power;
  return [[a, -b, tx - a * sx + b * sy], [b, a, ty - b * sx - a * sy]];
}

/** The roll of a face with five landmarks: 0 upright, a quarter turn clockwise is pi / 2. */
function rollOfFive(points) {
  const across = [0, 1].map((k) => points[1][k] - points[0][k] + points[4][k] - points[3][k]);
  const down = [0, 1].map((k) => (points[3][k] + points[4][k] - points[0][k] - points[1][k]) / 2);
  return Math.atan2(across[1] - down[0], across[0] + down[1]);
}

/** Groups of candidates that overlap, best first; a candidate is {box, score, square}. */
function overlapping(candidates) {
  let left = [...candidates].sort((one, other) => other.score - one.score);
  const groups = [], size = ([l, t, r, b]) => (r - l) * (b - t);
  while (left.length) {
    const best = left[0].box;
    const isSame = (each, index) => {
      const [width, height] = [0, 1].map((k) => Math.min(best[k + 2], each.box[k + 2]) - Math.max(best[k], each.box[k]));
      const common = Math.max(0, width) * Math.max(0, height);
      return !index || common > OVERLAP * (size(each.box) + size(best) - common);
    };
    const same = left.map(isSame);
    groups.push(left.filter((_, index) => same[index]));
    left = left.filter((_, index) => !same[index]);
  }
  return groups;
}

/** The square in which to read the mesh of a candidate: [centre x, centre y, side, roll]. */
function squareOf([left, top, right, bottom], roll, enlarged, lower) {
  const side = Math.max(right - left, bottom - top);
  const x = (left + right) / 2 - Math.sin(roll) * lower * side, y = (top + bottom) / 2 + Math.cos(roll) * lower * side;
  return [x, y, side * enlarged, roll];
}

function anchors() {
  const found = [];
  for (const [cells, repeated] of [[16, 2], [8, 6]]) {
    for (let index = 0; index < cells * cells * repeated; index++) {
      const cell = Math.floor(index / repeated), step = BLAZEFACE_SIDE / cells;
      found.push([(cell % cells + 0.5) * step, (Math.floor(cell / cells) + 0.5) * step]);
    }
  }
  return found;
}

// ---- the reader

export class Reader {
  /** Open the networks: `ort` is onnxruntime-web, `places` gives the addresses of the files. */
  static async open(ort, { centerface, blazeface, faceMesh, model, card }) {
    const reader = new Reader();
    reader.ort = ort;
    const files = { centerface, blazeface, faceMesh, model };
    for (const [name, address] of Object.entries(files)) reader[name] = await ort.InferenceSession.create(address);
    reader.card = typeof card === "string" ? await (await fetch(card)).json() : card;
    return reader;
  }

  /** Find and read the faces of a picture, from left to right. */
  async read(picture) {
    const faces = await this.find(picture), size = this.card.image_size;
    const crops = faces.map((face) => this.aligned(picture, face, size)), answers = [];
    for (let start = 0; start < crops.length; start += BATCH) {
      answers.push(...await this.recognise(crops.slice(start, start + BATCH), size));
    }
    return faces.map((face, index) => ({ ...face, aligned: crops[index], ...answers[index] }));
  }

  /** Align a face, (S, S). */
  aligned(picture, { mesh, landmarks }, size) {
    const margin = Math.floor((round(size * (1 + 2 * MARGIN)) - size) / 2), side = size + 2 * margin;
    const way = this.card.alignment ?? "five";
    const points = way === "mesh" ? STABLE.map((index) => mesh[index]) : landmarks;
    const matrix = similarity(points, TEMPLATES[way].map((point) => point.map((each) => each * size + margin - 0.5)));
    const samples = Math.min(16, Math.max(1, Math.ceil(1 / Math.hypot(matrix[0][0], matrix[1][0]) - 1e-6)));
    const finer = matrix.map(([a, b, t]) => [a * samples, b * samples, t * samples + (samples - 1) / 2]);
    const warped = warpAffine(picture, finer, side * samples, samples === 1 ? 2 : 1, true);
    const whole = samples > 1 ? area(warped, side, side) : warped, data = new Uint8ClampedArray(size * size * 3);
    for (let y = 0; y < size; y++) {
      const start = ((y + margin) * side + margin) * 3;
      data.set(whole.data.subarray(start, start + size * 3), y * size * 3);
    }
    return { width: size, height: size, data };
  }

  /** Run the model on aligned faces. */
  async recognise(crops, size) {
    const { expressions, generates, compares } = this.card, count = crops.length, step = 3 * size * size;
    const values = new Float32Array(count * step);
    crops.forEach((crop, index) => values.set(planes(crop, toNetwork), index * step));
    const image = new this.ort.Tensor("float32", values, [count, 3, size, size]);
    const inputs = { image };
    if (compares) { // with the generated neutral face, and no rest face
      Object.assign(inputs, { rest: image, given: new this.ort.Tensor("float32", new Float32Array(count)) });
    }
    const { logits, neutral } = await this.model.run(inputs, generates ? ["logits", "neutral"] : ["logits"]);
    return crops.map((crop, index) => {
      const own = Array.from(logits.data.slice(index * expressions.length, (index + 1) * expressions.length));
      const powers = own.map((each) => Math.exp(each - Math.max(...own))), sum = powers.reduce((a, b) => a + b);
      const probabilities = Object.fromEntries(expressions.map((name, k) => [name, powers[k] / sum]));
      const expression = expressions[own.indexOf(Math.max(...own))];
      const made = generates ? neutralPicture(neutral.data.subarray(index * step, (index + 1) * step), crop) : null;
      const residue = made && mean(Array.from(made.data, (each, at) => Math.abs(each - crop.data[at]))) / 255;
      return { expression, probabilities, neutral: made, residue };
    });
  }

  /** Find the faces of a picture, also of one that is turned by quarter turns. */
  async find(picture) {
    let faces = await this.findUpright(picture);
    const turn = faces.length ? mainTurn(faces) : await this.turnOfMissed(picture);
    if (turn) {
      const again = (await this.findUpright(turned(picture, turn))).map((face) => turnedBack(face, turn, picture));
      if (again.length >= faces.length) faces = again;
    }
    const isUsable = ({ box: [left, top, right, bottom] }) => right > left && bottom > top;
    return faces.filter(isUsable).sort((one, other) => one.box[0] - other.box[0] || one.box[1] - other.box[1]);
  }

  async findUpright(picture) {
    const faces = await this.meshes(picture, await this.candidates(picture));
    return faces.length ? faces : this.meshes(picture, await this.look("findBlazeface", picture, BLAZEFACE_SIDE));
  }

  /** Search larger and larger pictures until all faces found are large; the largest, 1280, needs no tiles. */
  async candidates(picture) {
    const longest = Math.max(picture.width, picture.height), limit = Math.min(LONGEST_SIDE, longest);
    let found = [];
    for (const side of [...SIDES.filter((each) => each < limit), limit, 2 * limit]) {
      if (side > limit && !found.length) break;
      found = overlapping([...await this.look("findCenterface", picture, side), ...found]).map(([best]) => best);
      const sides = found.map(({ box: [left, top, right, bottom] }) => Math.max(right - left, bottom - top));
      if (found.length && Math.min(...sides) * (side / longest) >= LARGE) break;
    }
    return found;
  }

  async look(search, picture, side) {
    const [small, [fx, fy]] = scaledTo(picture, side), found = await this[search](small);
    return found.map(({ box, score, square: [x, y, length, roll] }) => ({
      box: [box[0] / fx, box[1] / fy, box[2] / fx, box[3] / fy],
      score,
      square: [x / fx, y / fy, length / ((fx + fy) / 2), roll],
    }));
  }

  async findCenterface(picture) {
    const width = Math.ceil(picture.width / 32) * 32, height = Math.ceil(picture.height / 32) * 32;
    const field = planes(picture, (value) => value, width, height);
    const photograph = new this.ort.Tensor("float32", field, [1, 3, height, width]);
    const { heat, size, offset, landmarks } = await this.centerface.run({ photograph });
    const columns = width / 4, cells = columns * height / 4, found = [];
    for (let cell = 0; cell < cells; cell++) {
      if (heat.data[cell] < CONFIDENCE) continue;
      const of = (output, channel) => output.data[channel * cells + cell];
      const sides = [Math.exp(of(size, 1)) * 4, Math.exp(of(size, 0)) * 4];
      const x = (cell % columns + of(offset, 1) + 0.5) * 4, y = (Math.floor(cell / columns) + of(offset, 0) + 0.5) * 4;
      const box = [x - sides[0] / 2, y - sides[1] / 2, x + sides[0] / 2, y + sides[1] / 2];
      const point = (k) => [box[0] + of(landmarks, 2 * k + 1) * sides[0], box[1] + of(landmarks, 2 * k) * sides[1]];
      const roll = rollOfFive([0, 1, 2, 3, 4].map(point));
      found.push({ box, score: heat.data[cell], square: squareOf(box, roll, 1.4, 0.04) });
    }
    return overlapping(found).map(([best]) => best);
  }

  async findBlazeface(picture) {
    const corner = [picture.width, picture.height].map((each) => Math.floor((BLAZEFACE_SIDE - each) / 2));
    const field = planes(picture, toNetwork, BLAZEFACE_SIDE, BLAZEFACE_SIDE, ...corner);
    const photograph = new this.ort.Tensor("float32", field, [1, 3, BLAZEFACE_SIDE, BLAZEFACE_SIDE]);
    const { boxes, logits } = await this.blazeface.run({ photograph }), centres = anchors(), found = [];
    logits.data.forEach((logit, index) => {
      const score = 1 / (1 + Math.exp(-logit));
      if (score < CONFIDENCE) return;
      const row = boxes.data.subarray(index * 16, index * 16 + 16);
      const [ax, ay] = centres[index].map((each, k) => each - corner[k]);
      const x = row[0] + ax, y = row[1] + ay, box = [x - row[2] / 2, y - row[3] / 2, x + row[2] / 2, y + row[3] / 2];
      found.push({ box, score, eyes: [row[4] + ax, row[5] + ay, row[6] + ax, row[7] + ay] });
    });
    return overlapping(found).map((group) => {
      const total = group.reduce((sum, each) => sum + each.score, 0);
      const weighted = (key, k) => group.reduce((sum, each) => sum + each.score / total * each[key][k], 0);
      const average = (key) => [0, 1, 2, 3].map((k) => weighted(key, k));
      const box = average("box"), eyes = average("eyes");
      const roll = Math.atan2(eyes[3] - eyes[1], eyes[2] - eyes[0]);
      return { box, score: group[0].score, square: squareOf(box, roll, 1.53, -0.04) };
    });
  }

  /** The candidates that show a face, each with its mesh and five landmarks. */
  async meshes(picture, candidates) {
    const faces = [];
    for (const { box, score, square } of candidates) {
      const mesh = await this.readAnyTurn(picture, square);
      if (mesh.presence < PRESENT) continue;
      const points = mesh.points, eye = (indices) => middle(indices.map((index) => points[index]));
      const landmarks = [eye(LEFT_EYE), eye(RIGHT_EYE), points[4], points[61], points[291]].map(([x, y]) => [x, y]);
      const limits = [picture.width, picture.height, picture.width, picture.height];
      faces.push({ box: box.map((edge, k) => clip(edge, limits[k])), score, landmarks, mesh: points });
    }
    return faces;
  }

  async readAnyTurn(picture, square) {
    let mesh = await this.readMesh(picture, square);
    if (mesh.presence < CERTAIN) {
      const from = [...square];
      for (const quarter of [1, 2, 3]) {
        const other = [...from.slice(0, 3), from[3] + quarter * RIGHT_ANGLE];
        const read = await this.readMesh(picture, other);
        if (read.presence > mesh.presence) [square, mesh] = [other, read];
      }
    }
    if (mesh.presence < PRESENT) return mesh;
    const better = squareOfMesh(mesh.points);
    const roll = Math.abs(modulo(better[3] - square[3] + Math.PI, 2 * Math.PI) - Math.PI);
    const moved = Math.hypot(better[0] - square[0], better[1] - square[1]) / square[2];
    if (roll > ROLL_OFF || moved > PLACE_OFF || Math.abs(Math.log(better[2] / square[2])) > SIZE_OFF) {
      const again = await this.readMesh(picture, better);
      if (again.presence >= PRESENT) mesh = again;
    }
    return mesh;
  }

  /** Run the mesh network on a square of the picture: 468 points [x, y, depth], and the presence of a face. */
  async readMesh(picture, [x, y, length, roll]) {
    const side = Math.max(length, 1), finer = Math.min(4, Math.max(1, round(side / MESH_SIDE / 1.5)));
    const scale = MESH_SIDE * finer / side, last = (MESH_SIDE * finer - 1) / 2;
    const cosine = scale * Math.cos(roll), sine = scale * Math.sin(roll);
    const matrix = [
      [cosine, sine, last - cosine * (x - 0.5) - sine * (y - 0.5)],
      [-sine, cosine, last + sine * (x - 0.5) - cosine * (y - 0.5)],
    ];
    const cut = warpAffine(picture, matrix, MESH_SIDE * finer, 1, false);
    const values = planes(finer > 1 ? area(cut, MESH_SIDE, MESH_SIDE) : cut, (value) => value / 255);
    const face = new this.ort.Tensor("float32", values, [1, 3, MESH_SIDE, MESH_SIDE]);
    const { points, presence } = await this.faceMesh.run({ face }), found = [];
    for (let index = 0; index < 468; index++) {
      const [px, py, depth] = [0, 1, 2].map((k) => points.data[3 * index + k] * (side / MESH_SIDE));
      const [dx, dy] = rotated([px - side / 2, py - side / 2], roll);
      found.push([dx + x - 0.5, dy + y - 0.5, depth]);
    }
    return { points: found, presence: presence.data[0] };
  }

  /** Quarter turns after which BlazeFace finds a face in the picture; 0 if it finds none. */
  async turnOfMissed(picture) {
    const [small] = scaledTo(picture, Math.min(4 * BLAZEFACE_SIDE, Math.max(picture.width, picture.height)));
    for (const turn of [1, 3, 2]) {
      const upright = turned(small, turn);
      const faces = await this.meshes(upright, await this.look("findBlazeface", upright, BLAZEFACE_SIDE));
      if (faces.length) return (turn + mainTurn(faces)) % 4;
    }
    return 0;
  }
}

const toNetwork = (value) => Math.fround(value / 127.5) - 1;

/** The neutral face (3, S, S) as a picture, grey if the face is grey. */
function neutralPicture(values, face) {
  const { width, height } = face, count = width * height, data = new Uint8ClampedArray(3 * count);
  let isGrey = true;
  for (let at = 0; at < count; at++) {
    for (let c = 0; c < 3; c++) {
      data[3 * at + c] = round(Math.fround(Math.fround(values[c * count + at] + 1) * 127.5));
    }
    isGrey &&= face.data[3 * at] === face.data[3 * at + 1] && face.data[3 * at] === face.data[3 * at + 2];
  }
  for (let at = 0; isGrey && at < 3 * count; at += 3) {
    data.fill(round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]), at, at + 3);
  }
  return { width, height, data };
}

function squareOfMesh(points) {
  const [ax, ay] = points[LEFT_EYE[0]], [bx, by] = points[RIGHT_EYE[3]], roll = Math.atan2(by - ay, bx - ax);
  const upright = points.map((point) => rotated(point, -roll));
  const edges = [0, 1].map((k) => upright.map((each) => each[k]));
  const low = edges.map((each) => Math.min(...each)), high = edges.map((each) => Math.max(...each));
  const [x, y] = rotated([0, 1].map((k) => (low[k] + high[k]) / 2), roll);
  return [x + 0.5, y + 0.5, 1.5 * Math.max(high[0] - low[0], high[1] - low[1]), roll];
}

/** Quarter turns, anticlockwise, after which most of the area of the faces is upright. */
function mainTurn(faces) {
  const areas = [0, 0, 0, 0];
  for (const { landmarks, box: [left, top, right, bottom] } of faces) {
    areas[modulo(round(rollOfFive(landmarks) / RIGHT_ANGLE), 4)] += (right - left) * (bottom - top);
  }
  return areas.indexOf(Math.max(...areas));
}

/** A face found after quarter turns, moved back to pixels of the picture itself. */
function turnedBack(face, turn, { width, height }) {
  const back = ([x, y, ...depth], last) => {
    const places = { 1: [width - last - y, x], 2: [width - last - x, height - last - y], 3: [y, height - last - x] };
    return [...places[turn], ...depth];
  };
  const corners = [back(face.box.slice(0, 2), 0), back(face.box.slice(2), 0)];
  const edges = [0, 1].map((k) => corners.map((each) => each[k]));
  const box = [...edges.map((each) => Math.min(...each)), ...edges.map((each) => Math.max(...each))];
  const moved = (points) => points.map((point) => back(point, 1));
  return { ...face, box, landmarks: moved(face.landmarks), mesh: moved(face.mesh) };
}
