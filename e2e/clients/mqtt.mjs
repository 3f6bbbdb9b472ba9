// What MQTT clients do with the program: the public MQTT.js, as docs/devices.md says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { headers, url } from './program.mjs';

const { MQTT_HOST: host, MQTT_PORT: port, ID: id, SECRET: secret } = process.env;
const connect = (more) => mqtt.connectAsync({
  host, port: Number(port), protocolVersion: 4, clientId: id, username: id, password: secret, reconnectPeriod: 0, ...more,
});

// until asks the API until it shows what is wanted.
async function until(fields, wanted) {
  for (let tries = 0; ; tries++) {
    const response = await fetch(url, {
      method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: `{ device(id: "${id}") { ${fields} } }` }),
    });
    const { data } = await response.json();
    if (wanted(data.device)) return data.device;
    assert.ok(tries < 200, JSON.stringify(data));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('mqtt is refused with a wrong secret', async () => {
  await assert.rejects(connect({ password: 'wrong', clientId: `${id}-wrong` }), /Not authorized/i);
});

test('mqtt tells telemetry, hears its own topics, and is ONLINE', async () => {
  const client = await connect();
  const heard = new Promise((resolve) => client.once('message', (topic, payload) => resolve([topic, String(payload)])));
  const [granted] = await client.subscribeAsync(`devices/${id}/#`, { qos: 1 });
  assert.equal(granted.qos, 1);
  const message = JSON.stringify([{ at: Date.now(), values: { temperature: 7.5 } }]);
  await client.publishAsync(`devices/${id}/telemetry`, message, { qos: 1 });
  assert.deepEqual(await heard, [`devices/${id}/telemetry`, message]);
  const device = await until('presence telemetry(keys: ["temperature"], from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { points { value } }',
    (d) => d.presence === 'ONLINE' && d.telemetry[0].points.length > 0);
  assert.deepEqual(device.telemetry[0].points, [{ value: 7.5 }]);
  await client.endAsync();
});

test('mqtt is not granted the topics of others', async () => {
  const client = await connect({ clientId: `${id}-curious` });
  for (const topic of ['#', 'devices/#', 'devices/+/telemetry', '$SYS/#']) {
    await assert.rejects(client.subscribeAsync(topic, { qos: 1 }), topic);
  }
  await client.endAsync();
});
