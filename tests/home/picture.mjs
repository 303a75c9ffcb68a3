// A picture of a page of Home Assistant: picture.mjs URL TOKEN FILE
import path from 'node:path';
import { chromium } from 'playwright-core';

const [url, token, file] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update'],
});
const page = await browser.newPage({ viewport: { width: 1100, height: 1000 } });
await page.addInitScript(([hassUrl, access_token]) => {
  localStorage.setItem('hassTokens', JSON.stringify({
    hassUrl, access_token, token_type: 'Bearer', refresh_token: '', clientId: `${hassUrl}/`, expires_in: 86400, expires: Date.now() + 86400000,
  }));
}, [url, token]);
await page.goto(`${url}/lovelace/0`);
await page.getByText('Last caller').first().waitFor({ timeout: 60000 });
await page.waitForTimeout(1000);
await page.screenshot({ path: path.resolve(file) });
await browser.close();
