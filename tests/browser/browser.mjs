// Debian's Chromium (`CHROMIUM`) without a screen, driven by playwright-core (`PLAYWRIGHT`). It finds `HOST` at `ADDRESS`, and takes the certificate
// with the key whose SHA-256 is `PIN` (hexadecimal), and no other. Standard output has one JSON object a line: first `{"browser": VERSION}`.
// Standard input takes commands, one JSON object a line, each answered by `{"done": COMMAND}` with the `number` it had:
//
//   {"command": "visit", "url": U}                        goes there: `url`, `status` and `text` of where that leads
//   {"command": "submit", "fields": [[N, V]], "button": B}  fills a form and sends it: the same
//   {"command": "cookies", "url": U}                      `cookies` that would be sent there
//   {"command": "evaluate", "expression": E}              `value`
//
// It ends with its standard input.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { CHROMIUM, PLAYWRIGHT, HOST, ADDRESS, PIN } = process.env;
const { chromium } = await import(pathToFileURL(PLAYWRIGHT));

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const PATIENCE = 30_000;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    `--host-resolver-rules=MAP ${HOST}:443 ${ADDRESS}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
    `--ignore-certificate-errors-spki-list=${Buffer.from(PIN, 'hex').toString('base64')}`,
    // Nothing of its own asks the network.
    '--disable-component-update', '--disable-background-networking', '--no-proxy-server',
  ],
});
const context = await browser.newContext();
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();

// The last answer to the page itself, whatever led to it.
let status = 0;
page.on('response', (response) => {
  if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) status = response.status();
});

const shown = async () => ({ url: page.url(), status, text: await page.locator('body').innerText() });

const commands = {
  async visit({ url }) {
    await page.goto(url, { waitUntil: 'load' });
    return shown();
  },
  async submit({ fields, button }) {
    for (const [name, value] of fields) await page.locator(`[name="${name}"]`).fill(value);
    const left = page.waitForEvent('framenavigated', (frame) => frame === page.mainFrame());
    await page.getByRole('button', { name: button }).click();
    await left;
    await page.waitForLoadState('load');
    return shown();
  },
  async cookies({ url }) {
    return { cookies: await context.cookies(url) };
  },
  async evaluate({ expression }) {
    return { value: await page.evaluate(expression) };
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { command, number, ...rest } = JSON.parse(line);
    const result = await commands[command](rest).catch((error) => ({ error: `${error}`, at: page.url() }));
    say({ done: command, number, ...result });
  })
  .on('close', async () => {
    await browser.close();
    process.exit(0);
  });

say({ browser: browser.version() });
