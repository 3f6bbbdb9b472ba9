// What MQTT clients do with the program: the public MQTT.js, as docs/devices.md says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { headers, url } from './program.mjs';

const { MQTT_HOST: host, MQTT_PORT: port, ID: id, SECRET: secret } = process.env;
const transports = { tcp: { host, port: Number(port) }, websocket: { brokerUrl: url.replace(/^http/, 'ws').replace(/graphql$/, 'mqtt') } };
const connect = ({ brokerUrl, ...more }) => {
  const options = { clientId: id, username: id, password: secret, reconnectPeriod: 0, ...more };
  return brokerUrl ? mqtt.connectAsync(brokerUrl, options) : mqtt.connectAsync(options);
};

async function ask(query) {
  const response = await fetch(url, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify({ query }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

// until asks the API until it shows what is wanted.
async function until(fields, wanted) {
  for (let tries = 0; ; tries++) {
    const data = await ask(`{ device(id: "${id}") { ${fields} } }`);
    if (wanted(data.device)) return data.device;
    assert.ok(tries < 200, JSON.stringify(data));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

let value = 0;
for (const [name, transport] of Object.entries(transports)) {
  for (const protocolVersion of [4, 5]) {
    const as = (more) => connect({ ...transport, protocolVersion, ...more });

    test(`mqtt ${protocolVersion} over ${name} is refused with a wrong secret`, async () => {
      await assert.rejects(as({ password: 'wrong', clientId: `${id}-wrong` }), /Not authorized|Bad User Name or Password/i);
    });

    test(`mqtt ${protocolVersion} over ${name} publishes telemetry, receives commands, and is ONLINE`, async () => {
      const client = await as({});
      const [granted] = await client.subscribeAsync(`devices/${id}/#`, { qos: 1 });
      assert.equal(granted.qos, 1);
      await until('presence', (d) => d.presence === 'ONLINE');
      const heard = new Promise((resolve) => client.once('message', (topic, payload) => resolve([topic, JSON.parse(payload)])));
      await ask(`mutation { sendCommand(input: {deviceId: "${id}", name: "blink${protocolVersion}${name}"}) { id } }`);
      const [topic, command] = await heard;
      assert.equal(topic, `devices/${id}/commands`);
      await client.publishAsync(`devices/${id}/commands/result`, JSON.stringify({ id: command.id, ok: true }), { qos: 1 });
      value += 0.5;
      await client.publishAsync(`devices/${id}/telemetry`, JSON.stringify([{ at: Date.now(), values: { temperature: value } }]), { qos: 1 });
      const device = await until('telemetry(keys: ["temperature"], from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { points { value } }', () => true);
      assert.equal(device.telemetry[0].points.at(-1).value, value); // PUBACK means stored
      await client.endAsync();
    });

    test(`mqtt ${protocolVersion} over ${name} publishes with quality of service 0, and leaves its last will`, async () => {
      const type = `W${protocolVersion}${name}`;
      const will = { topic: `devices/${id}/events`, payload: JSON.stringify({ type }), qos: 1 };
      const client = await as({ clientId: `${id}-will`, will });
      await client.publishAsync(`devices/${id}/state`, JSON.stringify({ type }), { qos: 0 });
      await until('board', (d) => d.board?.type === type);
      client.stream.destroy();
      await until('events(first: 20) { nodes { message } }', (d) => d.events.nodes.some((e) => e.message.startsWith(type)));
      await client.endAsync(true);
    });

    test(`mqtt ${protocolVersion} over ${name} continues a lasting session`, async () => {
      const lasting = { clean: false, clientId: `${id}-lasting`, properties: { sessionExpiryInterval: 60 } };
      const client = await as(lasting);
      await client.subscribeAsync(`devices/${id}/commands`, { qos: 1 });
      await client.endAsync();
      const again = await new Promise((resolve, reject) => {
        const options = { clientId: id, username: id, password: secret, reconnectPeriod: 0, protocolVersion, ...transport, ...lasting };
        const c = transport.brokerUrl ? mqtt.connect(transport.brokerUrl, options) : mqtt.connect(options);
        c.once('connect', (packet) => resolve({ c, packet }));
        c.once('error', reject);
      });
      assert.equal(again.packet.sessionPresent, true);
      await again.c.endAsync();
    });
  }
}

test('mqtt is not granted the topics of others', async () => {
  const client = await connect({ ...transports.tcp, clientId: `${id}-curious` });
  for (const topic of ['#', 'devices/#', 'devices/+/telemetry', '$SYS/#']) {
    await assert.rejects(client.subscribeAsync(topic, { qos: 1 }), topic);
  }
  await client.endAsync();
});
