// `ws` on Node, with the loop over clients that its manual shows. `/` broadcasts each text to all, `/echo` sends it back.
import { WebSocket, WebSocketServer } from 'ws';

const port = Number(process.argv[2] ?? 4302);
const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false, backlog: 1024 });

server.on('connection', (socket, request) => {
  const echoes = request.url === '/echo';
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const text = data.toString();
    if (echoes) {
      socket.send(text);
      return;
    }
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(text);
    }
  });
});

server.on('listening', () => console.log(`listening on 127.0.0.1:${port} as process ${process.pid}`));
