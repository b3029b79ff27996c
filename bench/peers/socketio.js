// Socket.IO on Node. `say` is broadcast to all as `line`, `echo` comes back.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const port = Number(process.argv[2] ?? 4303);
const http = createServer();
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false });

io.on('connection', (socket) => {
  socket.on('say', (text) => io.emit('line', text));
  socket.on('echo', (text) => socket.emit('echo', text));
});

http.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
  console.log(`listening on 127.0.0.1:${port} as process ${process.pid}`);
});
