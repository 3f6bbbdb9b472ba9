// What a program of the documentation finds around it: a browser, or a mini-program, and the rest of
// the page. See docs.mjs.
import { parentPort, workerData } from 'node:worker_threads';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

Object.assign(globalThis, { WebSocket, EventSource });

// wx is what mini-programs have, as far as it is used.
globalThis.wx = {
  connectSocket({ url, protocols }) {
    const socket = new WebSocket(url, protocols);
    return {
      onOpen(f) { socket.on('open', () => f({})); },
      onMessage(f) { socket.on('message', (data) => f({ data: data.toString() })); },
      onError(f) { socket.on('error', (e) => f({ errMsg: e.message })); },
      onClose(f) {
        socket.on('error', () => {}); // close comes after it
        socket.on('close', (code, reason) => f({ code, reason: reason.toString() }));
      },
      send({ data }) { socket.send(data); },
      close({ code, reason } = {}) { socket.close(code, reason); },
    };
  },
};

// The first token has expired, as one may after a night.
let asked = 0;
globalThis.accessToken = async () => (asked++ === 0 ? 'expired' : workerData.token);
globalThis.show = (activity) => parentPort.postMessage(activity.title);
globalThis.reload = () => { throw new Error('nothing was lost'); };

await import(workerData.file);
