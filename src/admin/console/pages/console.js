// What the pages do beyond what they do without this: times in the browser's own zone, the first screen as it changes,
// a job's progress.
'use strict';

const lang = document.documentElement.lang;
const forms = {
  clock: new Intl.DateTimeFormat(lang, { timeStyle: 'short', numberingSystem: 'latn' }),
  whole: new Intl.DateTimeFormat(lang, {
    dateStyle: 'medium', timeStyle: 'short', numberingSystem: 'latn', calendar: 'gregory',
  }),
};

// The gateway's own zone stands in the page for those who do not run this.
function localTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const isToday = at.toDateString() === new Date().toDateString();
    const form = time.dataset.form === 'clock' && isToday ? forms.clock : forms.whole;
    const shown = document.createElement('bdi');
    shown.textContent = form.format(at);
    time.title = time.dateTime;
    time.replaceChildren(shown);
  }
}

// What is being pressed: a part that is replaced between the press and its end would swallow it.
let pressed = null;
// What came for parts in which somebody is at work, the newest of each by its id: the gateway sends it once.
const kept = new Map();

const isAtWork = (part) => part.contains(pressed)
  || (part.contains(document.activeElement) && document.activeElement !== document.body);

// What was written and not yet sent goes over to the new part.
function carryOver(old, part) {
  const forms = [...part.querySelectorAll('form')];
  for (const form of old.querySelectorAll('form')) {
    const same = forms.find((other) => other.getAttribute('action') === form.getAttribute('action'));
    for (const field of form.querySelectorAll('[name]')) {
      const its = same && same.elements.namedItem(field.name);
      if (its) its.value = field.value;
    }
  }
}

// A part in which somebody is at work is left alone until the work has ended.
function takeOver(html) {
  const part = new DOMParser().parseFromString(html, 'text/html').body.firstElementChild;
  const old = part && document.getElementById(part.id);
  if (!old) return;
  if (isAtWork(old)) {
    kept.set(part.id, html);
    return;
  }
  kept.delete(part.id);
  localTimes(part);
  carryOver(old, part);
  old.replaceWith(document.adoptNode(part));
}

// A click comes after the press has ended, and what is entered next has the focus after what is left.
function takeOverKept(ms) {
  setTimeout(() => { for (const html of [...kept.values()]) takeOver(html); }, ms);
}

document.addEventListener('pointerdown', (event) => { pressed = event.target; });
for (const end of ['pointerup', 'pointercancel']) {
  document.addEventListener(end, () => {
    pressed = null;
    takeOverKept(250);
  });
}
document.addEventListener('focusout', () => takeOverKept(0));

// One stream a page that is seen; the browser sends the id of the last news when it comes again. It does so by itself
// after a stream's end, but not after a refusal or the way to the sign-in. A page that hears nothing says so.
const COMES_AGAIN_MS = 90 * 1000;
const IS_BACK_MS = 15 * 1000;
const ASK_AGAIN_MS = 30 * 1000;

function follow(address) {
  const stale = document.getElementById('stale');
  let source = null;
  let isLost = false;
  let timer = null;
  const staleIn = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => { stale.hidden = false; }, ms);
  };
  const heard = () => {
    isLost = false;
    stale.hidden = true;
    staleIn(COMES_AGAIN_MS);
  };
  const close = () => {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
  };
  const lost = () => {
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      stale.hidden = false;
      setTimeout(look, ASK_AGAIN_MS);
    } else if (!isLost) {
      isLost = true;
      staleIn(IS_BACK_MS);
    }
  };
  const open = () => {
    isLost = false;
    staleIn(IS_BACK_MS);
    source = new EventSource(address);
    source.addEventListener('open', heard);
    source.addEventListener('error', lost);
    source.addEventListener('part', (event) => { heard(); takeOver(event.data); });
  };
  function look() {
    if (document.visibilityState === 'visible') {
      if (!source) open();
    } else {
      close();
    }
  }
  document.addEventListener('visibilitychange', look);
  window.addEventListener('pagehide', close);
  window.addEventListener('pageshow', look);
  look();
}

localTimes(document);
const live = document.querySelector('[data-live]');
if (live && 'EventSource' in window) follow(live.dataset.live);
const again = document.querySelector('[data-again]');
if (again) setTimeout(() => window.location.reload(), 1000 * Number(again.dataset.again));
// A second press of a button is no second order; a page to which somebody comes back is a new one.
window.addEventListener('pageshow', () => {
  for (const button of document.querySelectorAll('button:disabled')) button.disabled = false;
});
for (const form of document.querySelectorAll('form[method=post]')) {
  form.addEventListener('submit', () => {
    for (const button of form.querySelectorAll('button')) setTimeout(() => { button.disabled = true; }, 0);
  });
}
