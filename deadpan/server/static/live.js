// The webcam: one picture at a time goes to the server, the next one when the last one is answered.

import { openLive } from "./api.js";
import { Bars, Way, caution, frames, tiles } from "./face.js";

const at = (id) => document.getElementById(id);
const LONGEST = 640;
let running = null;

export function stopLive() {
  running?.end();
}

export async function startLive(model, say) {
  stopLive();
  if (!navigator.mediaDevices) {
    say("The browser gives the webcam only to pages of this machine (127.0.0.1) or with https.", true);
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGEST }, facingMode: "user" } });
  } catch (error) {
    say(`The webcam cannot be used: ${error.message}`, true);
    return;
  }
  running = new Conversation(model, stream, say);
  await running.begin();
}

class Conversation {
  constructor(model, stream, say) {
    this.model = model;
    this.stream = stream;
    this.say = say;
    this.takeRest = false;
    this.restPicture = null;
    this.told = "";
    this.times = [];
    this.canvas = document.createElement("canvas");
    this.socket = openLive(new URLSearchParams({ model: model.name, pictures: true }));
  }

  async begin() {
    const video = at("video");
    video.srcObject = this.stream;
    await video.play();
    this.bars = new Bars(this.model.expressions, `Probabilities by ${this.model.name}`);
    this.way = null;
    at("live-read").replaceChildren(this.bars.element);
    this.list = document.createElement("ul");
    at("live-way").replaceChildren(this.list);
    at("live").hidden = false;
    at("forget").hidden = true;
    at("rest").onclick = () => { this.takeRest = true; };
    at("forget").onclick = () => {
      this.socket.send(JSON.stringify({ rest: false }));
      this.restPicture = null;
    };
    at("smooth").onchange = () => this.setSmooth();
    at("stop").onclick = () => {
      this.end();
      at("webcam").focus();
    };
    this.socket.onmessage = (event) => this.show(JSON.parse(event.data));
    this.socket.onclose = (event) => {
      if (running === this) this.say(event.reason || "The live connection ended; too many may be open, or the server stopped.", true);
      this.end();
    };
    this.socket.onopen = () => {
      if (!at("smooth").checked) this.setSmooth();
      this.send();
    };
    if (this.socket.readyState === WebSocket.OPEN) this.socket.onopen();
    at("live-title").focus({ preventScroll: true });
    at("live").scrollIntoView({ block: "start" });
  }

  setSmooth() {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ smooth: at("smooth").checked }));
  }

  send() {
    if (running !== this || this.socket.readyState !== WebSocket.OPEN) return;
    const { videoWidth, videoHeight } = at("video");
    const factor = Math.min(1, LONGEST / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * factor);
    this.canvas.height = Math.round(videoHeight * factor);
    this.canvas.getContext("2d").drawImage(at("video"), 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.toBlob((picture) => {
      if (this.socket.readyState !== WebSocket.OPEN) return;
      this.restAsked = this.takeRest;
      if (this.takeRest) this.socket.send(JSON.stringify({ rest: true }));
      this.takeRest = false;
      this.socket.send(picture);
    }, "image/jpeg", 0.85);
  }

  show(answer) {
    if (running !== this) return;
    this.times = [...this.times.slice(-29), performance.now()];
    const seconds = (this.times.at(-1) - this.times[0]) / 1000;
    const rate = seconds ? ((this.times.length - 1) / seconds).toFixed(0) : "…";
    const size = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
    const face = answer.faces.toSorted((a, b) => size(b) - size(a))[0];
    if (!answer.error) frames(at("live-boxes"), answer.width, answer.height, answer.faces);
    if (this.restAsked) {
      if (answer.error) this.say(answer.error, true);
      else {
        this.restPicture = face.pictures.face;
        this.say("Your face at rest is kept for this session: the marks on the bars show it.");
        [this.told, this.toldAt] = [face.expression, performance.now()];  // the next message waits until this one is heard
      }
    }
    at("forget").hidden = !answer.rest;
    const distance = face?.distance_from_rest;
    const apart = Number.isFinite(distance) ? `${distance.toFixed(2)} from rest (0 to 1), ` : "";
    at("live-note").textContent = answer.error ?? (face ? `${apart}${rate} pictures a second` : "No face found.");
    at("live-marks").textContent = face ? caution(face) : "";
    if (face) this.showFace(face);
    requestAnimationFrame(() => this.send());
  }

  showFace(face) {
    this.bars.show(face);
    const own = this.restPicture;
    const neutral = own ?? face.pictures.neutral;
    const name = own ? "your face at rest" : "generated neutral face";
    const list = tiles({ ...face.pictures, neutral }, name);
    this.list.replaceWith(list);
    this.list = list;
    if (neutral) {
      if (this.way?.names[1] !== name) {
        const way = new Way(["now", name]);
        way.slider.value = this.way?.slider.value ?? 0;
        this.list.before(way.element);
        this.way?.element.remove();
        this.way = way;
      }
      this.way.show([face.pictures.face, neutral]);
    }
    const now = performance.now();
    if (face.expression !== this.told && now - (this.toldAt ?? 0) > 2000) {  // a screen reader cannot follow every picture
      this.say(`Now ${face.expression}.`);
      this.told = face.expression;
      this.toldAt = now;
    }
  }

  end() {
    if (running === this) running = null;
    for (const track of this.stream.getTracks()) track.stop();
    this.socket.close();
    at("live").hidden = true;
  }
}
