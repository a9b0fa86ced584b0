// The console as people meet it: an outage as it happens, an exception decided, many at once, each role, both
// languages, light and dark, desk and phone, with and without JavaScript, over TLS. browser.mjs BINARY AXE PICTURES
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Browser, freePort, start, until } from './driver.mjs';

const [binary, axeFile, pictures] = process.argv.slice(2);
const axe = readFileSync(axeFile, 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'redeemd-console-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
mkdirSync(pictures, { recursive: true });

const sandbox = await start(binary, ['sandbox', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--json',
  '--seed', '1'], true);
const provider = JSON.parse(sandbox.line);
const control = (path, value) => fetch(`${provider.control}/sandbox/${path}`, {
  method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json' },
}).then((answer) => assert.ok(answer.ok, path));

const [tills, admin] = [await freePort(), await freePort()];
const users = { sara: 'see', layla: 'decide', omar: 'engineer' };
const password = 'a long enough password';
const hash = execFileSync(binary, ['hash-password'], { input: password }).toString();
const tables = Object.entries(users).map(([name, role]) => {
  writeFileSync(join(folder, `${name}.password`), hash, { mode: 0o600 });
  return `[[admin.user]]\nname = "${name}"\nrole = "${role}"\npassword_file = "${folder}/${name}.password"\n`;
});
writeFileSync(join(folder, 'provider.token'), 'provider-token');
writeFileSync(join(folder, 'redeemd.toml'), `
[gateway]
name = "متجر العليا 042"
state_dir = "${folder}/state"
[intake]
listen = "127.0.0.1:${tills}"
reply_within = "900ms"
[[provider]]
name = "retm"
redeem_url = "${provider.redeem_url}"
token_file = "${folder}/provider.token"
timeout = "3s"
[offline]
max_pending = 100
max_outage = "4h"
[forward]
retry_min = "100ms"
retry_max = "250ms"
reconnect_spread = "0s"
[admin]
listen = "127.0.0.1:${admin}"
${tables.join('')}
`);
mkdirSync(join(folder, 'state'));
const gateway = await start(binary, ['run', '--config', join(folder, 'redeemd.toml')]);
const home = `http://127.0.0.1:${admin}`;
await until('the gateway is ready', async () => (await fetch(`${home}/readyz`)).ok)
  .catch((error) => { throw new Error(`${error.message}\n${gateway.child.said}`); });

let stamp = 0;
async function redeem(code, port = tills) {
  stamp += 1;
  const body = { reward_code: code, business_refrence: 'shop-7', branch_id: '042', date: '2026-11-26 18:00:00',
    timestamp: String(stamp) };
  const answer = await fetch(`http://127.0.0.1:${port}/redeem`, {
    method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' },
  });
  return answer.status;
}

const status = async () => (await fetch(`${home}/api/v1/status`)).json();
const driver = await Browser.driver();
let checked = 0;

// No rule of WCAG 2.2 A or AA that axe-core knows is broken, and the browser blocked nothing.
async function accessible(browser, where) {
  if (!browser.script) return;
  // A job's page may be loaded anew in the middle of it.
  const found = await until(`${where}: looked at`, () => browser.post('/execute/async', { args: [], script: `
    ${axe};
    const done = arguments[arguments.length - 1];
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then((result) => done(result.violations.map((rule) => [rule.id, ...rule.nodes.map((node) => node.html)])));` }));
  assert.deepEqual(found, [], `${where}: accessibility`);
  const blocked = (await browser.complaints()).filter((line) => /Content Security|Refused|Uncaught/.test(line));
  assert.deepEqual(blocked, [], `${where}: the browser's complaints`);
  checked += 1;
}

async function seen(browser, name) {
  await browser.picture(join(pictures, `${name}.png`));
  const wide = browser.script && await browser.run('return document.documentElement.scrollWidth > innerWidth + 1;');
  assert.ok(!wide, `${name}: the page is wider than the window`);
  await accessible(browser, name);
}

async function signIn(browser, name, secret = password, at = home) {
  await browser.go(`${at}/sign-in`);
  await browser.type('#name', name);
  await browser.type('#password', secret);
  await browser.click('main form button');
  // A password takes its time on a slow machine, and a click does not wait for it.
  await until('the sign-in is answered', async () => {
    const isElsewhere = !(await browser.address()).includes('/sign-in');
    return isElsewhere || (await browser.source()).includes('class="fault"');
  });
}

// A store without a certificate authority, whose line is down: the certificate is the gateway's own.
async function overTls() {
  const [port, its] = [await freePort(), await freePort()];
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const said = execFileSync(binary, ['make-certificate', 'localhost', '--cert-file', cert, '--key-file', key]).toString();
  writeFileSync(join(folder, 'tls.toml'), `
[gateway]
name = "branch-043"
state_dir = "${folder}/tls"
[intake]
listen = "127.0.0.1:${port}"
[[provider]]
name = "retm"
redeem_url = "http://127.0.0.1:9/redeem"
token_file = "${folder}/provider.token"
[offline]
max_pending = 5000
max_per_hour_per_till = 5000
max_exposure = "1000000.00"
[admin]
listen = "127.0.0.1:${its}"
hosts = ["localhost"]
[admin.tls]
cert_file = "${cert}"
key_file = "${key}"
${tables.join('')}
`);
  mkdirSync(join(folder, 'tls'));
  const { child } = await start(binary, ['run', '--config', join(folder, 'tls.toml')]);
  const fingerprint = () => new Promise((done, fail) => {
    const socket = connect({ host: '127.0.0.1', port: its, servername: 'localhost', rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    }).on('error', fail);
  });
  const seenByBrowsers = await until('TLS is served', fingerprint).catch((error) => {
    throw new Error(`${error.message}\n${child.said}`);
  });
  assert.equal(said.trim(), `SHA-256 fingerprint: ${seenByBrowsers}`);
  return { home: `https://localhost:${its}`, tills: port };
}

const looks = [];
for (const lang of ['en', 'ar']) {
  for (const dark of [false, true]) for (const phone of [false, true]) looks.push({ lang, dark, phone });
}
const named = ({ lang, dark, phone }) => `${lang}-${dark ? 'dark' : 'light'}-${phone ? 'phone' : 'desk'}`;

// Every look of these pages.
async function everywhere(name, paths) {
  for (const look of looks) {
    const browser = await Browser.open(driver, look);
    if (look.lang === 'ar') await signIn(browser, 'omar');
    for (const [part, path] of Object.entries(paths)) {
      await browser.go(home + path);
      await seen(browser, `${name}-${part}-${named(look)}`);
    }
    await browser.close();
  }
}

// Where nobody keeps the machine's clock in step, that needs a person.
const well = /^(All is well|No line is known to be down): the last redemption was answered/;

const steps = {
  async 'all is well, and a provider that refuses is told apart'() {
    for (let n = 0; n < 12; n += 1) assert.equal(await redeem(`WELL-${n}-7F3Q`), 200);
    const browser = await Browser.open(driver, {});
    await browser.go(home);
    assert.match(await browser.text('.sentence:not(#stale)'), well);
    await seen(browser, 'well-en-light-desk');
    await browser.close();
  },

  async 'an outage as it happens: the open page follows, headroom falls'() {
    const browser = await Browser.open(driver, {});
    await browser.go(home);
    await control('line', { state: 'refuse' });
    for (let n = 0; n < 17; n += 1) assert.equal(await redeem(`AWAY-${n}-XK2M`), 200);
    // For how long is said from the first second on.
    const sentence = /^The line has been down for .*17 rewards were given and wait for the provider.s answer. You may give 83 more, until/;
    await until('the page says so by itself', async () => sentence.test(await browser.text('.sentence:not(#stale)')));
    assert.match(await browser.text('.gauge strong'), /^83 left of 100$/);
    await everywhere('outage', { home: '/', search: '/search?state=pending&newest=1' });
    for (let n = 0; n < 58; n += 1) assert.equal(await redeem(`MORE-${n}-XK2M`), 200);
    await until('the gauge warns', async () => (await browser.find('.meter.warn')) && (await browser.text('.gauge strong')) === '25 left of 100');
    await seen(browser, 'falling-en-light-desk');
    for (let n = 58; n < 83; n += 1) assert.equal(await redeem(`MORE-${n}-XK2M`), 200);
    assert.equal(await redeem('ONE-TOO-MANY'), 503);
    await until('nothing is promised any more', async () => (await browser.text('.sentence:not(#stale)')).includes('Nothing more may be given'));
    await browser.find('.meter.bad');
    assert.match(await browser.text('#needs'), /Tills were told no by this gateway/);
    assert.match(await browser.text('#needs .counts tbody tr'), /too many redemptions were waiting 1 1/);
    await seen(browser, 'at-the-limit-en-light-desk');
    await browser.close();
    await everywhere('limit', { home: '/' });
  },

  async 'the line is back: what was given comes into the books and into the inbox'() {
    const rules = [{ fault: 'refuse', message: 'Reward {code} has expired', count: 7 }];
    await control('rules', rules);
    const browser = await Browser.open(driver, {});
    await browser.go(home);
    await control('line', { state: 'up' });
    await until('nothing is pending', async () => (await status()).counts.pending === 0);
    await until('the page recovers', async () => (await browser.text('.gauge strong')) === '100 left of 100');
    await seen(browser, 'recovered-en-light-desk');
    await until('the page says so', async () => well.test(await browser.text('.sentence:not(#stale)')));
    await until('the inbox is announced', async () => (await browser.text('#needs')).includes('7 cases'));
    await browser.close();
    await everywhere('inbox', { inbox: '/inbox' });
  },

  async 'looking is free here, acting is not; each role sees what it may do'() {
    const browser = await Browser.open(driver, {});
    await browser.go(`${home}/inbox`);
    assert.ok(!(await browser.source()).includes('action="/bulk"'));
    for (const [name, decides, engineers] of [['sara', false, false], ['layla', true, false], ['omar', true, true]]) {
      await signIn(browser, name);
      assert.match(await browser.text('.who .name'), new RegExp(name));
      await browser.go(`${home}/inbox`);
      assert.equal((await browser.source()).includes('action="/bulk"'), decides, name);
      await browser.go(home);
      assert.equal((await browser.source()).includes('/lanes/retm/hold"'), engineers, name);
      await browser.click('.who button[class=quiet]:not([lang])');
      await until('signed out', () => browser.find('.who a.button'));
    }
    await browser.close();
  },

  async 'a wrong password is refused, and the next ones are slowed'() {
    const browser = await Browser.open(driver, {});
    const faults = [];
    // A slow machine has waited out the first seconds; the waits double.
    while (faults.length < 12 && !/Too many attempts/.test(faults.at(-1))) {
      await signIn(browser, 'sara', 'not the password');
      faults.push(await browser.text('.fault'));
    }
    assert.match(faults[0], /wrong/);
    assert.match(faults.at(-1), /Too many attempts/);
    await seen(browser, 'signin-slowed-en-light-desk');
    await browser.close();
    await until('the wait is over', async () => {
      const other = await Browser.open(driver, {});
      await signIn(other, 'layla');
      const done = !(await other.address()).includes('sign-in');
      await other.close();
      return done;
    });
  },

  async 'one exception is decided, the others together, with a count before and progress after'() {
    const browser = await Browser.open(driver, {});
    await signIn(browser, 'layla');
    await browser.go(`${home}/inbox`);
    await browser.click('.group .rows a');
    await seen(browser, 'story-en-light-desk');
    await browser.click('form[action$="/retry"] button');
    await until('it is confirmed', async () => (await status()).counts.declined === 6);
    await browser.go(`${home}/inbox`);
    await browser.click('.group form[action="/bulk"] button');
    await until('the count is asked about', async () => /6 redemptions/.test(await browser.text('main form')));
    await browser.type('#note', 'the provider says that the codes are good');
    await seen(browser, 'bulk-en-light-desk');
    await browser.click('main form button');
    await until('the job is done', async () => (await browser.text('[role=status]')) === 'It is done.');
    await seen(browser, 'job-en-light-desk');
    await until('all are confirmed', async () => (await status()).counts.pending === 0);
    await browser.go(`${home}/inbox`);
    await seen(browser, 'inbox-after-en-light-desk');
    await browser.close();
  },

  async 'what tills were refused today is one group a reason, whatever the code'() {
    await control('rules', [{ fault: 'refuse', message: 'Reward {code} is not for this branch (ref 4711)', count: 3 }]);
    for (const code of ['ZULU-1-AB', 'MIKE-2-CD', 'ECHO-3-EF']) assert.equal(await redeem(code), 400);
    const browser = await Browser.open(driver, { lang: 'ar' });
    await signIn(browser, 'layla');
    await browser.go(`${home}/inbox`);
    assert.match(await browser.text('.group h3'), /3 عمليات استبدال/);
    await seen(browser, 'refused-ar-light-desk');
    await browser.click('.group form[action="/bulk"] button.quiet');
    await browser.type('#note', 'سألنا المزوّد');
    await browser.click('main form button');
    await until('the job is done', async () => (await browser.text('[role=status]')) === 'انتهت.');
    await browser.go(`${home}/inbox`);
    assert.ok(!(await browser.source()).includes('class="card group"'));
    await browser.go(`${home}/trail`);
    assert.match(await browser.text('tbody'), /سألنا المزوّد/);
    await browser.close();
    await everywhere('trail', { trail: '/trail' });
  },

  async 'in Arabic: "she says that her reward was refused; was it given?", in three clicks'() {
    const browser = await Browser.open(driver, { lang: 'ar' });
    await browser.go(home);
    await browser.click('nav li:nth-child(3) a');
    await browser.type('#code', 'AWAY-3-XK2M');
    await browser.click('form.line button');
    await until('found, with no code in the address', async () => (
      /\/search\?code=[0-9a-f]{32}$/.test(await browser.address())));
    await seen(browser, 'found-ar-light-desk');
    await browser.click('tbody a');
    assert.match(await browser.text('.sentence:not(#stale)'), /هل أُعطيت؟ نعم/);
    assert.equal(await browser.run('return document.documentElement.dir;'), 'rtl');
    await seen(browser, 'story-ar-light-desk');
    await browser.go(`${home}/search`);
    await browser.type('#code', 'ONE-TOO-MANY');
    await browser.click('form.line button');
    assert.match(await browser.text('main section'), /لم تُعطَ عنه مكافأة هنا/, 'what no row was made of is answered too');
    await seen(browser, 'not-found-ar-light-desk');
    await browser.go(`${home}/search?state=lost`);
    await seen(browser, 'fault-ar-light-desk');
    await browser.go(`${home}/trail?before=x`);
    assert.match(await browser.text('[role=alert]'), /before/, 'what is wrong in an address is said');
    await seen(browser, 'address-ar-light-desk');
    await browser.go(`${home}/search`);
    await seen(browser, 'fields-ar-light-desk');
    await browser.go(`${home}/sign-in`);
    await seen(browser, 'signin-ar-light-desk');
    await browser.go(`${home}/search?state=confirmed&newest=1`);
    await browser.click('tbody a');
    await browser.click('.who button[lang=en]');
    assert.match(await browser.text('.sentence:not(#stale)'), /Was it given\? Yes/, 'the choice is kept');
    await browser.close();
  },

  async 'without JavaScript the same is done'() {
    const browser = await Browser.open(driver, { script: false });
    await signIn(browser, 'omar');
    await browser.go(home);
    assert.match(await browser.text('.sentence:not(#stale)'), well);
    await browser.click('form[action="/lanes/retm/hold"] button');
    await until('the lane is held', async () => (await status()).lanes[0].link === 'held');
    await browser.go(home);
    await browser.picture(join(pictures, 'held-noscript-en-light-desk.png'));
    await browser.click('form[action="/lanes/retm/release"] button');
    await until('it goes on', async () => (await status()).lanes[0].link === 'up');
    await browser.go(`${home}/search?code_ending=3Q`);
    assert.match(await browser.text('tbody'), /[0-9]{2}:[0-9]{2} UTC/);
    await browser.close();
  },

  async 'trust is switched off with a reason, which stands first, and on again'() {
    const browser = await Browser.open(driver, {});
    await signIn(browser, 'omar');
    await browser.go(home);
    await browser.type('form[action$="/trust-off"] input', `codes are being guessed ${'x'.repeat(200)}`);
    await browser.click('form[action$="/trust-off"] button');
    await until('it stands first', async () => (await browser.text('.sentence:not(#stale)')).startsWith('No reward is given'));
    assert.match(await browser.text('.sentence:not(#stale)'), /omar: codes are being guessed x{200}$/);
    await seen(browser, 'trust-off-en-light-desk');
    await control('line', { state: 'refuse' });
    await until('nothing is given', async () => await redeem(`OFF-${stamp}-QQ`) === 503);
    await control('line', { state: 'up' });
    await until('it is on', async () => {
      if (!(await browser.text('.sentence:not(#stale)')).startsWith('No reward is given')) return true;
      await browser.click('form[action$="/trust-on"] button');
      return false;
    });
    await browser.close();
    await until('the line is up', async () => (await status()).lanes[0].link === 'up');
  },

  async 'a part in which somebody is at work stays as it is, and shows the newest news when the work has ended'() {
    const browser = await Browser.open(driver, {});
    await signIn(browser, 'omar');
    assert.equal(await redeem(`WORK-${stamp}-up`), 200);
    await browser.go(home);
    await until('the lane is up', async () => (await browser.text('.lane .state')) === 'up');
    await browser.type('#hold-1', 'a note that is not finis');
    await control('line', { state: 'refuse' });
    for (const at of ['one', 'two']) assert.equal(await redeem(`WORK-${stamp}-${at}`), 200);
    await until('the sentence follows', async () => (
      /^The line .*2 rewards were given/.test(await browser.text('.sentence:not(#stale)'))));
    assert.equal(await browser.run('return document.activeElement.value;'), 'a note that is not finis');
    assert.equal(await browser.text('.lane .state'), 'up', 'what somebody writes is not taken from them');
    await browser.click('#activity h2');
    await until('the lane follows', async () => (await browser.text('.lane .state')) === 'down');
    assert.match(await browser.text('.lane'), /Waiting: 2/);
    const note = await browser.run('return document.getElementById("hold-1").value;');
    assert.equal(note, 'a note that is not finis', 'what is half written goes over to the new part');
    await control('line', { state: 'up' });
    await browser.close();
    await until('the line is up', async () => (await status()).lanes[0].link === 'up');
    await until('nothing is pending', async () => (await status()).counts.pending === 0);
  },

  async 'over TLS with a certificate of its own: many at once, with progress, and stopped'() {
    const shop = await overTls();
    for (let n = 0; n < 1000; n += 25) {
      await Promise.all(Array.from({ length: 25 }, (_, m) => redeem(`BULK-${n + m}-QQ`, shop.tills)));
    }
    const browser = await Browser.open(driver, {});
    await browser.go(shop.home);
    await signIn(browser, 'layla', password, shop.home);
    const cookies = await browser.get('/cookie');
    const session = cookies.find((cookie) => cookie.name === '__Host-redeemd');
    assert.ok(session.secure && session.httpOnly && session.sameSite === 'Strict', JSON.stringify(cookies));
    await browser.go(`${shop.home}/search?state=pending&newest=1`);
    await browser.click('form[action="/bulk"] button');
    await until('they were counted', async () => /[0-9,]+ redemptions/.test(await browser.text('main form')));
    await browser.type('#note', 'the sale was called off');
    await browser.click('main form button');
    await until('the job shows', () => browser.find('form[action$="/stop"] button'));
    await seen(browser, 'tls-job-runs-en-light-desk');
    await browser.click('form[action$="/stop"] button');
    await until('it was stopped', async () => (await browser.text('[role=status]')) === 'It was stopped.');
    await seen(browser, 'tls-job-stopped-en-light-desk');
    await browser.go(`${shop.home}/search?state=pending&newest=1`);
    assert.ok(await browser.find('tbody tr'), 'what was not reached still waits');
    await browser.close();
  },

  async 'the metrics pass the standard checker, in both formats'() {
    const text = await (await fetch(`${home}/metrics`, { headers: { accept: 'text/plain' } })).text();
    const said = spawnSync('promtool', ['check', 'metrics'], { input: text });
    assert.equal(said.status, 0, `${said.stdout}${said.stderr}`);
    const open = await (await fetch(`${home}/metrics`)).text();
    for (const name of ['redeemd_refused_total', 'redeemd_answer_seconds_bucket', 'process_resident_memory_bytes',
      'redeemd_database_bytes']) {
      assert.ok(open.includes(`\n${name}`), name);
    }
  },

  async 'the pages work by keyboard alone: the first key leads past the menu'() {
    const browser = await Browser.open(driver, {});
    await browser.go(home);
    const keys = (value) => browser.post('/actions', { actions: [{ type: 'key', id: 'keys',
      actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }] });
    await keys('\uE004');
    assert.equal(await browser.run('return document.activeElement.className;'), 'skip');
    await keys('\uE007');
    assert.equal(await browser.run('return document.activeElement.id;'), 'main');
    await browser.close();
  },
};

let [passed, failed] = [0, 0];
for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    await Browser.closeAll();
    console.log(`FAIL  ${name}\n${error.stack}`);
  }
}
console.log(`pages checked for accessibility: ${checked}; pictures: ${pictures}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
