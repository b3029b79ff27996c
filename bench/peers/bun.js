// Bun's own publish/subscribe, as its manual shows it. `/` broadcasts each text to all, `/echo` sends it back.
const port = Number(process.argv[2] ?? 4301);

const server = Bun.serve({
  hostname: '127.0.0.1',
  port,
  fetch(request, server) {
    const echoes = new URL(request.url).pathname === '/echo';
    if (server.upgrade(request, { data: { echoes } })) return;
    return new Response('this address speaks WebSocket', { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      if (!socket.data.echoes) socket.subscribe('bench');
    },
    message(socket, text) {
      if (socket.data.echoes) socket.send(text);
      else server.publish('bench', text);
    },
  },
});

console.log(`listening on 127.0.0.1:${port} as process ${process.pid}`);
