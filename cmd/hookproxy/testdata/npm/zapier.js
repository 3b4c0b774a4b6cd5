// A Zapier integration with one REST Hook trigger, as its author would write it
// from the API's documentation, and what Zapier does with it: run by zapier_test.go
// against the real program, with zapier-platform-core's own tester.
//
//	node zapier.js <URL of hookproxy> <token>
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const zapier = require('zapier-platform-core');

const [front, token] = process.argv.slice(2);
const subscriptions = `${front}/api/v1/subscription/`;

const App = {
  version: '1.0.0',
  platformVersion: zapier.version,
  authentication: { type: 'custom', fields: [{ key: 'token', required: true }], test: { url: `${front}/me` } },
  beforeRequest: [
    (request, z, bundle) => {
      request.headers.Authorization = `Bearer ${bundle.authData.token}`;
      return request;
    },
  ],
  triggers: {
    contact: {
      key: 'contact',
      noun: 'Contact',
      display: { label: 'New Contact', description: 'Triggers when a contact is added.' },
      operation: {
        type: 'hook',
        performSubscribe: async (z, bundle) => {
          const body = { event: 'contact.create', target_url: bundle.targetUrl };
          const response = await z.request({ url: subscriptions, method: 'POST', body });
          return response.data;
        },
        performUnsubscribe: async (z, bundle) => {
          const response = await z.request({ url: `${subscriptions}${bundle.subscribeData.id}/`, method: 'DELETE' });
          return { status: response.status };
        },
        performList: async (z) => (await z.request({ url: `${front}/api/v1/event/contact.create/sample` })).data,
        perform: (z, bundle) => [bundle.cleanedRequest.data],
        sample: { id: 1, name: 'Ada Lovelace' },
      },
    },
  },
};

const authData = { token };
const { operation } = App.triggers.contact;
const tester = zapier.createAppTester(App);

// call makes a request of the API's own, as the user of the automation does.
async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const response = await fetch(front + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, data: response.status === 204 ? null : await response.json() };
}

// until asks again until something holds; the test's own limit ends it.
async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

// hooks.zapier.com, for this test.
function serveHooks() {
  const hooks = { status: 200, waiting: [], bodies: [] };
  hooks.server = http.createServer((request, response) => {
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => {
      response.writeHead(hooks.status).end();
      const taken = hooks.waiting.shift();
      if (taken) taken(text);
      else hooks.bodies.push(text);
    });
  });
  hooks.next = () => (hooks.bodies.length ? hooks.bodies.shift() : new Promise((resolve) => hooks.waiting.push(resolve)));
  return new Promise((resolve) => hooks.server.listen(0, '127.0.0.1', () => resolve(hooks)));
}

async function main() {
  const hooks = await serveHooks();
  const targetUrl = `http://127.0.0.1:${hooks.server.address().port}/hooks/standard/1/abc/`;

  // Setting up: the example first, and what really happened once it has.
  assert.deepEqual(await tester(operation.performList, { authData }), [{ id: 7, name: 'Ada Lovelace' }]);
  const first = await call('POST', '/contacts', { name: 'Grace Hopper' });
  let listed;
  await until(async () => (listed = await tester(operation.performList, { authData }))[0].id === first.data.id);
  assert.deepEqual(listed, [first.data]);

  // Turning the Zap on, and what it is then given.
  const subscribeData = await tester(operation.performSubscribe, { authData, targetUrl });
  assert.equal(subscribeData.state, 'active');
  assert.ok(subscribeData.id && subscribeData.secret);
  const second = await call('POST', '/contacts', { name: 'Mary <Somerville> & co' });
  const delivered = await hooks.next();
  const results = await tester(operation.perform, { authData, cleanedRequest: JSON.parse(delivered), rawRequest: { content: delivered } });
  assert.deepEqual(results, [second.data]);
  assert.deepEqual((await tester(operation.performList, { authData })).map(({ id }) => id), [second.data.id, first.data.id]);

  // Turning it off.
  assert.deepEqual(await tester(operation.performUnsubscribe, { authData, targetUrl, subscribeData }), { status: 204 });
  assert.equal((await call('GET', `/api/v1/subscription/${subscribeData.id}/`)).status, 404);

  // A Zap that was deleted: its hook URL answers 410, and the subscription is gone.
  const again = await tester(operation.performSubscribe, { authData, targetUrl });
  hooks.status = 410;
  await call('POST', '/contacts', { name: 'nobody is interested in' });
  await hooks.next();
  await until(async () => (await call('GET', `/api/v1/subscription/${again.id}/`)).status === 404);
  assert.deepEqual((await call('GET', '/api/v1/subscription/')).data, []);

  hooks.server.close();
  hooks.server.closeAllConnections();
  console.log('every step went well');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
