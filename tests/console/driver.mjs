// A browser by plain WebDriver (w3.org/TR/webdriver2), and the processes that the test stands on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';

const children = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Asks until it is so, for 20 s at most.
export async function until(what, look) {
  for (let n = 0; n < 200; n += 1) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    await pause(100);
  }
  throw new Error(`in vain: ${what}`);
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

// A child that ends with this process; `firstLine` waits for its greeting.
export async function start(command, args, firstLine = false) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  child.said = '';
  child.stderr.on('data', (data) => { child.said += data; });
  if (!firstLine) {
    child.stdout.resume();
    return { child };
  }
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, 'line');
  return { child, line };
}

async function call(base, method, path, body) {
  const signal = AbortSignal.timeout(60_000);
  const answer = await fetch(base + path, { method, body: body && JSON.stringify(body), signal })
    .catch((error) => { throw new Error(`${path}: ${error.message}`); });
  const { value } = await answer.json();
  if (value && value.error) throw new Error(`${path}: ${value.error}: ${value.message}`);
  return value;
}

// One browser's window: `look` is lang, dark, phone, script.
export class Browser {
  static async driver() {
    const port = await freePort();
    await start('chromedriver', [`--port=${port}`]);
    const base = `http://127.0.0.1:${port}`;
    await until('the driver is ready', async () => (await call(base, 'GET', '/status')).ready);
    return base;
  }

  static async open(base, { lang = 'en', dark = false, phone = false, script = true }) {
    const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
      `--window-size=${phone ? '390,844' : '1280,900'}`, `--accept-lang=${lang}`, `--lang=${lang}`];
    const prefs = { 'intl.accept_languages': lang };
    if (!script) prefs['profile.managed_default_content_settings.javascript'] = 2;
    const options = { args, prefs };
    if (phone) options.mobileEmulation = { deviceMetrics: { width: 390, height: 844, pixelRatio: 2 } };
    const capabilities = { alwaysMatch: { acceptInsecureCerts: true, 'goog:chromeOptions': options,
      'goog:loggingPrefs': { browser: 'ALL' } } };
    const { sessionId } = await call(base, 'POST', '/session', { capabilities });
    const browser = new Browser(`${base}/session/${sessionId}`, script);
    Browser.opened.add(browser);
    const features = [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }];
    await browser.devtools('Emulation.setEmulatedMedia', { features });
    return browser;
  }

  constructor(base, script) {
    this.base = base;
    this.script = script;
  }

  get(path) { return call(this.base, 'GET', path); }

  post(path, body) { return call(this.base, 'POST', path, body); }

  devtools(cmd, params) { return this.post('/goog/cdp/execute', { cmd, params }); }

  go(url) { return this.post('/url', { url }); }

  address() { return this.get('/url'); }

  source() { return this.get('/source'); }

  run(script, ...args) { return this.post('/execute/sync', { script, args }); }

  async find(css) {
    const found = await this.post('/element', { using: 'css selector', value: css });
    return Object.values(found)[0];
  }

  // The live page may replace an element between the two calls, and a page that was asked for may not have come yet:
  // then it is looked for again.
  async with(css, use) {
    for (let n = 0; ; n += 1) {
      try {
        return await use(`/element/${await this.find(css)}`);
      } catch (error) {
        if (n === 20 || !/stale element|no such element|does not belong to the document/.test(error.message)) throw error;
        await pause(100);
      }
    }
  }

  text(css) { return this.with(css, (element) => this.get(`${element}/text`)); }

  click(css) { return this.with(css, (element) => this.post(`${element}/click`, {})); }

  type(css, text) { return this.with(css, (element) => this.post(`${element}/value`, { text })); }

  // The whole page, not only what the window shows.
  async picture(file) {
    // Chromium moves a page aside that reads from the right and is shorter than the window: it gets longer.
    const least = (value) => this.script && this.run(`document.documentElement.style.minHeight = ${value}; return 0;`);
    await least('`${innerHeight + 2}px`');
    const { cssContentSize: size } = await this.devtools('Page.getLayoutMetrics', {});
    const clip = { x: 0, y: 0, width: size.width, height: Math.min(size.height, 3000), scale: 1 };
    const shot = await this.devtools('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });
    await least('""');
    writeFileSync(file, Buffer.from(shot.data, 'base64'));
  }

  // What the browser complained of: a blocked script or style is a fault of ours.
  async complaints() {
    const lines = await this.post('/se/log', { type: 'browser' });
    return lines.filter((line) => line.level === 'SEVERE').map((line) => line.message);
  }

  static opened = new Set();

  close() {
    Browser.opened.delete(this);
    return call(this.base, 'DELETE', '');
  }

  // A step that failed leaves its windows open.
  static closeAll() { return Promise.allSettled([...Browser.opened].map((browser) => browser.close())); }
}
