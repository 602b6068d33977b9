// The page on which every trial is shown. The server decides what comes next; this module shows
// it, takes one answer and hands it to the outbox, from which it is sent.

import { Course } from "./course.js";
import { hasAllFeatures } from "./features.js";
import { frameAt, frameInterval, frameToTakeAway, measureFrames, nextFrame } from "./frames.js";
import { listenForFocusLoss, listenForPresses, pauseOrPress } from "./input.js";
import { isForStimulus } from "./keys.js";
import { describeAnswer, isBlockStart, readSettings } from "./measures.js";
import { Outbox, openStorage, orderOf } from "./outbox.js";
import { untilItWorks } from "./retry.js";
import { Sender } from "./sending.js";
import { Stage } from "./stage.js";
import { Stimuli, loadStimulus } from "./stimulus.js";
import { takeOver } from "./tabs.js";
import { fetchState, postAnswer, waitForConnection } from "./transport.js";
import { Words } from "./words.js";

const FEEDBACK_MS = 1200;
const READ_AT_LEAST_MS = 300;
// The second half of a double tap must not meet an image.
const AFTER_INTERLUDE_MS = 500;

const page = document.querySelector("[data-trials]");
const settings = readSettings(page.dataset);
const stage = new Stage(page, { statedScale: settings.imageScale });
const words = new Words(page);
const outbox = new Outbox(openStorage(window), `answers:${page.dataset.next}:`);
const course = new Course((id) => outbox.holds(id));
const persistently = (action) => untilItWorks(action, {
  wait: waitForConnection, ...words.trouble(),
});
const stimuli = new Stimuli((trial) => persistently(() => loadStimulus(trial)));
const askServer = () => persistently(() => fetchState(page.dataset.next)).catch((error) => {
  if (error.status !== 404) throw error;
  window.location.reload(); // Who withdrew in another tab has no next trial; the page says so.
  return new Promise(() => {});
});
const sender = new Sender({
  outbox,
  post: ({ address, answer }) => persistently(
    () => postAnswer(address, answer, page.dataset.csrf),
  ),
  ask: askServer,
  onDrop: () => { hasDropped = true; },
  onState: (state) => {
    course.learn(state);
    // Loading beside a paint could delay it.
    if (stimulusOpen !== null) loadAhead();
  },
});

let blankUntil = 0; // No image before this time.
let stimulusOpen = null; // While an answer counts: since when the images stand, and more.
let onAnswer = () => {};
let hasDropped = false; // Whether the server refused an answer for good.
let isOver = false; // Once another tab took over, or something broke: then nothing is shown here.

const whileGoingOn = () => (isOver ? new Promise(() => {}) : null);

function loadAhead() {
  const wanted = course.ahead();
  stimuli.keepOnly(wanted);
  for (const trial of wanted) stimuli.of(trial);
}

/** Show a stimulus, and take answers from the frame that follows its paint. */
async function show(trial, stimulus) {
  await frameAt(blankUntil);
  await whileGoingOn();
  stage.draw(trial, stimulus);
  const shownAt = new Date();
  const paintedAt = await nextFrame();
  await whileGoingOn(); // It may have ended within that one frame.
  stimulusOpen = {
    trial, paintedAt, shownAt, loadMs: stimulus.loadMs, decodeMs: stimulus.decodeMs,
    opensAt: paintedAt + settings.minViewingMs, focusLost: document.hasFocus() ? 0 : 1,
  };
  if (settings.viewingLimitMs !== null) limitViewing(stimulusOpen);
  measureFrames();
}

/** Take the images away after a while; the question stays, and an answer still counts. */
async function limitViewing(open) {
  await frameToTakeAway(open.paintedAt, settings.viewingLimitMs);
  if (open !== stimulusOpen) return;
  stage.state = "gone";
  words.note("gone");
}

/** Say that it is too early, to who tries to answer within the minimum viewing time. */
function sayEarly({ opensAt }) {
  words.note("early");
  setTimeout(() => { if (words.noted === "early") words.note(null); }, opensAt - performance.now());
}

/** Wait for the one press that answers the trial on show. */
function answerGiven() {
  return new Promise((resolve) => { onAnswer = resolve; });
}

function takePress({ side, by, pressedAt, timeStamp }) {
  const open = stimulusOpen;
  if (open === null || !isForStimulus({ paintedAt: open.paintedAt, pressedAt, timeStamp })) return;
  if (!isForStimulus({ paintedAt: open.opensAt, pressedAt, timeStamp })) {
    sayEarly(open);
    return;
  }
  stimulusOpen = null;
  onAnswer(describeAnswer({ side, by, responseMs: timeStamp - open.paintedAt }, {
    ...open,
    frameMs: frameInterval(),
    windowWidth: window.innerWidth,
    windowHeight: window.innerHeight,
    pixelRatio: window.devicePixelRatio,
    displayedWidth: stage.width,
  }));
}

/** Empty the screen; the next images come a blank interval after the frame that did. */
async function blank() {
  stage.clear();
  words.note(null);
  blankUntil = (await nextFrame()) + settings.blankMs;
}

async function interlude(name, numbers) {
  await stage.interlude(name, numbers);
  blankUntil = performance.now() + Math.max(settings.blankMs, AFTER_INTERLUDE_MS);
}

/** What comes between two trials: the end of practice, a break. */
async function comeBetween(trial) {
  await whileGoingOn();
  if (trial.kind === "main" && trial.index === 1 && stage.part("turn")) await interlude("turn");
  if (isBlockStart(trial, settings.trialsPerBlock)) {
    await interlude("break", { numDone: trial.index - 1, total: trial.total });
  }
}

async function giveFeedback(trial) {
  const verdict = await words.patiently(course.acknowledged(trial.id));
  if (!verdict) return;
  await whileGoingOn();
  const enough = performance.now() + READ_AT_LEAST_MS;
  await stage.feedback(verdict, pauseOrPress(FEEDBACK_MS, enough));
  blankUntil = performance.now() + Math.max(settings.blankMs, AFTER_INTERLUDE_MS);
}

function send() {
  sender.drain().catch((error) => {
    course.fail(error);
    stop();
  });
}

async function takeTrial(trial) {
  const given = answerGiven();
  const stimulus = stimuli.of(trial);
  await comeBetween(trial);
  await show(trial, await words.patiently(stimulus));
  loadAhead();
  const answer = await given;
  outbox.add(trial.id, trial.answer, answer, { order: orderOf(trial) });
  send();
  await blank();
  if (trial.kind === "practice") await giveFeedback(trial);
}

async function run() {
  if (outbox.first() !== null) send();
  else course.learn(await words.patiently(askServer()));
  const next = () => words.patiently(course.next());
  for (let trial = await next(); trial; trial = await next()) await takeTrial(trial);
  await whileGoingOn();
  window.location.replace(course.done);
}

/** Another tab goes on. What was answered here is still sent from here. */
async function stepBack() {
  if (isOver) return;
  close();
  await stage.interlude("elsewhere");
  window.location.reload();
}

function stop() {
  if (isOver) return;
  close();
  words.note(hasDropped ? "dropped" : "stopped");
}

function close() {
  isOver = true;
  stimulusOpen = null;
  stage.clear();
  words.note(null);
}

function begin() {
  words.say(null);
  listenForPresses([...page.querySelectorAll("button[data-side]")], takePress);
  listenForFocusLoss(() => { if (stimulusOpen !== null) stimulusOpen.focusLost += 1; });
  // A page out of the back-forward cache shows a trial that may be long answered.
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) window.location.reload();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!outbox.isSafe()) event.preventDefault();
  });
  takeOver(`trials:${page.dataset.next}`, stepBack);
  measureFrames(); // The first limit of the viewing time needs them, too.
  run().catch(stop);
}

// Otherwise the page keeps saying that the browser is too old.
if (hasAllFeatures(window)) begin();
