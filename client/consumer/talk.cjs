// A handshake with a server of the package `ws`, which sends a welcome, answers pings and observes the end.
const { once } = require('node:events');
module.exports = async (connect, WebSocket) => {
  const { WebSocketServer } = require('ws');
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const closed = new Promise((resolve) => server.on('connection', (socket) => {
    socket.send(JSON.stringify({ event: 'welcome', protocol: 1, session: 's', resume: 't', resumed: false, received: 0, time: 0, ping_ms: 10000, window_ms: 1000, sent: 0 }));
    socket.on('message', (data) => socket.send(JSON.stringify({ event: 'pong', received: 0, time: 0, id: JSON.parse(data).id })));
    socket.on('close', resolve);
  }));
  const client = connect('ws://127.0.0.1:' + server.address().port + '/ws', { WebSocket });
  await client.whenOpen();
  if (!((await client.ping()) >= 0)) throw new Error('no round trip');
  client.close();
  const code = await closed;
  if (code !== 1000) throw new Error('closed with ' + code);
  server.close();
};
